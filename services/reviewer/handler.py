"""`review.requested` -> `review.approved` or `review.rejected`."""

from __future__ import annotations

import asyncio
from functools import partial
from pathlib import Path

from contracts.artifacts import JSON_MEDIA_TYPE, ArtifactRef
from contracts.blueprint import ApiBlueprint
from contracts.conformance import summary_of
from contracts.errors import Permanent, Rejected
from contracts.events import Fact, ReviewApproved, ReviewRejected
from contracts.pipeline import PipelineState
from contracts.reports import Finding, ReviewReport, Severity, TestReport
from contracts.services import Service
from infra.runtime.agent import Agent, Job, Tools
from infra.runtime.claude.announce import announced_models
from infra.runtime.claude.engine import model_for
from infra.runtime.confinement import check_confined
from infra.runtime.isolated import run_isolated
from infra.runtime.toolchain import prepare_async
from infra.runtime.trees import write_tree
from services.reviewer import verdict
from services.reviewer.own import own_findings
from services.reviewer.settings import Settings
from services.reviewer.tools import mypy_findings, ruff_findings
from services.reviewer.warm_types import warm_types


def agent(settings: Settings) -> Agent:
    return Agent(Service.REVIEWER, partial(_run, settings), models=announced_models(Service.REVIEWER))


async def run(job: Job, workspace: Path, tools: Tools) -> Fact:
    """Review with the settings of the environment."""
    return await _run(Settings(), job, workspace, tools)


async def _run(settings: Settings, job: Job, workspace: Path, tools: Tools) -> Fact:
    code_ref = _required(job.state.code, "code")
    if job.state.code_by_model:
        await check_confined(settings)
    blueprint = await tools.artifacts.get(_required(job.state.blueprint, "blueprint"))
    tested = await tools.artifacts.get(_required(job.state.test_report, "test report"))
    measured = await _findings(settings, job.state, blueprint, tested, workspace, tools)
    known, proof = ApiBlueprint.model_validate_json(blueprint), TestReport.model_validate_json(tested)
    findings = sorted([*measured, *await _of_a_model(job, known, proof, measured, workspace, tools)], key=_order)
    judgement = verdict.judge(findings, known, proof, min_score=settings.min_score)
    review = ReviewReport(
        code=code_ref.sha256,
        score=verdict.score(findings),
        findings=tuple(findings),
        conformance=summary_of(proof),
    )
    review_ref = await tools.artifacts.put(review.model_dump_json().encode(), JSON_MEDIA_TYPE)
    await tools.progress(f"score {review.score}: {judgement.reason}")
    if judgement.blame is None:
        return ReviewApproved(report=review_ref, score=review.score)
    items = verdict.feedback(findings, judgement, known, proof)
    return ReviewRejected(
        report=review_ref,
        score=review.score,
        blame=judgement.blame,
        critical=sum(finding.severity is Severity.CRITICAL for finding in findings),
        feedback=await tools.artifacts.put(items.model_dump_json().encode(), JSON_MEDIA_TYPE),
        reason=judgement.reason,
    )


async def _findings(
    settings: Settings, state: PipelineState, blueprint: bytes, report: bytes, workspace: Path, tools: Tools
) -> list[Finding]:
    """ruff, mypy and our own checks, side by side; sorted, so that the same tree gives the same report."""
    code_ref = _required(state.code, "code")
    code = await tools.artifacts.get_tree(code_ref)
    tests = await tools.artifacts.get_tree(_required(state.tests, "tests"))
    await tools.progress(f"reviewing {len(code)} files and {len(tests)} of tests")
    toolchain = await prepare_async()
    warm_cache = await asyncio.to_thread(warm_types, toolchain)
    for folder in ("lint", "types"):
        await asyncio.to_thread(write_tree, workspace / folder, {**tests, **code})
    arguments = (state.name, code, tests, blueprint, report, code_ref.sha256, state.choices, state.degraded)
    async with asyncio.TaskGroup() as group:
        linted = group.create_task(ruff_findings(workspace / "lint", settings))
        typed = group.create_task(mypy_findings(workspace / "types", toolchain, warm_cache, settings))
        own = group.create_task(_own(arguments, settings))
    return sorted([*own.result(), *linted.result(), *typed.result()], key=_order)


async def _of_a_model(
    job: Job,
    blueprint: ApiBlueprint,
    report: TestReport,
    measured: list[Finding],
    workspace: Path,
    tools: Tools,
) -> list[Finding]:
    """With the engine `claude` only: the rules leave nothing open that `auto` would have to ask about."""
    model = model_for(job, tools, left=False)
    if model is None:
        return []
    # Loaded where there is a model only: it costs every start otherwise.
    from services.reviewer.claude import findings_of

    await tools.progress("asking a model")
    code = await tools.artifacts.get_tree(_required(job.state.code, "code"))
    tests = await tools.artifacts.get_tree(_required(job.state.tests, "tests"))
    return await findings_of(code, tests, blueprint, report, measured, model, workspace / "model")


async def _own(arguments: tuple[object, ...], settings: Settings) -> list[Finding]:
    """In a child process: a tree that cannot even be looked at is a finding, too."""
    try:
        found = await run_isolated(
            own_findings, *arguments, timeout_s=settings.tool_timeout_s, memory_bytes=settings.tool_memory_bytes
        )
    except Rejected as error:
        return [Finding(severity=Severity.CRITICAL, rule="review unfinished", message=error.what)]
    return [Finding.model_validate(item) for item in found]


def _order(finding: Finding) -> tuple[str, str, int, str]:
    return finding.file or "", finding.rule, finding.line or 0, finding.message


def _required(ref: ArtifactRef | None, what: str) -> ArtifactRef:
    if ref is None:
        raise Permanent(f"there is nothing to review: the pipeline has no {what} yet")
    return ref
