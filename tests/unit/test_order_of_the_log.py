"""The order is the log's (no clock decides anything), and what was decided stays decided."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta

import pytest

from contracts import events as e
from contracts.envelope import Envelope
from contracts.pipeline import PipelineState, evolve
from contracts.policy import Policy
from contracts.services import Service
from services.router.policy import decide
from tests.chaos.plays import Play, played
from tests.support.log import Log
from tests.support.scripted import HAPPY, bad_code, researched, transient

BEGIN = datetime(2026, 11, 22, tzinfo=UTC)

Clock = Callable[[int], datetime]


def both_halves_fail() -> list[Envelope]:
    """Generator and fixtures wait for their back-offs at the same time."""
    log = Log()
    log.say(Service.GATEWAY, e.PipelineSubmitted(name="halves"))
    log.answer(log.state.tasks[0], researched)
    for task in log.state.tasks:
        log.answer(task, transient)
    log.route()
    while not log.state.status.final:
        log.answer(log.state.tasks[0], HAPPY[log.state.tasks[0].service])
        log.route()
    return log.facts


LIVES = [both_halves_fail(), *(played(Play.of(f"order-{n}")) for n in range(40))]


def decided(facts: Sequence[Envelope], clock: Clock) -> list[list[str]]:
    """What the router would say after each fact, if these had been written at the times of ``clock``."""
    state, said = PipelineState(), []
    for n, fact in enumerate(facts):
        state = evolve(state, fact.model_copy(update={"time": clock(n)}))
        said.append([decision.id for decision in decide(state, state.policy, code_version="test")])
    return said


@pytest.mark.parametrize(
    "clock",
    [lambda n: BEGIN - timedelta(hours=n), lambda n: BEGIN, lambda n: BEGIN + timedelta(days=(n * 7919) % 31)],
    ids=["stepping back", "standing still", "jumping"],
)
def test_clock_decides_nothing(clock: Clock) -> None:
    for facts in LIVES:
        assert decided(facts, clock) == decided(facts, lambda n: BEGIN + timedelta(seconds=n))


def test_what_another_policy_and_older_code_decided_is_not_decided_again() -> None:
    log = Log()
    log.say(Service.GATEWAY, e.PipelineSubmitted(name="decided"))
    answers = {**HAPPY, Service.TEST_REVIEWER: bad_code()}
    while log.state.verdict is None:
        log.answer(log.state.tasks[0], answers[log.state.tasks[0].service])
        if log.state.verdict is None:
            log.route()
    (today,) = log.decisions()
    assert today.fact.TYPE == e.GenerationRequested.TYPE

    other = Policy(code_repairs=0)  # under which the code is not repaired, but researched again
    (then,) = decide(log.state, other, code_version="0.0.1")
    assert then.fact.TYPE == e.ResearchRequested.TYPE
    log.append(then)
    assert log.decisions() == ()
    assert [task.service for task in log.state.tasks] == [Service.RESEARCH]
