"""Asks a model for the prose of the package's papers. What of it is published, `prose` decides."""

from __future__ import annotations

import asyncio
from pathlib import Path

from contracts.artifacts import Tree
from contracts.blueprint import ApiBlueprint
from contracts.reports import ReviewReport, TestReport, results_json
from contracts.services import Service
from infra.runtime.agent import Model
from infra.runtime.claude.brief import Brief
from infra.runtime.claude.prompts import prompt
from infra.runtime.trees import write_tree
from services.publisher.prose import Prose, faults, known_hosts

MAX_TURNS = 30


async def prose_of(
    package: Tree,
    blueprint: ApiBlueprint,
    report: TestReport,
    review: ReviewReport,
    model: Model,
    folder: Path,
) -> Prose:
    """The model's prose, without `faults`.

    Args:
        package: code and tests.
        folder: where what the model reads is laid out; made if missing.

    Raises:
        Permanent, Transient, BudgetReached: as `Model.converse`.
    """
    papers = {
        "report.json": results_json(report),
        "review.json": review.model_dump_json(indent=1).encode(),
        "blueprint.json": blueprint.model_dump_json(indent=1).encode(),
    }
    await asyncio.to_thread(write_tree, folder / "package", package)
    await asyncio.to_thread(write_tree, folder, papers)
    hosts = known_hosts(blueprint)

    async def publishable(outcome: Prose) -> str | None:
        return faults(outcome, hosts)

    brief = Brief(
        system=prompt(Service.PUBLISHER, "PUBLISH", hosts=", ".join(sorted(hosts)) or "none"),
        task="Write the prose for the package in /workspace/package.",
        outcome=Prose,
        tools=("read", "glob", "grep"),
        max_turns=MAX_TURNS,
        accept=publishable,
    )
    return await model.converse(brief, folder)
