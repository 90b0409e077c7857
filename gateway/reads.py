"""Reads of pipelines: from the event store, and from the log itself where the store cannot tell (yet)."""

from __future__ import annotations

from collections import OrderedDict

from contracts.envelope import UnknownFact
from contracts.events import FINAL
from contracts.queries import (
    ArtifactChunk,
    ArtifactQuery,
    HistoriesPage,
    HistoriesQuery,
    HistoryPage,
    HistoryQuery,
    PipelinesPage,
    PipelinesQuery,
    Recorded,
    StateAnswer,
    StateQuery,
    VerifyQuery,
)
from contracts.verification import VerifyPage
from gateway.problems import not_found
from gateway.store import Refused, Store
from infra.runtime.log import EventLog

REMEMBERED_PIPELINES = 10_000
VERIFY_TIMEOUT_S = 30.0
"""The store works a second on an answer, but one artifact may be large."""


class Reads:
    """Remembers up to which sequence this process has written or shown each pipeline, so that its clients see their
    own writes at once, and never less than before; what another process wrote a moment ago is found in the log."""

    def __init__(self, store: Store, log: EventLog) -> None:
        self._store = store
        self._log = log
        self._written: OrderedDict[str, int] = OrderedDict()
        self._newest = 0

    def wrote(self, pipeline: str, sequence: int) -> None:
        """The log has ``pipeline``'s fact at ``sequence``."""
        self._newest = max(self._newest, sequence)
        self._written[pipeline] = max(sequence, self._written.pop(pipeline, 0))
        if len(self._written) > REMEMBERED_PIPELINES:
            self._written.popitem(last=False)

    async def history(self, pipeline: str, *, after: int = 0, limit: int = 100, min_seq: int = 0) -> HistoryPage:
        """Facts after position ``after``.

        Raises:
            Problem: 404, or 503 if neither store nor log answers.
        """
        min_seq = max(min_seq, self._written.get(pipeline, 0))
        try:
            query = HistoryQuery(pipeline=pipeline, after=after, limit=limit, min_seq=min_seq)
            return await self._store.ask("history", query, HistoryPage)
        except Refused as refused:
            facts = await self._from_log(pipeline, refused)
        page = facts[after : after + limit]
        last = page[-1].position if page else after
        return HistoryPage(events=tuple(page), next=last if last < len(facts) else None, position=len(facts))

    async def histories(self, query: HistoriesQuery) -> HistoriesPage:
        """Facts of all pipelines, one pipeline after another. Only the store can tell.

        Raises:
            Problem: 503.
        """
        try:
            return await self._store.ask("histories", query, HistoriesPage)
        except Refused as refused:
            raise refused.problem() from None

    async def state(self, pipeline: str, *, at: int | None = None) -> StateAnswer:
        """The state after ``at`` facts, or after all.

        Raises:
            Problem: 404 (no such pipeline, or fewer facts), or 503.
            UnknownFact: one of the facts is newer than this code.
        """
        try:
            query = StateQuery(pipeline=pipeline, at=at, min_seq=self._written.get(pipeline, 0))
            return await self._store.ask("state", query, StateAnswer)
        except Refused as refused:
            facts = await self._from_log(pipeline, refused)
        if at is not None and at > len(facts):
            raise not_found(f"pipeline {pipeline} has {len(facts)} facts, there is none at {at}")
        facts = facts[:at]
        return StateAnswer.of(pipeline, [fact.event for fact in facts], facts[-1].sequence)

    async def is_over(self, pipeline: str, *, after: int) -> bool:
        """Whether nothing comes after position ``after``. Of facts that this code cannot read, their types tell.

        Raises:
            Problem: 404, or 503.
        """
        try:
            known = await self.state(pipeline)
            return known.state.status_here.final and after >= known.position
        except UnknownFact:
            page = await self.history(pipeline, after=max(after - 1, 0))
            return after >= page.position and any(fact.event.type in FINAL for fact in page.events)

    async def artifact(self, sha256: str, *, offset: int = 0) -> ArtifactChunk:
        """A part of an artifact, from byte ``offset`` on.

        Raises:
            Problem: 404, or 503.
        """
        try:
            return await self._store.ask("artifact", ArtifactQuery(sha256=sha256, offset=offset), ArtifactChunk)
        except Refused as refused:
            raise refused.problem() from None

    async def pipelines(self, query: PipelinesQuery) -> PipelinesPage:
        """A page of the list. A copy that lags behind is shown as it is rather than not at all.

        Raises:
            Problem: 503.
        """
        try:
            return await self._store.ask(
                "pipelines", query.model_copy(update={"min_seq": self._newest}), PipelinesPage
            )
        except Refused as refused:
            if refused.refusal.kind != "behind":
                raise refused.problem() from None
        try:
            return await self._store.ask("pipelines", query, PipelinesPage)
        except Refused as refused:
            raise refused.problem() from None

    async def verify(self, query: VerifyQuery) -> VerifyPage:
        """Compare a part of the log with its copy.

        Raises:
            Problem: 503.
        """
        try:
            return await self._store.ask("verify", query, VerifyPage, timeout_s=VERIFY_TIMEOUT_S)
        except Refused as refused:
            raise refused.problem() from None

    async def _from_log(self, pipeline: str, refused: Refused) -> list[Recorded]:
        facts = await self.in_log(pipeline)
        if not facts:
            raise refused.problem()
        self.wrote(pipeline, facts[-1].sequence)  # who has seen these facts must not miss them in the next answer
        return facts

    async def in_log(self, pipeline: str) -> list[Recorded]:
        """A pipeline's whole history out of the log itself, for who decides on it: the copy may lag behind.

        Raises:
            UnknownFact: it is a fork of a version newer than this code.
        """
        facts = await self._log.whole_history(pipeline)
        return [Recorded(sequence=seq, position=n, event=event) for n, (seq, event) in enumerate(facts, start=1)]
