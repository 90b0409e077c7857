"""The test reviewer as the loop would call it: real artifacts in, one fact and its feedback out."""

from __future__ import annotations

from pathlib import Path

import pytest

from contracts.artifacts import JSON_MEDIA_TYPE
from contracts.errors import Permanent
from contracts.events import Verdict
from contracts.reports import Outcome, TestCase
from contracts.services import Service
from services.test_reviewer.handler import agent, parents_of
from services.test_reviewer.settings import Settings
from tests.support.tested import KNOWN, LOST, READ, WELL, Desk


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


async def test_a_run_without_failures_is_a_pass_with_full_coverage(desk: Desk) -> None:
    fact, feedback = await desk.review(await desk.state())
    assert (fact.verdict, fact.streams_proven, fact.streams_total) == (Verdict.VALID_PASS, 3, 3)
    assert (fact.degraded, feedback.items) == ((), ())
    assert desk.told == [f"VALID_PASS: {fact.reason}"]


async def test_a_stream_that_is_left_out_counts_as_unproven_and_is_no_failure(desk: Desk) -> None:
    state = (await desk.state()).model_copy(update={"degraded": ("deals",)})
    fact, feedback = await desk.review(state)
    assert (fact.verdict, fact.streams_proven, fact.streams_total) == (Verdict.VALID_PASS, 2, 3)
    assert (fact.degraded, feedback.items) == (("deals",), ())


async def test_feedback_is_stored_for_the_generator(desk: Desk) -> None:
    fact, feedback = await desk.review(await desk.state(checks=(READ, LOST)))
    assert (fact.verdict, fact.degraded) == (Verdict.VALID_FAIL, ("companies",))
    (item,) = feedback.items
    assert (item.stream, item.suspects) == ("companies", ("selector",))
    assert "completeness/companies/page" in fact.reason


async def test_feedback_is_stored_for_the_tester(desk: Desk) -> None:
    wrong = TestCase(id="tests/test_read.py::test_canned", outcome=Outcome.FAILED, confirms=READ.id)
    fact, feedback = await desk.review(await desk.state(cases=(WELL, wrong)))
    assert fact.verdict is Verdict.INVALID
    assert [(item.verdict, item.test) for item in feedback.items] == [(Verdict.INVALID, wrong.id)]


async def test_children_fail_because_of_the_parent_that_the_blueprint_names(desk: Desk) -> None:
    parent = LOST.model_copy(update={"id": "completeness/contacts/page", "stream": "contacts"})
    below = LOST.model_copy(update={"id": "completeness/deals/over-parents", "stream": "deals"})
    below = below.model_copy(update={"suspects": ("parent", "request")})
    fact, feedback = await desk.review(await desk.state(checks=(parent, below)))
    assert [item.stream for item in feedback.items] == ["contacts", "contacts"]
    assert fact.degraded == ("contacts", "deals")


def test_parents_are_those_of_the_options_taken() -> None:
    assert parents_of(KNOWN, {}) == {"deals": "contacts"}
    assert parents_of(KNOWN, {"streams.deals.parent": 5}) == {"deals": "contacts"}


async def test_the_same_report_gives_the_same_fact(desk: Desk) -> None:
    state = await desk.state(checks=(READ, LOST))
    assert await desk.review(state) == await desk.review(state)


@pytest.mark.parametrize("what", ["code", "tests", "fixtures"])
async def test_a_report_about_another_tree_is_refused(desk: Desk, what: str) -> None:
    newer = await desk.artifacts.put(b"newer", JSON_MEDIA_TYPE)
    state = (await desk.state()).model_copy(update={what: newer})
    with pytest.raises(Permanent, match="stale") as refused:
        await desk.review(state)
    assert refused.value.where == what


@pytest.mark.parametrize("what", ["test_report", "blueprint", "code", "tests", "fixtures"])
async def test_a_pipeline_that_lacks_something_is_refused_with_words(desk: Desk, what: str) -> None:
    state = (await desk.state()).model_copy(update={what: None})
    with pytest.raises(Permanent, match=what.replace("_", " ")):
        await desk.review(state)


def test_the_agent_is_the_test_reviewer() -> None:
    assert agent(Settings()).service is Service.TEST_REVIEWER
