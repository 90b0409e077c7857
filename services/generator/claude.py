"""A model works on the package: on what the compiler left, what no alternative mends, what a review found."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, Field

from contracts.artifacts import Tree
from contracts.errors import Permanent
from contracts.events import ConnectorGenerated, GeneratorMode
from contracts.pipeline import PipelineState
from contracts.services import Service
from infra.runtime.agent import Artifacts, Job, Model, Tools
from infra.runtime.claude.brief import Accept, Brief
from infra.runtime.claude.prompts import prompt
from infra.runtime.isolated import run_isolated
from infra.runtime.trees import read_tree, write_tree
from services.generator.notes import notes
from services.generator.offered import offered
from services.generator.package import changed_files, faults, sample_config, taken
from services.generator.settings import Settings

MAX_TURNS = {GeneratorMode.GENERATE: 80, GeneratorMode.FIX: 60, GeneratorMode.IMPROVE: 60}
UNCHANGED = (
    "nothing of the package has changed (notes/ and tests/ are no part of it); if nothing can be done, answer with"
    " done: false and say why"
)
_TOLD_FAULTS = 10
_MAX_SUMMARY = 1_000
_MAX_TOLD = 300


class Outcome(BaseModel):
    """What the model says of its work. That something changed, and what, is measured."""

    done: bool = Field(description="false: there is nothing to do here, or it cannot be done in this code")
    summary: str = Field(max_length=_MAX_SUMMARY, description="what was changed and why, or why nothing was")


@dataclass(frozen=True)
class Start:
    """Where the model begins: the ``package`` (its Python name) as it is, in ``tree``, without the ``degraded``
    streams. ``others`` lie beside it and are no part of it: notes, and the tests that there are."""

    mode: GeneratorMode
    package: str
    tree: dict[str, bytes]
    choices: dict[str, int]
    degraded: tuple[str, ...]
    others: Tree


async def work(
    model: Model,
    job: Job,
    made: dict[str, Any],
    given: tuple[bytes, bytes | None],
    settings: Settings,
    workspace: Path,
    tools: Tools,
) -> ConnectorGenerated | None:
    """Let the model finish, repair or improve the package; ``None``: it leaves that to the deterministic engine.

    Args:
        made: what that engine came to (`services.generator.work.generate`).
        given: the blueprint and the feedback.
        workspace: an empty folder.

    Raises:
        Permanent, Transient, BudgetReached: as `Model.converse`.
    """
    mode = GeneratorMode(job.task.mode or GeneratorMode.GENERATE)
    told = await asyncio.to_thread(notes, *given, made["left"])
    start = await _start(mode, job.state, made, told, tools.artifacts)
    folder = workspace / "package"
    await asyncio.to_thread(write_tree, folder, {**start.tree, **start.others})

    async def accept(outcome: Outcome) -> str | None:
        if not outcome.done:
            return None
        return await _objection(start, await asyncio.to_thread(read_tree, folder), settings)

    outcome = await model.converse(_brief(start, accept), folder)
    tree = taken(await asyncio.to_thread(read_tree, folder)) if outcome.done else start.tree
    changed = changed_files(tree, start.tree)
    await tools.progress(f"the model changed {len(changed)} files: {' '.join(outcome.summary.split())[:_MAX_TOLD]}")
    edited = job.state.code_by_model and mode is not GeneratorMode.GENERATE
    if not changed and not edited:
        return None
    shown = await _shown(tree, start, settings) if changed else frozenset[str]()
    return ConnectorGenerated(
        mode=mode,
        code=await tools.artifacts.put_tree(tree),
        choices=start.choices,
        degraded=tuple(name for name in start.degraded if name not in shown),
        by_model=True,
    )


async def _start(
    mode: GeneratorMode, state: PipelineState, made: dict[str, Any], notes: Tree, artifacts: Artifacts
) -> Start:
    """GENERATE begins with what was compiled; the others with the code as it was tested or reviewed."""
    if mode is GeneratorMode.GENERATE or state.code is None:
        return Start(mode, made["package"], made["tree"], made["choices"], tuple(made["degraded"]), notes)
    tests = await artifacts.get_tree(state.tests) if state.tests else {}
    code = await artifacts.get_tree(state.code)
    return Start(mode, made["package"], code, dict(state.choices), state.degraded, {**tests, **notes})


async def _objection(start: Start, workspace: Tree, settings: Settings) -> str | None:
    """Why what is in the workspace is not what was asked for."""
    tree = taken(workspace)
    try:
        found = await run_isolated(
            faults,
            tree,
            start.tree,
            start.package,
            timeout_s=settings.compile_timeout_s,
            memory_bytes=settings.compile_memory_bytes,
        )
    except Permanent as error:  # the sources broke the process that looked through them
        return f"the package cannot be looked through: {error.what}"
    if not found and start.mode is not GeneratorMode.GENERATE and not changed_files(tree, start.tree):
        return UNCHANGED
    return "; ".join(found[:_TOLD_FAULTS]) or None


def _brief(start: Start, accept: Accept[Outcome]) -> Brief[Outcome]:
    first = "notes/feedback.md" if "notes/feedback.md" in start.others else "notes/gaps.md"
    return Brief(
        system=prompt(Service.GENERATOR, start.mode),
        task=(
            f"The package is in /workspace, its code in /workspace/src/{start.package}. {len(start.degraded)}"
            f" streams of the API are not in it. Read {first} first."
        ),
        outcome=Outcome,
        tools=("read", "write", "edit", "glob", "grep", "bash"),
        max_turns=MAX_TURNS[start.mode],
        accept=accept,
    )


async def _shown(tree: Tree, start: Start, settings: Settings) -> frozenset[str]:
    """The streams that the package offers now, if any that were not in it may be among them."""
    spec = tree.get(f"src/{start.package}/spec.json")
    if not start.degraded or spec is None:
        return frozenset()
    try:
        config = sample_config(spec)
    except (ValueError, RecursionError):
        return frozenset()
    return await offered(tree, start.package, config, unconfined=settings.allow_unconfined_code)
