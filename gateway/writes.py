"""What the gateway says in the log: submissions and requests of users, each once, however often it is sent."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime

from contracts import subjects
from contracts.envelope import Envelope, event_id, wrap
from contracts.events import (
    ApprovalDenied,
    ApprovalGranted,
    Fact,
    PipelineCancelRequested,
    PipelineForked,
    PipelinePauseRequested,
    PipelineResumeRequested,
    PipelineSubmitted,
)
from contracts.pipeline import PipelineState, Status, evolve
from contracts.services import Service
from gateway.observed import client_links
from gateway.problems import Problem, not_found, unavailable
from gateway.reads import Reads
from infra.runtime import clock
from infra.runtime.bus import Bus
from infra.runtime.direct import StreamUnavailable
from infra.runtime.log import Conflict, Folded, States, append_decided
from infra.runtime.telemetry.context import Place, at, root_span
from infra.runtime.telemetry.spans import Link, Recorder, Span, span

_KEYS = uuid.UUID("0f6c6a2b-9b0f-4a39-8f0e-3d8f6f5f3c51")
RETRY_S = 0.2

Choose = Callable[[PipelineState], tuple[str, Fact] | None]
"""Event id and fact for a state, or ``None`` if it is said already; raises `Problem` where it makes no sense."""


def pipeline_for(key: str | None) -> str:
    """The pipeline's id: the same for the same ``Idempotency-Key``."""
    return clock.new_id() if key is None else uuid.uuid5(_KEYS, key).hex


class Writes:
    """Every append is compare-and-set on the newest state."""

    def __init__(
        self, bus: Bus, reads: Reads, *, submit_timeout_s: float, recorder: Recorder | None = None
    ) -> None:
        self._bus = bus
        self._recorder = recorder
        self._reads = reads
        self._submit_timeout_s = submit_timeout_s
        self._states = States(bus.log, evolve)

    async def begin(self, pipeline: str, fact: PipelineSubmitted | PipelineForked) -> None:
        """Append the pipeline's first fact; an acknowledgement that got lost is asked for again with the same id.

        Raises:
            Problem: 422: the pipeline exists and was asked for something else; 503: the log did not confirm it.
        """
        envelope = _said(event_id(pipeline, "submit", Service.GATEWAY), pipeline, fact)
        forked = [(fact.parent, root_span(fact.parent))] if isinstance(fact, PipelineForked) else []
        with self._saying(pipeline, fact.TYPE, links=forked, start=envelope.time):
            try:
                async with asyncio.timeout(self._submit_timeout_s):
                    sequence = await self._first(envelope)
            except TimeoutError:
                raise unavailable(
                    "the log did not confirm the submission in time; send it again with the same Idempotency-Key"
                ) from None
        self._reads.wrote(pipeline, sequence)

    @contextmanager
    def _saying(
        self, pipeline: str, what: str, *, links: Sequence[Link] = (), start: datetime | None = None
    ) -> Iterator[Span]:
        """The span of what a user says about a pipeline."""
        with (
            at(Place(pipeline, root_span(pipeline), recorder=self._recorder)),
            span(f"say {what}", kind="server", links=[*client_links(), *links], start=start) as said,
        ):
            said.set({"connectors.pipeline.id": pipeline})
            yield said

    async def _first(self, envelope: Envelope) -> int:
        while True:
            try:
                return await self._bus.log.append(envelope, expected_last=0)
            except Conflict:
                facts = await self._in_log(envelope.pipeline)
            if facts:
                sequence, stored = facts[0]
                if (stored.id, stored.data) != (envelope.id, envelope.data):
                    detail = "this Idempotency-Key was used for another request; take a new one"
                    raise Problem(422, "key-reused", detail)
                return sequence
            await asyncio.sleep(RETRY_S)

    async def _in_log(self, pipeline: str) -> list[tuple[int, Envelope]]:
        """The pipeline's facts; none while the bus does not answer."""
        try:
            return await self._bus.log.history(pipeline)
        except StreamUnavailable:
            return []

    async def cancel(self, pipeline: str) -> None:
        """Ask for the end of a pipeline and tell every process at once.

        Raises:
            Problem: 404, or 409: it has ended otherwise.
        """

        def choose(state: PipelineState) -> tuple[str, Fact] | None:
            if state.status is Status.CANCELLED or state.cancel:
                return None
            _still_open(state)
            return event_id(pipeline, "cancel", Service.GATEWAY), PipelineCancelRequested()

        await self.say(pipeline, choose)
        await self._bus.nc.publish(subjects.cancel(pipeline), b"")

    async def pause(self, pipeline: str, key: str | None) -> None:
        """Hold the pipeline's decisions; running work goes on.

        Raises:
            Problem: 404, or 409: it has ended.
        """
        await self._level(pipeline, PipelinePauseRequested(), key, wanted=True)

    async def resume(self, pipeline: str, key: str | None) -> None:
        """
        Raises:
            Problem: 404, or 409: it has ended.
        """
        await self._level(pipeline, PipelineResumeRequested(), key, wanted=False)

    async def _level(self, pipeline: str, fact: Fact, key: str | None, *, wanted: bool) -> None:
        id = event_id(pipeline, f"{fact.TYPE}/{key or clock.new_id()}", Service.GATEWAY)

        def choose(state: PipelineState) -> tuple[str, Fact] | None:
            _still_open(state)
            if state.pause_wanted is wanted or id in state.commands:
                return None
            return id, fact

        await self.say(pipeline, choose)

    async def approve(self, pipeline: str, request: str, *, granted: bool, by: str, reason: str) -> None:
        """Answer the `approval.requested` whose event id is ``request``; the first answer counts.

        Raises:
            Problem: 404, or 409: the pipeline has ended, waits for no answer to this, or was answered otherwise.
        """
        kind = ApprovalGranted if granted else ApprovalDenied
        id = event_id(pipeline, request, Service.GATEWAY)
        if await self._answered(pipeline, id, kind):
            return

        def choose(state: PipelineState) -> tuple[str, Fact]:
            _still_open(state)
            if state.approval is None:
                raise Problem(409, "nothing-to-approve", f"pipeline {pipeline} waits for no approval")
            if state.approval != request:
                detail = f"pipeline {pipeline} waits for an answer to {state.approval}, not to {request[:100]}"
                raise Problem(409, "another-request", detail)
            return id, kind(request=request, by=by, reason=reason)

        await self.say(pipeline, choose)
        await self._answered(pipeline, id, kind)  # through another gateway, another answer may have come first

    async def _answered(self, pipeline: str, id: str, kind: type[Fact]) -> bool:
        """Whether the log has this answer, which has the same ``id`` whatever it says.

        Raises:
            Problem: 409: it has the other one.
        """
        said = next((fact for _, fact in await self._bus.log.history(pipeline) if fact.id == id), None)
        if said is not None and said.type != kind.TYPE:
            raise Problem(409, "answered-otherwise", f"this request was answered already: {said.type}")
        return said is not None

    async def say(self, pipeline: str, choose: Choose) -> None:
        """Append what ``choose`` makes of the newest state.

        Raises:
            Problem: 404, or what ``choose`` raises.
            UnknownFact: the pipeline has a fact that is newer than this code.
        """

        def decide(folded: Folded) -> Envelope | None:
            if not folded.state.id:
                raise not_found(f"there is no pipeline {pipeline}")
            chosen = choose(folded.state)
            if chosen is None:
                return None
            saying.rename(f"say {chosen[1].TYPE}")
            return _said(chosen[0], pipeline, chosen[1])

        with self._saying(pipeline, "nothing") as saying:
            folded = await self._states.load(pipeline)
            said = await append_decided(self._bus.log, self._states, folded, pipeline, decide)
            if said is None:
                saying.drop()
            else:
                self._reads.wrote(pipeline, said.last)


def _still_open(state: PipelineState) -> None:
    if state.imported:
        detail = f"pipeline {state.id} was imported: its history can be read and forked, nothing is at work here"
        raise Problem(409, "imported", detail)
    if state.status.final:
        raise Problem(409, "already-final", f"pipeline {state.id} has ended: {state.status}")


def _said(id: str, pipeline: str, fact: Fact) -> Envelope:
    return wrap(fact, id=id, pipeline=pipeline, source=Service.GATEWAY, time=clock.now(), causation=None)
