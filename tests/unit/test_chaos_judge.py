"""The judge of a chaos run must see each kind of damage, and call an undamaged run clean."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from contracts import events as e
from contracts.envelope import Envelope
from contracts.pipeline import fold
from contracts.services import AGENTS, Service
from tests.chaos.agents import Begun
from tests.chaos.judge import Message, Seen, histories, judge
from tests.chaos.plays import Play, played, undisturbed
from tests.support.facts import subject
from tests.support.log import PIPELINE
from tests.support.scripted import CONTENTS

STORED = datetime(2026, 11, 22, 12, tzinfo=UTC)
PLAY = next(play for n in range(99) if undisturbed(play := Play.of(f"judged-{n}")).status == "success")


def seen_of(facts: list[Envelope]) -> Seen:
    """A run in which these facts were recorded, and the copy is as it should be."""
    stream = [Message(n, subject(fact), fact.encode(), STORED) for n, fact in enumerate(facts, start=1)]
    return Seen(
        accepted={PIPELINE: PLAY},
        stream=stream,
        rows=[(one.sequence, one.subject, one.payload) for one in stream],
        states={id: fold(facts) for id, facts in histories(stream).items()},
        artifacts=dict(CONTENTS),
        begun=[],
    )


FACTS = played(PLAY)
SEEN = seen_of(FACTS)
ANSWER = next(fact for fact in FACTS if fact.source in AGENTS)
ANSWERED_AT = STORED.timestamp()


def test_an_undamaged_run_is_clean() -> None:
    begun = [Begun(ANSWER.source, PIPELINE, ANSWER.causation or "", ANSWERED_AT - 1)]
    assert judge(replace(SEEN, begun=begun)).clean


def without_its_end() -> Seen:
    return seen_of(FACTS[:-1])


def never_written() -> Seen:
    return replace(seen_of([]), states={})


def ended_otherwise() -> Seen:
    """Every fact is there, but the router gave up at the end."""
    failed = e.PipelineFailed(reason="out of luck")
    end = FACTS[-1].model_copy(update={"type": failed.TYPE, "data": failed.model_dump(mode="json")})
    return seen_of([*FACTS[:-1], end])


@pytest.mark.parametrize("damage", [without_its_end, never_written, ended_otherwise])
def test_a_pipeline_that_did_not_end_as_it_should_is_lost(damage: Callable[[], Seen]) -> None:
    verdict = judge(damage())
    assert len(verdict.lost) == 1
    assert PLAY.name in verdict.lost[0]
    assert not verdict.clean


def test_every_pipeline_ends_as_itself_with_pauses_and_renewed_work() -> None:
    """What a pause adds to a log is no difference."""
    at = next(n for n, fact in enumerate(FACTS) if fact.type == e.TestsRequested.TYPE) + 1
    renewed = FACTS[at - 1].model_copy(update={"id": "renewed", "causation": FACTS[at - 1].id})
    verdict = judge(seen_of([*FACTS[:at], renewed]))
    assert ["did not end" in line for line in verdict.lost] == [True]


def fact_twice() -> Seen:
    return seen_of([*FACTS, FACTS[1]])


def answer_twice() -> Seen:
    return seen_of([*FACTS, ANSWER.model_copy(update={"id": "another"})])


def done_again() -> Seen:
    late = STORED + timedelta(seconds=5)
    return replace(SEEN, begun=[Begun(ANSWER.source, PIPELINE, ANSWER.causation or "", late.timestamp())])


@pytest.mark.parametrize(
    ("damage", "told"),
    [(fact_twice, "in the log 2 times"), (answer_twice, "answered task"), (done_again, "had answered it")],
)
def test_what_is_there_twice_is_duplicated(damage: Callable[[], Seen], told: str) -> None:
    assert any(told in line for line in judge(damage()).duplicated)


def test_a_copy_that_is_not_the_stream_is_divergent() -> None:
    sequence, where, payload = SEEN.rows[3]
    assert judge(replace(SEEN, rows=SEEN.rows[:-1])).divergent == (f"the copy lacks sequence {len(FACTS)}",)
    changed = [*SEEN.rows[:3], (sequence, where, payload + b" "), *SEEN.rows[4:]]
    assert judge(replace(SEEN, rows=changed)).divergent == ("stream and copy differ in sequence 4",)
    more = [*SEEN.rows, (99, where, payload)]
    assert judge(replace(SEEN, rows=more)).divergent == ("only the copy has sequence 99",)


def test_a_state_that_is_not_the_fold_is_divergent() -> None:
    wrong = {PIPELINE: fold(FACTS[:-1])}
    assert "is not the fold" in judge(replace(SEEN, states=wrong)).divergent[0]
    assert "is not the fold" in judge(replace(SEEN, states={})).divergent[0]


def test_an_artifact_that_is_missing_or_damaged_is_divergent() -> None:
    for content in ({}, dict.fromkeys(CONTENTS, b"damaged")):
        assert "does not hold the artifact" in judge(replace(SEEN, artifacts=content)).divergent[0]


def test_a_task_that_was_killed_three_times_may_be_given_up_and_no_other() -> None:
    task = FACTS[0].id
    gave_up = e.AgentFailed(
        service="research", kind="permanent", what="research was started 3 times and never answered", attempt=1
    )
    told = ANSWER.model_copy(
        update={"id": "end", "causation": task, "type": gave_up.TYPE, "data": gave_up.model_dump(mode="json")}
    )
    failed = e.PipelineFailed(reason="research failed")
    end = FACTS[-1].model_copy(update={"type": failed.TYPE, "data": failed.model_dump(mode="json")})
    damaged = seen_of([FACTS[0], told, end])
    begun = [Begun(Service.RESEARCH, PIPELINE, task, ANSWERED_AT - n) for n in (5, 4, 3)]

    verdict = judge(replace(damaged, begun=begun))
    assert (verdict.given_up, verdict.lost) == ((PIPELINE,), ())
    verdict = judge(replace(damaged, begun=begun[:2]))
    assert (verdict.given_up, len(verdict.lost)) == ((), 1)
