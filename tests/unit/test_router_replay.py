"""A replay finds the first decision that today's policy or code would make otherwise, and nothing before it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts import events as e
from contracts.envelope import Envelope, UnknownFact, wrap
from contracts.pipeline import Status
from contracts.policy import Policy
from contracts.services import Service
from services.router.replay import Effect, Play, Replayed, Work
from tests.support import scripted as s
from tests.support.lives import lived, scripted
from tests.support.log import NOW, PIPELINE, Log

POLICIES = st.builds(
    Policy,
    test_repairs=st.integers(0, 2),
    code_repairs=st.integers(0, 2),
    review_cycles=st.integers(0, 2),
    researches=st.integers(0, 1),
    agent_retries=st.integers(0, 2),
    partial_percent=st.sampled_from([60, 80, 100]),
    approval=st.sampled_from(["none", "required"]),
)


def played(facts: Sequence[Envelope], policy: Policy | None = None) -> Replayed:
    play = Play(PIPELINE, (lambda _: policy) if policy else None)
    for fact in facts:
        play.fact(fact)
    return play.result()


def course(fact: Envelope) -> tuple[str, dict[str, Any]]:
    """What of a fact is the same under two policies that decide the same."""
    return fact.type, {k: v for k, v in fact.data.items() if k not in ("policy", "policy_hash", "reason")}


@settings(max_examples=150, deadline=None)
@given(policy=POLICIES, seed=st.integers(0, 1_000_000), cut=st.integers(1, 60))
def test_what_today_decided_is_the_same_today(policy: Policy, seed: int, cut: int) -> None:
    log = lived(policy, seed)

    result = played(log.facts[:cut])

    assert result.difference is None
    assert result.facts == min(cut, len(log.facts))
    assert result.decisions == len({fact.id for fact in log.facts[:cut] if fact.source == Service.ROUTER})
    assert played(log.facts, policy) == played(log.facts)


@settings(max_examples=300, deadline=None)
@given(recorded=POLICIES, tried=POLICIES, seed=st.integers(0, 1_000_000))
def test_the_first_difference_is_where_the_two_lives_part(recorded: Policy, tried: Policy, seed: int) -> None:
    """The oracle: the same world lived under the other policy."""
    log, other = lived(recorded, seed), lived(tried, seed)

    found = played(log.facts, tried).difference

    pairs = enumerate(zip(log.facts, other.facts, strict=False), start=1)
    parted = next((n for n, (one, two) in pairs if course(one) != course(two)), None)
    if parted is None and len(log.facts) == len(other.facts):
        assert found is None
        return
    at = parted or min(len(log.facts), len(other.facts)) + 1
    assert found is not None
    assert found.position == at
    if at <= len(other.facts) and found.today.type is not None:
        assert found.today.type == other.facts[at - 1].type


def test_a_repair_that_today_would_not_ask_for_is_work_saved() -> None:
    log = scripted(s.bad_code(7), s.good(), code_repairs=1, researches=0)
    slow = [fact.model_copy(update={"time": fact.time + timedelta(seconds=n)}) for n, fact in enumerate(log.facts)]

    result = played(slow, Policy(code_repairs=0, researches=0))

    difference = result.difference
    assert difference is not None
    assert (difference.recorded.text, difference.today.text) == ("generation FIX", "failed")
    assert difference.effect is Effect.SAVED
    assert log.facts[difference.position - 1].type == e.GenerationRequested.TYPE
    assert result.rest == Work(steps=5, rounds=1, retries=0, seconds=5.0)
    assert result.status is Status.SUCCESS
    assert result.work.steps == result.rest.steps + 5


def test_a_repair_that_today_would_ask_for_is_work_added() -> None:
    log = scripted(s.bad_code(7), code_repairs=0, researches=0)
    assert log.state.status is Status.FAILED

    result = played(log.facts, Policy(code_repairs=1, researches=0))

    assert result.difference is not None
    assert result.difference.effect is Effect.ADDED
    assert (result.difference.recorded.text, result.difference.today.text) == ("failed", "generation FIX")
    assert result.rest == Work()


def test_another_way_is_told_and_not_counted() -> None:
    log = scripted(s.bad_code(7), s.good(), code_repairs=1)

    result = played(log.facts, Policy(code_repairs=0))

    assert result.difference is not None
    assert result.difference.effect is Effect.OPEN
    assert result.difference.today.text == "research"


def test_a_failure_in_other_words_is_the_same_decision() -> None:
    log = scripted(s.bad_code(4), code_repairs=0, researches=0)
    facts = [f.model_copy(update={"data": {**f.data, "reason": "as it was once said"}}) for f in log.facts]

    assert played([*log.facts[:1], *facts[1:]]).difference is None


def test_a_decision_of_older_code_differs_and_says_what_made_it() -> None:
    """Older code went to the generator first, where today's asks research."""
    log = scripted(s.bad_code(4), s.good())
    at = next(n for n, fact in enumerate(log.facts) if fact.type == e.ResearchRequested.TYPE)
    fix = e.GenerationRequested(mode=e.GeneratorMode.FIX, policy_hash="0" * 12, code_version="0.0.9")
    old = log.facts[at].model_copy(update={"type": fix.TYPE, "data": fix.model_dump(mode="json")})

    difference = played([*log.facts[:at], old]).difference

    assert difference is not None
    assert (difference.position, difference.code_version, difference.policy_hash) == (at + 1, "0.0.9", "0" * 12)
    assert (difference.recorded.text, difference.today.text) == ("generation FIX", "research")


@pytest.mark.parametrize(("recorded", "tried", "said"), [(0, 2, "waits, then research again"), (2, 0, "failed")])
def test_fewer_or_more_retries_part_at_the_failure(recorded: int, tried: int, said: str) -> None:
    log = Log()
    log.say(Service.GATEWAY, e.PipelineSubmitted(name="sample", policy=Policy(agent_retries=recorded)))
    log.answer(log.state.tasks[0], s.transient)
    still_waiting = played(log.facts, Policy(agent_retries=tried)).difference
    log.route()

    difference = played(log.facts, Policy(agent_retries=tried)).difference

    assert difference is not None
    assert difference.position == 3
    assert difference.today.text.startswith(said)
    assert still_waiting is not None
    assert still_waiting.today == difference.today


def test_what_is_due_but_not_yet_recorded_is_pending_and_no_difference() -> None:
    log = scripted(s.good())
    cut = next(n for n, fact in enumerate(log.facts) if fact.type == e.TestsRequested.TYPE)

    result = played(log.facts[:cut])

    assert result.difference is None
    assert result.pending is not None
    assert result.pending.text == "tests GENERATE"


def test_a_decision_that_is_stored_twice_or_made_by_hand_is_not_compared() -> None:
    log = scripted(s.good())
    decided = [n for n, fact in enumerate(log.facts) if fact.source == Service.ROUTER]
    again = [*log.facts, log.facts[decided[0]]]
    stampless = {**log.facts[decided[0]].data, "policy_hash": "", "mode": "RERUN"}
    by_hand = log.facts[decided[0]].model_copy(update={"data": stampless})

    assert played(again).difference is None
    assert played(again).decisions == len(decided)
    assert played([*log.facts[: decided[0]], by_hand]).difference is None


def test_a_fork_answers_only_for_its_own_facts() -> None:
    parent = scripted(s.bad_code(7), s.good(), code_repairs=1)
    at = next(n for n, fact in enumerate(parent.facts, start=1) if fact.type == e.TestsReviewed.TYPE)
    child, policy = "c" * 32, Policy(code_repairs=0, researches=0)
    forked = e.PipelineForked(parent=PIPELINE, at=at, policy=policy)
    play = Play(child)

    for fact in parent.facts[:at]:
        assert play.fact(fact) is None
    play.fact(wrap(forked, id="f", pipeline=child, source=Service.GATEWAY, time=NOW, causation=None))

    result = play.result()
    assert (result.facts, result.work, result.difference) == (1, Work(), None)
    assert play.state.position == at + 1
    assert result.pending is not None
    assert result.pending.text == "failed"


def test_a_fact_of_newer_code_stops_the_replay() -> None:
    log = scripted(s.good())
    newer = log.facts[3].model_copy(update={"dataversion": 99})

    with pytest.raises(UnknownFact):
        played([*log.facts[:3], newer])
