"""`publish.requested` -> `connector.published`."""

from __future__ import annotations

import asyncio
from functools import partial
from pathlib import Path
from typing import TypeVar

from contracts.artifacts import ArtifactRef, Tree
from contracts.base import Frozen
from contracts.blueprint import ApiBlueprint
from contracts.catalogue import CatalogueEntry
from contracts.errors import Permanent
from contracts.events import ConnectorPublished, Fact
from contracts.pipeline import PipelineState
from contracts.reports import ReviewReport, TestReport
from contracts.services import Service
from infra.runtime import clock
from infra.runtime.agent import Agent, Job, Tools
from infra.runtime.claude.announce import announced_models
from infra.runtime.claude.engine import model_for
from infra.runtime.confinement import check_confined
from infra.runtime.toolchain import prepare_async
from services.publisher.build import Distributions, build
from services.publisher.package import check_evidence, distribution_name, merge, package_name
from services.publisher.prose import Prose
from services.publisher.settings import Settings
from services.publisher.shelf import Shelf
from services.publisher.trial import try_wheel

WHEEL_MEDIA_TYPE = "application/vnd.pypa.wheel+zip"
SDIST_MEDIA_TYPE = "application/gzip"

M = TypeVar("M", bound=Frozen)


def agent(settings: Settings) -> Agent:
    return Agent(Service.PUBLISHER, partial(_run, settings), models=announced_models(Service.PUBLISHER))


async def run(job: Job, workspace: Path, tools: Tools) -> Fact:
    """Publish with the settings of the environment."""
    return await _run(Settings(), job, workspace, tools)


async def _run(settings: Settings, job: Job, workspace: Path, tools: Tools) -> Fact:
    state = job.state
    code_ref, tests_ref = _required(state.code, "code"), _required(state.tests, "tests")
    report_ref = _required(state.test_report, "test report")
    review_ref = _required(state.review_report, "review")
    report = await _model(TestReport, report_ref, tools)
    review = await _model(ReviewReport, review_ref, tools)
    check_evidence(code_ref.sha256, tests_ref.sha256, report, review)
    if state.code_by_model:
        await check_confined(settings)

    package, distribution = package_name(state.name), distribution_name(state.name)
    shelf = Shelf(settings.output_dir.absolute(), distribution)
    version = await asyncio.to_thread(shelf.reserve, state.id)
    code, tests = await tools.artifacts.get_tree(code_ref), await tools.artifacts.get_tree(tests_ref)
    prose = await _prose(job, {**tests, **code}, report, review, workspace, tools)
    tree = merge(state.name, version, code, tests, report, prose)
    await tools.progress(f"building {distribution} {version}")
    toolchain = await prepare_async()
    made = await build(tree, package, version, workspace, toolchain, settings)
    await tools.progress("installing the wheel in a clean environment")
    await try_wheel(made.wheel_file, made.wheel, distribution, workspace, toolchain, settings)

    entry = await _entry(state, version, tree, made, report, review, tools)
    before = await asyncio.to_thread(shelf.entry, version)
    if before is not None and before.package == entry.package:  # delivered again: published is published
        entry = entry.model_copy(update={"published": before.published})
    files = {
        made.wheel_file: made.wheel,
        made.sdist_file: made.sdist,
        "report.json": await tools.artifacts.get(report_ref),
        "review.json": await tools.artifacts.get(review_ref),
    }
    await asyncio.to_thread(shelf.put, entry, files)
    kept = await asyncio.to_thread(shelf.show, version, tree)
    if kept is not None:
        await tools.progress(f"{shelf.shown.name} had been edited; the edited copy is kept as {kept.name}")
    await tools.progress(f"published {distribution} {version}")
    return ConnectorPublished(version=version, package=entry.package, wheel=entry.wheel, sdist=entry.sdist)


async def _prose(
    job: Job, package: Tree, report: TestReport, review: ReviewReport, workspace: Path, tools: Tools
) -> Prose | None:
    """A model's, with the engine `claude` only. A connector that is proven is worth more than its prose: where
    there will be none, it is published without."""
    try:
        model = model_for(job, tools, left=False)
        if model is None:
            return None
        # Loaded where there is a model only: it costs every start otherwise.
        from services.publisher.claude import prose_of

        await tools.progress("asking a model for the prose")
        blueprint = await _model(ApiBlueprint, _required(job.state.blueprint, "blueprint"), tools)
        return await prose_of(package, blueprint, report, review, model, workspace / "model")
    except Permanent as error:
        await tools.progress(f"publishing without a model's prose: {error.what}")
        return None


async def _entry(
    state: PipelineState,
    version: str,
    tree: dict[str, bytes],
    made: Distributions,
    report: TestReport,
    review: ReviewReport,
    tools: Tools,
) -> CatalogueEntry:
    """Store what is published and describe it."""
    blueprint = await _model(ApiBlueprint, _required(state.blueprint, "blueprint"), tools)
    degraded = sorted({*state.degraded, *report.degraded})
    unproven = sorted(proof.stream for proof in report.streams if not proof.proven and proof.stream not in degraded)
    return CatalogueEntry(
        name=state.name,
        distribution=distribution_name(state.name),
        version=version,
        title=blueprint.title,
        outcome=state.outcome or ("partial" if degraded or unproven else "success"),
        streams=tuple(stream.name for stream in blueprint.streams if stream.name not in degraded),
        degraded=tuple(degraded),
        unproven=tuple(unproven),
        score=review.score,
        pipeline=state.id,
        published=clock.now(),
        code=report.code,
        package=await tools.artifacts.put_tree(tree),
        wheel=await tools.artifacts.put(made.wheel, WHEEL_MEDIA_TYPE),
        wheel_file=made.wheel_file,
        sdist=await tools.artifacts.put(made.sdist, SDIST_MEDIA_TYPE),
        sdist_file=made.sdist_file,
        report=_required(state.test_report, "test report"),
        review=_required(state.review_report, "review"),
    )


async def _model(model: type[M], ref: ArtifactRef, tools: Tools) -> M:
    return model.model_validate_json(await tools.artifacts.get(ref))


def _required(ref: ArtifactRef | None, what: str) -> ArtifactRef:
    if ref is None:
        raise Permanent(f"there is nothing to publish: the pipeline has no {what} yet")
    return ref
