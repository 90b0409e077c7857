"""The test reviewer as the loop would call it: real artifacts in, one fact and its feedback out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from contracts import events
from contracts.artifacts import JSON_MEDIA_TYPE
from contracts.errors import Permanent
from contracts.events import TestsReviewed, Verdict
from contracts.pipeline import PipelineState, Task
from contracts.reports import Check, FeedbackList, Isolation, Outcome, StreamProof, TestCase, TestReport
from contracts.services import Service
from infra.runtime.agent import Job, Tools
from infra.runtime.artifacts import MemoryArtifacts
from services.test_reviewer.handler import agent, parents_of, run
from services.test_reviewer.settings import Settings
from tests.support.blueprints import blueprint, child, stream

KNOWN = blueprint(
    stream("contacts"),
    stream("companies"),
    child("deals", "contacts", "/contacts/{contact_id}/deals", "contact_id"),
)
READ = Check(id="completeness/contacts/page", kind="completeness", stream="contacts", outcome=Outcome.PASSED)
LOST = Check(
    id="completeness/companies/page",
    kind="completeness",
    stream="companies",
    outcome=Outcome.FAILED,
    message="0 of 20 records",
    suspects=("selector",),
)
WELL = TestCase(id="tests/test_read.py::test_contacts", outcome=Outcome.PASSED, stream="contacts")


class Desk:
    """A pipeline whose connector has just been tested, and the agent over it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.artifacts = MemoryArtifacts()
        self.told: list[str] = []

    async def state(self, **changes: Any) -> PipelineState:
        """``changes`` to the report; the streams are proven unless a check of them failed."""
        code = await self.artifacts.put_tree({"src/source_small_crm/__init__.py": b""})
        tests = await self.artifacts.put_tree({"tests/test_read.py": b"def test_contacts(): ..."})
        fixtures = await self.artifacts.put(b"{}", JSON_MEDIA_TYPE)
        parts = {"checks": (READ,), "cases": (WELL,), **changes}
        failing = {check.stream for check in parts["checks"] if check.outcome is Outcome.FAILED}
        proofs = tuple(StreamProof(stream=each.name, proven=each.name not in failing) for each in KNOWN.streams)
        report = TestReport(
            mode=events.TesterMode.GENERATE,
            code=code.sha256,
            tests=tests.sha256,
            fixtures=fixtures.sha256,
            isolation=Isolation(kind="bubblewrap"),
            streams=proofs,
            **parts,
        )
        return PipelineState(
            id="1" * 32,
            name="small-crm",
            streams=len(KNOWN.streams),
            blueprint=await self.artifacts.put(KNOWN.model_dump_json().encode(), JSON_MEDIA_TYPE),
            code=code,
            tests=tests,
            fixtures=fixtures,
            test_report=await self.artifacts.put(report.model_dump_json().encode(), JSON_MEDIA_TYPE),
        )

    async def review(self, state: PipelineState) -> tuple[TestsReviewed, FeedbackList]:
        job = Job(Task(id="task", service=Service.TEST_REVIEWER), state)
        fact = await run(job, self.folder, Tools(self.artifacts, self._tell))
        assert isinstance(fact, TestsReviewed)
        return fact, FeedbackList.model_validate_json(await self.artifacts.get(fact.feedback))

    async def _tell(self, message: str, *, done: int | None = None, total: int | None = None) -> None:
        self.told.append(message)


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
