"""`tests.requested` -> `tests.passed` or `tests.failed`."""

from __future__ import annotations

import asyncio
from functools import partial
from pathlib import Path
from time import monotonic

from contracts.artifacts import JSON_MEDIA_TYPE, ArtifactRef
from contracts.blueprint import ApiBlueprint
from contracts.errors import Permanent
from contracts.events import Engine, Fact, TesterMode, TestsFailed, TestsPassed, Verdict
from contracts.pipeline import PipelineState
from contracts.reports import Feedback, FeedbackList, Outcome, TestReport
from contracts.services import Service
from contracts.simulation import SimulatedApi
from infra.runtime.agent import Agent, Artifacts, Job, Tools
from infra.runtime.claude.announce import announced_models
from infra.runtime.claude.engine import model_for
from infra.runtime.confinement import check_confined
from infra.runtime.toolchain import prepare_async
from services.tester.package_tests.by_model import is_by_model
from services.tester.settings import Settings
from services.tester.work import Author, Package, examine


def agent(settings: Settings) -> Agent:
    return Agent(Service.TESTER, partial(_run, settings), models=announced_models(Service.TESTER))


async def run(job: Job, workspace: Path, tools: Tools) -> Fact:
    """Test with the settings of the environment.

    Raises:
        Permanent: the pipeline has no code, no blueprint or no fixtures yet.
        Transient: the sandbox does not work, or the toolchain could not be prepared.
    """
    return await _run(Settings(), job, workspace, tools)


async def _run(settings: Settings, job: Job, workspace: Path, tools: Tools) -> Fact:
    began = monotonic()
    state, mode = job.state, TesterMode(job.task.mode or TesterMode.GENERATE)
    code, fixtures = _required(state.code, "code"), _required(state.fixtures, "simulated API")
    package = await _loaded(state, mode, job.task.feedback or state.feedback, tools.artifacts)
    if state.code_by_model or any(map(is_by_model, package.tests)):
        await check_confined(settings)
    if state.engine is Engine.CLAUDE and tools.model is None and mode is not TesterMode.RERUN:
        await tools.progress("the tester has no model here: the tests are those that it writes itself")
    python = (await prepare_async()).python
    tested = await examine(
        package,
        mode,
        workspace=workspace,
        python=python,
        settings=settings,
        say=tools.progress,
        author=_author(settings, job, package, workspace, tools),
    )
    tests = await tools.artifacts.put_tree(tested.tests)
    report = TestReport(
        mode=mode,
        code=code.sha256,
        tests=tests.sha256,
        fixtures=fixtures.sha256,
        isolation=tested.isolation,
        checks=tested.checks,
        cases=tested.cases,
        streams=tested.streams,
        degraded=state.degraded,
        duration_s=round(monotonic() - began, 3),
        kit=tested.kit,
    )
    proven = sum(proof.proven for proof in tested.streams)
    await tools.progress(f"{proven} of {len(tested.streams)} streams read completely")
    return await _answer(report, code, fixtures, tests, tools.artifacts)


def _author(settings: Settings, job: Job, package: Package, workspace: Path, tools: Tools) -> Author | None:
    """A model that adds tests of its own; none where only those that there are run again.

    Where the tester has no model it goes on with its own tests, whatever the engine: in a cluster it has neither
    key nor a way out, since it runs other people's code, and the verdict does not need a model.
    """
    if job.task.mode == TesterMode.RERUN or tools.model is None or model_for(job, tools, left=True) is None:
        return None
    from services.tester import claude  # where no model works nothing of it is loaded

    return claude.author(settings, job, package, workspace, tools)


async def _answer(
    report: TestReport, code: ArtifactRef, fixtures: ArtifactRef, tests: ArtifactRef, artifacts: Artifacts
) -> Fact:
    outcomes = [*(check.outcome for check in report.checks), *(case.outcome for case in report.cases)]
    failed = outcomes.count(Outcome.FAILED)
    fact = TestsFailed if failed else TestsPassed
    return fact(
        mode=report.mode,
        code=code,
        fixtures=fixtures,
        tests=tests,
        report=await artifacts.put(report.model_dump_json().encode(), JSON_MEDIA_TYPE),
        passed=outcomes.count(Outcome.PASSED),
        failed=failed,
    )


async def _loaded(
    state: PipelineState, mode: TesterMode, feedback: ArtifactRef | None, artifacts: Artifacts
) -> Package:
    blueprint = await artifacts.get(_required(state.blueprint, "blueprint"))
    api = await artifacts.get(_required(state.fixtures, "simulated API"))
    return Package(
        code=await artifacts.get_tree(_required(state.code, "code")),
        api=await asyncio.to_thread(SimulatedApi.model_validate_json, api),
        blueprint=await asyncio.to_thread(ApiBlueprint.model_validate_json, blueprint),
        choices=state.choices,
        degraded=state.degraded,
        tests=await artifacts.get_tree(state.tests) if state.tests else {},
        invalid=await _invalid(feedback, mode, artifacts),
    )


async def _invalid(ref: ArtifactRef | None, mode: TesterMode, artifacts: Artifacts) -> tuple[Feedback, ...]:
    """What the test reviewer found wrong with the tests themselves."""
    if ref is None or mode is not TesterMode.FIX:
        return ()
    feedback = FeedbackList.model_validate_json(await artifacts.get(ref))
    return tuple(item for item in feedback.items if item.verdict is Verdict.INVALID)


def _required(ref: ArtifactRef | None, what: str) -> ArtifactRef:
    if ref is None:
        raise Permanent(f"there is nothing to test: the pipeline has no {what} yet")
    return ref
