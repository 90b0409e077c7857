"""`tests.passed`, `tests.failed` or `test_review.requested` -> `tests.reviewed`."""

from __future__ import annotations

import asyncio
from pathlib import Path

from contracts.artifacts import JSON_MEDIA_TYPE, ArtifactRef
from contracts.blueprint import ApiBlueprint, Choices, option_key
from contracts.errors import Permanent
from contracts.events import Fact, TestsReviewed
from contracts.pipeline import PipelineState
from contracts.reports import TestReport
from contracts.services import Service
from infra.runtime.agent import Agent, Job, Tools
from services.test_reviewer.judge import Judgement, judge
from services.test_reviewer.settings import Settings


def agent(settings: Settings) -> Agent:
    """``settings`` has nothing yet that a verdict could depend on."""
    return Agent(Service.TEST_REVIEWER, run)


async def run(job: Job, workspace: Path, tools: Tools) -> Fact:
    """Judge the pipeline's newest test report.

    Raises:
        Permanent: something is missing, or the report is about other trees than the pipeline's.
    """
    state = job.state
    report = await tools.artifacts.get(_required(state.test_report, "test report"))
    blueprint = await tools.artifacts.get(_required(state.blueprint, "blueprint"))
    judgement = await asyncio.to_thread(_judged, state, report, blueprint)
    await tools.progress(f"{judgement.verdict}: {judgement.reason}")
    return TestsReviewed(
        verdict=judgement.verdict,
        feedback=await tools.artifacts.put(judgement.feedback.model_dump_json().encode(), JSON_MEDIA_TYPE),
        streams_proven=judgement.proven,
        streams_total=judgement.total,
        degraded=judgement.degraded,
        reason=judgement.reason,
    )


def _judged(state: PipelineState, report: bytes, blueprint: bytes) -> Judgement:
    tested, known = TestReport.model_validate_json(report), ApiBlueprint.model_validate_json(blueprint)
    _check_binding(tested, state)
    streams = [stream.name for stream in known.streams]
    return judge(tested, streams, state.degraded, parents=parents_of(known, state.choices))


def parents_of(blueprint: ApiBlueprint, choices: Choices) -> dict[str, str]:
    """Stream -> its parent stream, as this code was compiled."""
    found = {}
    for stream in blueprint.streams:
        rank = choices.get(option_key(stream.name, "parent"), 0)
        parent = stream.parent.chosen(min(rank, len(stream.parent.options) - 1))
        if parent is not None:
            found[stream.name] = parent.stream
    return found


def _check_binding(report: TestReport, state: PipelineState) -> None:
    """A result counts only for the trees that were run: an old one is never read as a new one.

    Permanent, because the facts of a log do not change: the same report would be read again.
    """
    for what, tested, ref in (
        ("code", report.code, state.code),
        ("tests", report.tests, state.tests),
        ("fixtures", report.fixtures, state.fixtures),
    ):
        newest = _required(ref, what).sha256
        if tested != newest:
            raise Permanent(
                f"the test report is stale: it is about {what} {tested[:12]}, the pipeline has {newest[:12]}; "
                "the tests have to be run again",
                where=what,
            )


def _required(ref: ArtifactRef | None, what: str) -> ArtifactRef:
    if ref is None:
        raise Permanent(f"there is no test run to judge: the pipeline has no {what} yet")
    return ref
