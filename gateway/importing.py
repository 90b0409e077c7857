"""Brings an exported pipeline into this log, to be read and forked. Nothing here acts on it: its facts are marked,
and have subjects that no service consumes (`contracts.subjects.imported`).

The same file again adds nothing; one that was broken off, or has the same pipeline a while later, adds the rest.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from itertools import islice

from pydantic import ValidationError

from contracts import subjects
from contracts.envelope import Envelope
from contracts.exchange import Imported
from gateway.bundle import Bundle
from gateway.problems import Problem, unavailable
from gateway.reads import Reads
from infra.runtime.bus import Bus
from infra.runtime.direct import Stored
from infra.runtime.log import Conflict

BATCH = 200


async def take(bus: Bus, reads: Reads, bundle: Bundle) -> Imported:
    """First look, then artifacts, then facts: a fact is never there before what it names.

    Raises:
        Problem: 409: the log has another history of one of the pipelines, or it is at work here; 503.
    """
    looking = _Import(bus, bundle, appends=False)
    await looking.run()
    for sha256, ref in bundle.artifacts.items():
        await bus.artifacts.put(await asyncio.to_thread(bundle.content, sha256), ref.media_type)
    taking = _Import(bus, bundle, appends=True)
    try:
        await taking.run()
    finally:
        for pipeline, sequence in taking.last.items():
            reads.wrote(pipeline, sequence)
    return Imported(
        pipeline_id=bundle.manifest.pipeline,
        pipelines=tuple(travelling.id for travelling in bundle.manifest.pipelines),
        facts=taking.new,
        known=taking.known,
        artifacts=len(bundle.artifacts),
        missing=bundle.manifest.missing,
    )


class _Import:
    """One walk through the facts of a file, beside those that the log has already. ``last``: pipeline -> sequence
    of its last fact so far."""

    def __init__(self, bus: Bus, bundle: Bundle, *, appends: bool) -> None:
        self._bus = bus
        self._bundle = bundle
        self._appends = appends
        self.last: dict[str, int] = {}
        self.known = self.new = 0

    async def run(self) -> None:
        async for batch in _batches(self._bundle):
            pipeline = batch[0].pipeline
            stored = await self._stored(pipeline, self.last.get(pipeline, 0), len(batch))
            for ours, theirs in zip(stored, batch, strict=False):
                _check_same(ours, theirs)
                self.last[pipeline] = ours.sequence
            self.known += len(stored)
            if len(stored) < len(batch):
                await self._check_imported(pipeline)
                await self._append(batch[len(stored) :])

    async def _stored(self, pipeline: str, after: int, count: int) -> list[Stored]:
        """The next ``count`` messages of the pipeline after sequence ``after``; fewer: there are no more."""
        found: list[Stored] = []
        more = True
        while more and len(found) < count:
            after = found[-1].sequence if found else after
            page, more = await self._bus.reader.page(
                subjects.EVENTS_STREAM, subjects.history(pipeline), after + 1, limit=count - len(found)
            )
            found += page
        return found

    async def _check_imported(self, pipeline: str) -> None:
        """Only a history that came in this way may go on this way."""
        first = await self._stored(pipeline, 0, 1)
        if first and not subjects.is_imported(first[0].subject):
            detail = f"pipeline {pipeline} is at work here, and the file has more facts of it than this log"
            raise Problem(409, "at-work-here", detail)

    async def _append(self, facts: list[Envelope]) -> None:
        self.new += len(facts)
        for fact in facts if self._appends else ():
            try:
                self.last[fact.pipeline] = await self._bus.log.append(
                    fact.model_copy(update={"imported": True}), expected_last=self.last.get(fact.pipeline, 0)
                )
            except Conflict as conflict:
                raise unavailable(f"{conflict.what}; import the file again: it goes on where it stopped") from None


async def _batches(bundle: Bundle) -> AsyncIterator[list[Envelope]]:
    """The file's facts, some of one pipeline at a time."""
    facts = bundle.facts()
    batch: list[Envelope] = []
    while found := await asyncio.to_thread(lambda: list(islice(facts, BATCH))):
        for fact in found:
            if batch and (batch[0].pipeline != fact.pipeline or len(batch) == BATCH):
                yield batch
                batch = []
            batch.append(fact)
    if batch:
        yield batch


def _check_same(ours: Stored, theirs: Envelope) -> None:
    try:
        known = Envelope.decode(ours.data).model_copy(update={"imported": None})
    except ValidationError:
        known = None
    if known != theirs:
        detail = f"this log has another history of pipeline {theirs.pipeline}, from sequence {ours.sequence} on"
        raise Problem(409, "another-history", detail)
