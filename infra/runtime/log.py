"""The event log: facts are appended by compare-and-set, and a pipeline's history is read in one request.

The stream ``EVENTS`` is the authority (design.md, rules 1, 4 and 6). How to append:

    folded = await states.load(pipeline)                      # state, and the sequence it is folded up to
    envelope = wrap(...)                                      # decided on that state
    await log.append(envelope, expected_last=folded.last)     # refused if anything came in between

or, with reload and another decision when it was refused: `append_decided`.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

import nats.errors
from nats.aio.client import Client
from pydantic import ValidationError

from contracts import subjects
from contracts.envelope import Envelope
from contracts.errors import Transient
from contracts.lineage import MAX_GENERATIONS, forked
from contracts.pipeline import PipelineState
from infra.runtime.direct import DirectReader, Stored
from infra.runtime.telemetry import context, metrics

logger = logging.getLogger(__name__)

WRONG_LAST_SEQUENCE = {10071, 10164}
"""JetStream errors of a refused expectation: on one node, and by the leader of a cluster."""

PREVIOUS = "Nats-Expected-Last-Subject-Sequence"
"""Stored with every fact: the sequence of the pipeline's fact before it (0 for its first)."""

_FILTER = "Nats-Expected-Last-Subject-Sequence-Subject"
_MAX_DECISIONS = 50

Evolve = Callable[[PipelineState, Envelope], PipelineState]


class Conflict(Transient):
    """The fact was not (or may not have been) stored: another came first, or no answer came in time.

    Reload, look for your own id, decide again. ``last`` is the sequence that the server named, or 0.
    """

    def __init__(self, what: str, *, where: str | None = None, last: int = 0) -> None:
        super().__init__(what, where=where)
        self.last = last


class LogFull(Transient):
    """The stream, or its disk, is full."""


@dataclass(frozen=True)
class Folded:
    """A pipeline's state, and the stream sequence of the last fact in it (0: none yet)."""

    state: PipelineState
    last: int


class EventLog:
    """Appends to and reads from the stream ``EVENTS``."""

    def __init__(self, nc: Client, reader: DirectReader, *, timeout_s: float = 5.0) -> None:
        self._nc = nc
        self._reader = reader
        self._timeout_s = timeout_s

    async def append(self, envelope: Envelope, *, expected_last: int) -> int:
        """Store ``envelope`` if the pipeline's last fact is at ``expected_last``; return its sequence.

        Raises:
            Conflict: another fact came first, this id is already stored, or no answer came in time.
            LogFull: the stream's or the disk's limit is reached.
        """
        pipeline = envelope.pipeline
        headers = {
            "Nats-Msg-Id": envelope.id,
            PREVIOUS: str(expected_last),
            _FILTER: subjects.history(pipeline),
            context.HEADER: context.traceparent(pipeline),
        }
        spell = subjects.imported if envelope.imported else subjects.event
        subject = spell(pipeline, envelope.type)
        try:
            reply = await self._nc.request(subject, envelope.encode(), timeout=self._timeout_s, headers=headers)
        except (TimeoutError, nats.errors.Error) as error:
            metrics.CONFLICTS.inc()
            raise Conflict(f"the log did not confirm {envelope.type}: {error!r}", where=pipeline) from error
        sequence = _sequence(json.loads(reply.data), envelope)
        metrics.appended(envelope)
        return sequence

    async def history(self, pipeline: str, after: int = 0) -> list[tuple[int, Envelope]]:
        """The pipeline's facts after sequence ``after``, oldest first, as (sequence, envelope).

        What is no envelope is left out and logged: one broken message must not block a pipeline.

        Raises:
            StreamUnavailable: the bus did not answer.
        """
        facts, _ = await self.read(pipeline, after)
        return facts

    async def whole_history(
        self, pipeline: str, *, generations: int = MAX_GENERATIONS
    ) -> list[tuple[int, Envelope]]:
        """The pipeline's facts from its first on; a fork's begin with those that it shares with its parent.

        Raises:
            StreamUnavailable: the bus did not answer.
            UnknownFact: a fork is of a version newer than this code.
        """
        own = await self.history(pipeline)
        return await self.shared(own[0][1], generations=generations) + own if own else []

    async def shared(self, first: Envelope, *, generations: int = MAX_GENERATIONS) -> list[tuple[int, Envelope]]:
        """What a pipeline whose ``first`` own fact this is has from its parent: nothing, if it is no fork."""
        fork = forked(first)
        if fork is None or not generations:
            return []
        return (await self.whole_history(fork.parent, generations=generations - 1))[: fork.at]

    async def read(self, pipeline: str, after: int = 0) -> tuple[list[tuple[int, Envelope]], int]:
        """`history`, and the sequence of the last message, be it an envelope or not: what an append must expect."""
        stored = await self._reader.since(subjects.EVENTS_STREAM, subjects.history(pipeline), after + 1)
        facts: list[tuple[int, Envelope]] = []
        for message in stored:
            try:
                facts.append((message.sequence, _decoded(message)))
            except ValidationError:
                logger.error("message %d on %s is no envelope; it is ignored", message.sequence, message.subject)
        return facts, stored[-1].sequence if stored else after


def _decoded(message: Stored) -> Envelope:
    """Whether it was imported says its subject, which the bus lets only those write who may: not what it claims."""
    envelope = Envelope.decode(message.data)
    imported = True if subjects.is_imported(message.subject) else None
    return envelope if envelope.imported is imported else envelope.model_copy(update={"imported": imported})


def _sequence(answer: dict[str, object], envelope: Envelope) -> int:
    """The stored sequence out of a publish acknowledgement, or the typed error."""
    where = envelope.pipeline
    error = answer.get("error")
    if isinstance(error, dict):
        code, text = error.get("err_code"), str(error.get("description", ""))
        if code in WRONG_LAST_SEQUENCE:
            metrics.CONFLICTS.inc()
            digits = text.rpartition(":")[2].strip()
            raise Conflict(
                f"another fact came before {envelope.type}",
                where=where,
                last=int(digits) if digits.isdigit() else 0,
            )
        raise LogFull(f"the log refused {envelope.type}: {text} (code {code})", where=where)
    if answer.get("duplicate"):
        raise Conflict(f"{envelope.type} with id {envelope.id} is already stored", where=where)
    sequence = answer["seq"]
    assert isinstance(sequence, int)
    return sequence


class States:
    """Folded states by pipeline: bounded, the longest unused leaves first. Only the tail is ever read anew."""

    def __init__(self, log: EventLog, evolve: Evolve, *, capacity: int = 256) -> None:
        self._log = log
        self._evolve = evolve
        self._capacity = capacity
        self._states: OrderedDict[str, Folded] = OrderedDict()

    def peek(self, pipeline: str) -> Folded | None:
        """What is folded so far, without asking the bus."""
        return self._states.get(pipeline)

    async def load(self, pipeline: str, *, at_least: int = 0) -> Folded:
        """The state with every fact that the log has now, and at least up to sequence ``at_least``.

        A replica that lags behind may answer a direct read, hence ``at_least``: pass the sequence of the
        message that woke you.

        Raises:
            StreamUnavailable: the bus did not answer.
            UnknownFact: a fact is of a version newer than this code.
        """
        known = self._states.get(pipeline) or Folded(PipelineState(), 0)
        folded, _ = await self.advance(pipeline, known, at_least=at_least)
        return folded

    async def advance(
        self, pipeline: str, known: Folded, *, at_least: int = 0
    ) -> tuple[Folded, list[tuple[int, Envelope]]]:
        """`load` on top of ``known``, and the facts that came after it."""
        for attempt in range(20):
            facts, last = await self._log.read(pipeline, known.last)
            if last >= at_least:
                state = await self._fold(known.state, facts)
                return self._keep(pipeline, Folded(state, last)), facts
            await asyncio.sleep(min(0.01 * 2**attempt, 0.5))
        raise Transient(f"the log has message {at_least} but does not show it yet", where=pipeline)

    async def _fold(self, state: PipelineState, facts: list[tuple[int, Envelope]]) -> PipelineState:
        """Fold ``facts`` on ``state``; a fork starts from what it shares with its parent."""
        for _, envelope in facts:
            if state.position == 0:
                for _, inherited in await self._log.shared(envelope):
                    state = self._evolve(state, inherited)
            state = self._evolve(state, envelope)
        return state

    def absorb(self, sequence: int, previous: int, envelope: Envelope) -> Folded | None:
        """Fold a delivered fact without asking the bus, if the state is known up to the fact right before it.

        ``previous`` is the fact's own header `PREVIOUS`. Returns None if something is missing: use `load`.
        """
        pipeline = envelope.pipeline
        folded = self._states.get(pipeline) if previous else Folded(PipelineState(), 0)
        if folded is None or folded.last != previous or (not previous and forked(envelope)):
            return None
        return self._keep(pipeline, Folded(self._evolve(folded.state, envelope), sequence))

    def _keep(self, pipeline: str, folded: Folded) -> Folded:
        known = self._states.get(pipeline)
        if known is not None and known.last >= folded.last:
            folded = known
        self._states[pipeline] = folded
        self._states.move_to_end(pipeline)
        if len(self._states) > self._capacity:
            self._states.popitem(last=False)
        return folded


async def append_decided(
    log: EventLog,
    states: States,
    folded: Folded,
    pipeline: str,
    decide: Callable[[Folded], Envelope | None],
    *,
    fold: bool = True,
) -> Folded | None:
    """Append what ``decide`` makes of the state; when refused, reload and let it decide again.

    ``decide`` gets the newest state and returns the envelope, or None if there is nothing to say any more.

    Returns:
        The state with the envelope in it (without ``fold``: the one it was decided on), or None if ``decide``
        had nothing to say. When the append was answered too late but happened, it is found by its id and not
        repeated.

    Raises:
        Transient: the bus does not answer, or others were faster 50 times.
    """
    for attempt in range(_MAX_DECISIONS):
        envelope = decide(folded)
        if envelope is None:
            return None
        try:
            sequence = await log.append(envelope, expected_last=folded.last)
        except Conflict as conflict:
            folded, facts = await states.advance(pipeline, folded, at_least=conflict.last)
            if any(fact.id == envelope.id for _, fact in facts):
                return folded
            await asyncio.sleep(0.001 * attempt)
            continue
        if not fold:
            return folded
        return states.absorb(sequence, folded.last, envelope) or await states.load(pipeline, at_least=sequence)
    raise Transient(f"other facts came first {_MAX_DECISIONS} times in a row", where=pipeline)
