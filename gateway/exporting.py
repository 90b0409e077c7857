"""Writes the file of a pipeline (`contracts.exchange`) while it is sent: a page of facts, a part of an artifact."""

from __future__ import annotations

import asyncio
import zipfile
from collections.abc import AsyncIterator
from dataclasses import dataclass

from pydantic import ValidationError

from contracts import subjects
from contracts.artifacts import TREE_MEDIA_TYPE, ArtifactRef, TreeManifest, references
from contracts.errors import Permanent
from contracts.exchange import BLOBS, FACTS, FORMAT, MANIFEST, MAX_BLOBS, MAX_PIPELINES, Manifest, Travelling
from gateway.problems import Problem
from gateway.reads import Reads
from infra.runtime import clock
from infra.runtime.bus import Bus

PAGE = 500
_SENT_FROM = 64 * 1024


@dataclass(frozen=True)
class Ancestor:
    """A pipeline of the file; its own facts come after position ``after``, its newest is at ``sequence``."""

    id: str
    after: int
    sequence: int


async def ancestry(bus: Bus, reads: Reads, pipeline: str) -> list[Ancestor]:
    """``pipeline`` and what it was forked from, oldest first.

    Raises:
        Problem: 404, or 503.
    """
    found: list[Ancestor] = []
    name: str | None = pipeline
    while name is not None and len(found) < MAX_PIPELINES:
        state = (await reads.state(name)).state
        newest = await bus.reader.last(subjects.EVENTS_STREAM, subjects.history(name))
        found.append(Ancestor(name, state.forked_at or 0, newest.sequence if newest else 0))
        name = state.parent
    return found[::-1]


class Export:
    """One export on its way; iterate over `parts` once."""

    def __init__(self, reads: Reads, pipelines: list[Ancestor]) -> None:
        self._reads = reads
        self._pipelines = pipelines
        self._pipe = _Pipe()
        self._zip = zipfile.ZipFile(self._pipe, "w", zipfile.ZIP_DEFLATED)  # type: ignore[call-overload]
        self._named: dict[str, ArtifactRef] = {}
        self._missing: list[str] = []
        self._told: list[Travelling] = []

    async def parts(self) -> AsyncIterator[bytes]:
        """The file's bytes. A failure breaks the transfer off: the directory at the end is then missing, so nobody
        takes half of it for the whole."""
        async for part in self._facts():
            yield part
        for ref in [ref for ref in self._named.values() if ref.media_type == TREE_MEDIA_TYPE]:
            async for part in self._tree(ref):
                yield part
        for ref in [ref for ref in self._named.values() if ref.media_type != TREE_MEDIA_TYPE]:
            async for part in self._blob(ref):
                yield part
        if len(self._named) > MAX_BLOBS:
            raise Permanent(f"a pipeline with more than {MAX_BLOBS:,} artifacts cannot be exported")
        manifest = Manifest(
            format=FORMAT,
            pipeline=self._pipelines[-1].id,
            pipelines=tuple(self._told),
            missing=tuple(self._missing),
            exported=clock.now(),
        )
        self._zip.writestr(MANIFEST, manifest.model_dump_json(indent=1))
        self._zip.close()
        yield self._pipe.taken()

    async def _facts(self) -> AsyncIterator[bytes]:
        with self._zip.open(FACTS, "w", force_zip64=True) as entry:
            for pipeline in self._pipelines:
                after: int | None = pipeline.after
                own = 0
                while after is not None:
                    page = await self._reads.history(
                        pipeline.id, after=after, limit=PAGE, min_seq=pipeline.sequence
                    )
                    after, lines = page.next, []
                    for recorded in page.events:
                        envelope = recorded.event.model_copy(update={"imported": None})
                        self._named |= {ref.sha256: ref for ref in references(envelope.data)}
                        lines.append(envelope.encode() + b"\n")
                    own += len(lines)
                    await asyncio.to_thread(entry.write, b"".join(lines))
                    yield self._pipe.taken()
                self._told.append(Travelling(id=pipeline.id, facts=own))

    async def _tree(self, ref: ArtifactRef) -> AsyncIterator[bytes]:
        """The manifest of a tree, whose files are then named, too."""
        content = bytearray()
        async for part in self._blob(ref, keep=content):
            yield part
        try:
            tree = TreeManifest.model_validate_json(bytes(content)) if content else TreeManifest(files=())
        except ValidationError:
            return  # named as a tree, but none: it travels as it is
        self._named |= {blob.sha256: blob for blob in tree.blobs() if blob.sha256 not in self._named}

    async def _blob(self, ref: ArtifactRef, keep: bytearray | None = None) -> AsyncIterator[bytes]:
        try:
            chunk = await self._reads.artifact(ref.sha256)
        except Problem as problem:
            if problem.status != 404:
                raise
            self._missing.append(ref.sha256)
            return
        sent = 0
        with self._zip.open(BLOBS + ref.sha256, "w") as entry:
            while chunk.content:
                await asyncio.to_thread(entry.write, chunk.content)
                sent += len(chunk.content)
                if keep is not None:
                    keep += chunk.content
                if self._pipe.waiting >= _SENT_FROM:
                    yield self._pipe.taken()
                if sent >= chunk.size:
                    break
                chunk = await self._reads.artifact(ref.sha256, offset=sent)


class _Pipe:
    """What the zip writes into; it cannot seek, so sizes come after the contents."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self.waiting = 0

    def write(self, data: bytes) -> int:
        self._parts.append(bytes(data))
        self.waiting += len(data)
        return len(data)

    def flush(self) -> None:
        """Nothing is held back."""

    def taken(self) -> bytes:
        """What was written since the last time."""
        parts, self._parts, self.waiting = self._parts, [], 0
        return b"".join(parts)
