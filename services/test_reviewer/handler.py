"""`tests.passed`, `tests.failed` or `test_review.requested` -> `tests.reviewed`."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path

from contracts.artifacts import JSON_MEDIA_TYPE, ArtifactRef
from contracts.blueprint import ApiBlueprint, Choices, option_key
from contracts.errors import Permanent
from contracts.events import Fact, TestsReviewed
from contracts.pipeline import PipelineState
from contracts.reports import TestReport
from contracts.services import Service
from infra.runtime.agent import Agent, Job, Tools
from infra.runtime.claude.announce import announced_models
from infra.runtime.claude.engine import model_for
from services.test_reviewer.judge import Judgement, Opinion, judge, unvouched
from services.test_reviewer.settings import Settings


def agent(settings: Settings) -> Agent:
    """``settings`` has nothing yet that a verdict could depend on."""
    return Agent(Service.TEST_REVIEWER, run, models=announced_models(Service.TEST_REVIEWER))


async def run(job: Job, workspace: Path, tools: Tools) -> Fact:
    """Judge the pipeline's newest test report.

    Raises:
        Permanent: something is missing, the report is about other trees than the pipeline's, or a model that was
            to be asked gave no answer.
        Transient, BudgetReached: as `Model.converse`.
    """
    state = job.state
    report = await tools.artifacts.get(_required(state.test_report, "test report"))
    blueprint = await tools.artifacts.get(_required(state.blueprint, "blueprint"))
    tested, known = await asyncio.to_thread(_loaded, state, report, blueprint)
    opinions = await _opinions(job, tested, known, workspace, tools)
    judgement = await asyncio.to_thread(_judged, state, tested, known, opinions)
    await tools.progress(f"{judgement.verdict}: {judgement.reason}")
    return TestsReviewed(
        verdict=judgement.verdict,
        feedback=await tools.artifacts.put(judgement.feedback.model_dump_json().encode(), JSON_MEDIA_TYPE),
        streams_proven=judgement.proven,
        streams_total=judgement.total,
        degraded=judgement.degraded,
        reason=judgement.reason,
    )


def _loaded(state: PipelineState, report: bytes, blueprint: bytes) -> tuple[TestReport, ApiBlueprint]:
    tested = TestReport.model_validate_json(report)
    _check_binding(tested, state)
    return tested, ApiBlueprint.model_validate_json(blueprint)


async def _opinions(
    job: Job, report: TestReport, blueprint: ApiBlueprint, workspace: Path, tools: Tools
) -> dict[str, Opinion]:
    """A model's, of the failed tests that the kit says nothing of: there is no other referee for these."""
    asked = unvouched(report, job.state.degraded)
    model = model_for(job, tools, left=True) if asked else None
    if model is None:
        return {}
    # Loaded where there is a model only: it costs every start otherwise.
    from services.test_reviewer.claude import opinions_on

    await tools.progress(f"asking a model about {len(asked)} failed tests that the kit says nothing of")
    code = await tools.artifacts.get_tree(_required(job.state.code, "code"))
    tests = await tools.artifacts.get_tree(_required(job.state.tests, "tests"))
    return await opinions_on(asked, report, blueprint, {**tests, **code}, model, workspace)


def _judged(
    state: PipelineState, report: TestReport, blueprint: ApiBlueprint, opinions: Mapping[str, Opinion]
) -> Judgement:
    streams = [stream.name for stream in blueprint.streams]
    parents = parents_of(blueprint, state.choices)
    return judge(report, streams, state.degraded, parents=parents, opinions=opinions)


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
