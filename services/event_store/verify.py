"""Compares streams and object store with the copy, a page at a time: memory stays flat however long they are.

Named artifacts are in both when three things hold: the copy has what its facts and turns name, it has the files of
its trees, and the object store has what the copy has.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Mapping

from sqlalchemy import Engine

from contracts.artifacts import TREE_MEDIA_TYPE, ArtifactRef, references
from contracts.errors import Permanent
from contracts.queries import VerifyQuery
from contracts.verification import Difference, Kind, Part, VerifyPage
from infra.runtime.artifacts import ArtifactMissing
from infra.runtime.bus import Bus
from services.event_store.archive import blobs
from services.event_store.beside import data_of
from services.event_store.compare import Page, differences, end_of_page
from services.event_store.database.copy import Copy
from services.event_store.database.ledger import ledgers
from services.event_store.refill import CopyOf
from services.event_store.watermark import Watermark

PAGE = 128
FEW = 16
BUDGET_S = 1.0
"""One answer compares so long, then the asker goes on with the next."""

COPY_TIMEOUT_S = 3.0
POLL_S = 0.05
MAX_DIFFERENCES = 500
"""Of one answer."""


class Verifier:
    """Reads only; works beside the writer."""

    def __init__(self, bus: Bus, engine: Engine, watermark: Watermark) -> None:
        self._bus = bus
        self._watermark = watermark
        self._copy = Copy(engine)
        copies: tuple[CopyOf, ...] = (self._copy, *ledgers(engine))
        self._copies = {copy.stream: copy for copy in copies}

    async def page(self, query: VerifyQuery) -> VerifyPage:
        """
        Raises:
            Transient: the bus did not answer.
            sqlalchemy.exc.SQLAlchemyError: the database did not answer.
        """
        step = self._artifacts if query.part is Part.ARTIFACTS else self._messages
        loop = asyncio.get_running_loop()
        deadline, checked, next_ = loop.time() + BUDGET_S, 0, query.after or None
        found: list[Difference] = []
        while True:
            count, some, next_ = await step(query.part, next_ or "")
            checked += count
            found += some
            if next_ is None or loop.time() > deadline or len(found) >= MAX_DIFFERENCES:
                return VerifyPage(checked=checked, differences=tuple(found), next=next_)

    # --- messages -------------------------------------------------------------------------------

    async def _messages(self, part: Part, after: str) -> tuple[int, list[Difference], str | None]:
        start, copy = int(after or 0), self._copies[part]
        messages, more = await self._bus.reader.page(part, ">", start + 1, limit=PAGE)
        await self._copied(part, messages[-1].sequence if messages else 0)
        limit = len(messages) or FEW  # the bus bounds a page's bytes, too
        stored = await asyncio.to_thread(copy.stored, start, limit)
        here: Page = {message.sequence: (message.subject, message.data) for message in messages}
        there: Page = {message.sequence: (message.subject, message.payload) for message in stored}
        end = end_of_page(here, more, there, len(stored) == limit)
        last = max((*here, *there), default=start) if end is None else end
        found = list(differences(part, here, there, last))
        named: dict[str, tuple[ArtifactRef, int]] = {}
        for message in stored:
            for ref in references(data_of(message.payload)) if message.sequence <= last else ():
                named.setdefault(ref.sha256, (ref, message.sequence))
        found += await self._not_copied(part, named)
        checked = sum(sequence <= last for sequence in {*here, *there})
        return checked, found, None if end is None else str(end)

    async def _copied(self, part: Part, sequence: int) -> None:
        """What was said a moment ago may still be on its way into the copy; what is not in time is a difference."""
        timeout_s = 0 if self._watermark.problem else COPY_TIMEOUT_S
        if part is Part.EVENTS:
            await self._watermark.reached(sequence, timeout_s)
        else:
            await self._ledger_reached(self._copies[part], sequence, timeout_s)

    @staticmethod
    async def _ledger_reached(copy: CopyOf, sequence: int, timeout_s: float) -> None:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout_s
        while await asyncio.to_thread(copy.last_sequence) < sequence and loop.time() < deadline:
            await asyncio.sleep(POLL_S)

    async def _not_copied(self, part: Part, named: Mapping[str, tuple[ArtifactRef, int]]) -> list[Difference]:
        lacking = await asyncio.to_thread(self._copy.lacking, named)
        return [
            Difference(
                part=part,
                kind=Kind.MISSING_IN_COPY,
                what=f"names an artifact ({named[sha256][0].media_type}) that the copy does not have",
                first=named[sha256][1],
                last=named[sha256][1],
                sha256=sha256,
            )
            for sha256 in sorted(lacking)
        ]

    # --- artifacts ------------------------------------------------------------------------------

    async def _artifacts(self, part: Part, after: str) -> tuple[int, list[Difference], str | None]:
        """One after the other: each may be large."""
        refs = await asyncio.to_thread(self._copy.artifacts, after, FEW)
        found: list[Difference] = []
        for ref in refs:
            content = await asyncio.to_thread(self._copy.content, ref.sha256) or b""
            if await asyncio.to_thread(_hash, content) != ref.sha256:
                found.append(_artifact(Kind.DAMAGED_IN_COPY, ref, "is damaged in the copy"))
            elif ref.media_type == TREE_MEDIA_TYPE:
                files = {blob.sha256: blob for blob in blobs(ref, content)}
                lost = await asyncio.to_thread(self._copy.lacking, files)
                found += [
                    _artifact(Kind.MISSING_IN_COPY, files[sha256], f"is a file of the tree {ref.sha256}")
                    for sha256 in sorted(lost)
                ]
            found += await self._on_the_bus(ref)
        return len(refs), found, refs[-1].sha256 if refs else None

    async def _on_the_bus(self, ref: ArtifactRef) -> list[Difference]:
        try:
            await self._bus.artifacts.get(ref)
        except ArtifactMissing:
            return [_artifact(Kind.MISSING_ON_BUS, ref, "is not in the object store")]
        except Permanent as error:
            return [_artifact(Kind.DAMAGED_ON_BUS, ref, error.what)]
        return []


def _artifact(kind: Kind, ref: ArtifactRef, what: str) -> Difference:
    return Difference(part=Part.ARTIFACTS, kind=kind, what=f"{ref.media_type}: {what}", sha256=ref.sha256)


def _hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
