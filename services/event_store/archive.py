"""Copies the artifacts that facts name out of the object store, before the facts are recorded."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor
from typing import Any, Protocol, TypeVar

from pydantic import ValidationError

from contracts.artifacts import TREE_MEDIA_TYPE, ArtifactRef, TreeManifest, references
from contracts.errors import Permanent
from infra.runtime.artifacts import ArtifactMissing
from services.event_store.database.copy import Copy

logger = logging.getLogger(__name__)

GROUP_BYTES = 8 * 1024 * 1024
GROUP_LENGTH = 64
KNOWN_HASHES = 100_000
RETRY_S = (0.05, 0.2, 0.5, 1.0, 2.0)

T = TypeVar("T")
Refs = dict[str, ArtifactRef]
"""By hash."""


class Source(Protocol):
    """Where contents come from: the bus's object store."""

    async def get(self, ref: ArtifactRef) -> bytes: ...


class Archive:
    """Keeps the copy's artifacts complete. All writing goes through ``writer``, a single thread."""

    def __init__(self, source: Source, copy: Copy, writer: Executor, *, patience_s: float) -> None:
        self._source = source
        self._copy = copy
        self._writer = writer
        self._patience_s = patience_s
        self._known: set[str] = set()

    async def take(self, batch: Iterable[tuple[int, Any]]) -> None:
        """Store everything that is named by ``batch``: pairs of a fact's sequence (0: no fact) and its data.

        What the object store does not have after ``patience_s`` is written down as missing and looked for later
        (`look_again`): one wrong reference must not stop the copy of all pipelines.

        Raises:
            Transient: the object store did not answer.
        """
        wanted: Refs = {}
        named_at: dict[str, int] = {}
        for sequence, data in batch:
            for ref in references(data):
                wanted.setdefault(ref.sha256, ref)
                named_at.setdefault(ref.sha256, sequence)
        missing = await self._store(wanted, self._patience_s)
        for ref, parent in missing:
            await self._run(self._copy.mark_missing, [ref], named_at[parent])
            logger.error("the fact at sequence %d names %s, which nobody has", named_at[parent], ref.sha256)

    async def look_again(self) -> int:
        """Try what is missing once more; returns how many are found."""
        missing = await self._run(self._copy.missing)
        still = 0
        for ref, sequence in missing:
            self._known.discard(ref.sha256)
            lost = await self._store({ref.sha256: ref}, 0)
            still += any(blob.sha256 == ref.sha256 for blob, _ in lost)
            await self._run(self._copy.mark_missing, [blob for blob, _ in lost], sequence)
        return len(missing) - still

    async def _store(self, wanted: Refs, patience_s: float) -> list[tuple[ArtifactRef, str]]:
        """Store what is lacking. Returns what nobody has, each with the hash of the artifact that named it.

        A tree's files come before its manifest: who finds the manifest in the copy may rely on the files.
        """
        trees = [ref for ref in wanted.values() if ref.media_type == TREE_MEDIA_TYPE]
        manifests, missing = await self._fetch(await self._lacking(trees), patience_s)
        lost = [(ref, ref.sha256) for ref in missing]
        for tree, manifest in manifests:
            lost += [(blob, tree.sha256) for blob in await self._store_files(blobs(tree, manifest), patience_s)]
        if manifests:
            await self._run(self._copy.keep, manifests)
        files = [ref for ref in wanted.values() if ref.media_type != TREE_MEDIA_TYPE]
        lost += [(ref, ref.sha256) for ref in await self._store_files(files, patience_s)]
        if len(self._known) > KNOWN_HASHES:
            self._known.clear()
        self._known.update(wanted)
        return lost

    async def _store_files(self, refs: Sequence[ArtifactRef], patience_s: float) -> list[ArtifactRef]:
        """Store what is lacking, a group at a time. Returns what nobody has."""
        lost: list[ArtifactRef] = []
        for group in groups(await self._lacking(refs)):
            contents, missing = await self._fetch(group, patience_s)
            if contents:
                await self._run(self._copy.keep, contents)
            lost += missing
        return lost

    async def _lacking(self, refs: Sequence[ArtifactRef]) -> list[ArtifactRef]:
        unknown = {ref.sha256: ref for ref in refs if ref.sha256 not in self._known}
        if not unknown:
            return []
        return [unknown[sha256] for sha256 in await self._run(self._copy.lacking, unknown)]

    async def _fetch(
        self, refs: Sequence[ArtifactRef], patience_s: float
    ) -> tuple[list[tuple[ArtifactRef, bytes]], list[ArtifactRef]]:
        """Contents found, and references without content."""
        found = await asyncio.gather(*(self._patiently(ref, patience_s) for ref in refs))
        pairs = list(zip(refs, found, strict=True))
        return (
            [(ref, content) for ref, content in pairs if content is not None],
            [ref for ref, content in pairs if content is None],
        )

    async def _patiently(self, ref: ArtifactRef, patience_s: float) -> bytes | None:
        waited = 0.0
        for attempt in range(1_000):
            try:
                return await self._source.get(ref)
            except ArtifactMissing:
                if waited >= patience_s:
                    return None
            except Permanent as error:  # damaged, or larger than any artifact may be: waiting cannot help
                logger.error("artifact %s cannot be copied: %s", ref.sha256, error)
                return None
            pause_s = RETRY_S[min(attempt, len(RETRY_S) - 1)]
            await asyncio.sleep(pause_s)
            waited += pause_s
        return None

    async def _run(self, function: Callable[..., T], *args: Any) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._writer, function, *args)


def blobs(tree: ArtifactRef, manifest: bytes) -> list[ArtifactRef]:
    """The files of a tree; none if it only calls itself one."""
    try:
        return list(TreeManifest.model_validate_json(manifest).blobs())
    except ValidationError:
        logger.error("artifact %s calls itself a tree, but is no manifest; it is copied as it is", tree.sha256)
        return []


def groups(refs: Iterable[ArtifactRef]) -> Iterator[list[ArtifactRef]]:
    """Small enough together to be held in memory and written in one transaction."""
    group: list[ArtifactRef] = []
    size = 0
    for ref in refs:
        if group and (size + ref.size > GROUP_BYTES or len(group) >= GROUP_LENGTH):
            yield group
            group, size = [], 0
        group.append(ref)
        size += ref.size
    if group:
        yield group
