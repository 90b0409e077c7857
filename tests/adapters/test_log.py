"""The event log on a real server."""

from __future__ import annotations

import asyncio

import pytest

from contracts import subjects
from contracts.envelope import Envelope, wrap
from contracts.events import PipelineCancelRequested, PipelinePauseRequested, PipelineSubmitted
from contracts.pipeline import evolve
from infra.runtime import clock
from infra.runtime.bus import Bus
from infra.runtime.log import Conflict, EventLog, Folded, States, append_decided
from tests.support.nats import append, submit


def pause(pipeline: str, id: str | None = None) -> Envelope:
    return wrap(
        PipelinePauseRequested(),
        id=id or clock.new_id(),
        pipeline=pipeline,
        source="gateway",
        time=clock.now(),
        causation=None,
    )


async def test_append_behind_another_fact_is_a_conflict(bus: Bus) -> None:
    pipeline = await submit(bus)
    await append(bus, pipeline, PipelineCancelRequested())
    with pytest.raises(Conflict) as conflict:
        await bus.log.append(pause(pipeline), expected_last=1)
    assert conflict.value.last == 2
    assert len(await bus.log.history(pipeline)) == 2


async def test_append_of_a_stored_id_is_a_conflict_not_a_second_fact(bus: Bus) -> None:
    pipeline = await submit(bus)
    envelope = pause(pipeline)
    sequence = await bus.log.append(envelope, expected_last=1)
    for expected in (1, sequence):
        with pytest.raises(Conflict):
            await bus.log.append(envelope, expected_last=expected)
    assert len(await bus.log.history(pipeline)) == 2


async def test_appends_to_other_pipelines_do_not_conflict(bus: Bus) -> None:
    one, other = await submit(bus), await submit(bus)
    await bus.log.append(pause(other), expected_last=2)
    assert await bus.log.append(pause(one), expected_last=1) == 4


async def test_history_after_a_sequence_has_only_later_facts_in_order(bus: Bus) -> None:
    pipeline, other = await submit(bus), await submit(bus)
    for _ in range(5):
        await append(bus, pipeline, PipelinePauseRequested())
        await append(bus, other, PipelinePauseRequested())
    sequences = [sequence for sequence, _ in await bus.log.history(pipeline, after=3)]
    assert sequences == [5, 7, 9, 11]
    assert await bus.log.history(pipeline, after=11) == []
    assert await bus.log.history("0" * 32) == []


async def test_history_longer_than_one_batch_is_complete(bus: Bus) -> None:
    pipeline = await submit(bus)
    last = 1
    for _ in range(600):
        last = await bus.log.append(pause(pipeline), expected_last=last)
    assert [sequence for sequence, _ in await bus.log.history(pipeline)] == list(range(1, 602))


async def test_message_that_is_no_envelope_does_not_block_its_pipeline(bus: Bus) -> None:
    pipeline = await submit(bus)
    await bus.js.publish(subjects.event(pipeline, "tests.failed"), b"rubbish")
    facts, last = await bus.log.read(pipeline)
    assert ([sequence for sequence, _ in facts], last) == ([1], 2)
    assert await bus.log.append(pause(pipeline), expected_last=2) == 3


class LosesAnswers(EventLog):
    """Stores, and then behaves as if the acknowledgement never came."""

    lost = 0

    async def append(self, envelope: Envelope, *, expected_last: int) -> int:
        sequence = await super().append(envelope, expected_last=expected_last)
        self.lost += 1
        raise Conflict(f"no answer for {sequence}")


async def test_append_whose_acknowledgement_is_lost_finds_itself(bus: Bus) -> None:
    pipeline = await submit(bus)
    log = LosesAnswers(bus.nc, bus.reader)
    states = States(log, evolve)
    envelope = pause(pipeline)
    folded = await append_decided(log, states, await states.load(pipeline), pipeline, lambda _: envelope)
    assert folded is not None
    assert folded.state.pause_wanted
    assert log.lost == 1
    assert len(await bus.log.history(pipeline)) == 2


async def test_refused_decision_is_decided_again_on_the_newer_state(bus: Bus) -> None:
    pipeline = await submit(bus)
    states = States(bus.log, evolve)
    stale = await states.load(pipeline)
    await append(bus, pipeline, PipelineCancelRequested())
    seen: list[int] = []

    def decide(folded: Folded) -> Envelope | None:
        seen.append(folded.state.position)
        return None if folded.state.cancel else pause(pipeline)

    assert await append_decided(bus.log, states, stale, pipeline, decide) is None
    assert seen == [1, 2]


async def test_many_writers_of_one_pipeline_all_get_in_once(bus: Bus) -> None:
    pipeline = await submit(bus)
    ids = [clock.new_id() for _ in range(12)]

    async def write(id: str) -> None:
        states = States(bus.log, evolve)
        await append_decided(bus.log, states, await states.load(pipeline), pipeline, lambda _: pause(pipeline, id))

    await asyncio.gather(*(write(id) for id in ids))
    facts = await bus.log.history(pipeline)
    assert sorted(envelope.id for _, envelope in facts[1:]) == sorted(ids)


async def test_state_is_folded_from_deliveries_without_a_read_and_loaded_after_a_gap(bus: Bus) -> None:
    states = States(bus.log, evolve)
    pipeline = clock.new_id()
    first = wrap(
        PipelineSubmitted(name="x"), id="1", pipeline=pipeline, source="t", time=clock.now(), causation=None
    )
    await bus.log.append(first, expected_last=0)
    absorbed = states.absorb(1, 0, first)
    assert absorbed is not None
    assert absorbed.last == 1
    await append(bus, pipeline, PipelinePauseRequested())
    third = await append(bus, pipeline, PipelineCancelRequested())
    assert states.absorb(3, 2, third) is None
    loaded = await states.load(pipeline, at_least=3)
    assert (loaded.last, loaded.state.position) == (3, 3)


async def test_cache_of_states_is_bounded(bus: Bus) -> None:
    states = States(bus.log, evolve, capacity=2)
    pipelines = [await submit(bus) for _ in range(3)]
    for pipeline in pipelines:
        await states.load(pipeline)
    assert [states.peek(pipeline) is not None for pipeline in pipelines] == [False, True, True]
