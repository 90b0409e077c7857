"""A model adds tests of its own to a package, and repairs them. How they end is measured by us, without it."""

from __future__ import annotations

import asyncio
from pathlib import Path

from pydantic import BaseModel, Field

from contracts.artifacts import Tree
from contracts.errors import Permanent
from contracts.events import TesterMode
from contracts.services import Service
from infra.runtime.agent import Job, Tools
from infra.runtime.claude.brief import Accept, Brief, WebSearch
from infra.runtime.claude.engine import model_for
from infra.runtime.claude.prompts import prompt
from infra.runtime.confinement import check_confined
from infra.runtime.isolated import run_isolated
from infra.runtime.notes import feedback_note
from infra.runtime.sources import broken_sources
from infra.runtime.trees import read_tree, write_tree
from services.tester.package_tests.by_model import is_by_model, objections, with_theirs
from services.tester.package_tests.cases import Case
from services.tester.settings import Settings
from services.tester.work import Author, Package

MAX_TURNS = {TesterMode.GENERATE: 60, TesterMode.FIX: 40}
COMPILE_TIMEOUT_S = 30
COMPILE_MEMORY_BYTES = 1024 * 1024 * 1024
_TOLD = 10
_MAX_SUMMARY = 1_000
_MAX_TOLD = 300


class Outcome(BaseModel):
    """What the model says of its work. What its tests come to is measured."""

    done: bool = Field(description="false: no test is worth adding, or none can be mended")
    summary: str = Field(max_length=_MAX_SUMMARY, description="what is tested now, or why nothing more is")


def author(settings: Settings, job: Job, package: Package, workspace: Path, tools: Tools) -> Author:
    """Asks a model where the pipeline's engine has it asked; else gives back the tests as they are.

    Args:
        workspace: the attempt's folder, for one of its own in it.
    """
    mode = TesterMode(job.task.mode or TesterMode.GENERATE)
    named = frozenset(Case(item.test).file for item in package.invalid if item.test)

    async def write(tests: Tree) -> Tree:
        left = mode is TesterMode.FIX and (tests == package.tests or any(map(is_by_model, named)))
        model = model_for(job, tools, left=left)
        if model is None:
            return tests
        await check_confined(settings)
        theirs = {path: content for path, content in package.tests.items() if is_by_model(path)}
        start = {**tests, **theirs}  # those that the repair has removed, too: they may be mended
        notes = {"notes/feedback.md": feedback_note(package.invalid)} if package.invalid else {}
        folder = workspace / "by-model"
        await asyncio.to_thread(write_tree, folder, {**package.code, **start, **notes})

        async def accept(outcome: Outcome) -> str | None:
            return await _objection(start, folder, named) if outcome.done else None

        outcome = await model.converse(_brief(mode, package, accept), folder)
        written = with_theirs(start, await asyncio.to_thread(read_tree, folder)) if outcome.done else tests
        count = sum(map(is_by_model, written))
        told = " ".join(outcome.summary.split())[:_MAX_TOLD]
        await tools.progress(f"{count} files of tests are by the model: {told}")
        return written

    return write


async def _objection(start: Tree, folder: Path, named: frozenset[str]) -> str | None:
    """Why what is in the workspace is not what was asked for."""
    workspace = await asyncio.to_thread(read_tree, folder)
    found = list(objections(start, workspace, filter(is_by_model, named)))
    sources = {path: content for path, content in workspace.items() if is_by_model(path)}
    try:
        found += await run_isolated(
            broken_sources, sources, timeout_s=COMPILE_TIMEOUT_S, memory_bytes=COMPILE_MEMORY_BYTES
        )
    except Permanent as error:  # the sources broke the process that looked through them
        found.append(f"the tests cannot be looked through: {error.what}")
    return "; ".join(found[:_TOLD]) or None


def _brief(mode: TesterMode, package: Package, accept: Accept[Outcome]) -> Brief[Outcome]:
    first = "notes/feedback.md" if mode is TesterMode.FIX and package.invalid else "tests/conftest.py"
    return Brief(
        system=prompt(Service.TESTER, mode),
        task=(
            f"The package is in /workspace, its code in /workspace/src/{package.module}, the tests that there are"
            f" in /workspace/tests. Read {first} first."
        ),
        outcome=Outcome,
        tools=("read", "write", "edit", "bash"),
        web=(WebSearch(),),
        max_turns=MAX_TURNS[mode],
        accept=accept,
    )
