"""Asks a model about failed tests that the kit says nothing of. What its opinions may change, `judge` decides."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, StringConstraints

from contracts.artifacts import Tree
from contracts.blueprint import ApiBlueprint
from contracts.events import Verdict
from contracts.reports import Check, TestCase, TestReport, results_json
from contracts.services import Service
from infra.runtime.agent import Model
from infra.runtime.claude.brief import Brief
from infra.runtime.claude.prompts import prompt
from infra.runtime.trees import write_tree
from services.test_reviewer.catalogue import as_list, explain
from services.test_reviewer.judge import Opinion

MAX_ASKED = 40
"""Failed tests in one conversation; of those beyond, what holds without a model: they are the code's."""

MAX_MESSAGE_CHARS = 4_000
MAX_TURNS = 40
_NAMED = 5

Reason = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=300)]


class CaseOpinion(BaseModel):
    """``test`` is the test's id as ``failures.md`` has it."""

    test: str
    verdict: Literal[Verdict.VALID_FAIL, Verdict.INVALID]
    reason: Reason


class Opinions(BaseModel):
    opinions: list[CaseOpinion]


async def opinions_on(
    unvouched: Sequence[TestCase],
    report: TestReport,
    blueprint: ApiBlueprint,
    package: Tree,
    model: Model,
    folder: Path,
) -> dict[str, Opinion]:
    """Id of a test -> the model's opinion, of each of ``unvouched`` (at most `MAX_ASKED`).

    Args:
        package: code and tests.
        folder: an empty one; what the model reads is laid out in it.

    Raises:
        Permanent, Transient, BudgetReached: as `Model.converse`.
    """
    asked = unvouched[:MAX_ASKED]
    papers = {
        "report.json": results_json(report),
        "blueprint.json": blueprint.model_dump_json(indent=1).encode(),
        "failures.md": failures(asked, {check.id: check for check in report.checks}).encode(),
    }
    await asyncio.to_thread(write_tree, folder / "package", package)
    await asyncio.to_thread(write_tree, folder, papers)

    async def complete(outcome: Opinions) -> str | None:
        return unfit(outcome, [_line(case.id) for case in asked])

    brief = Brief(
        system=prompt(Service.TEST_REVIEWER, "JUDGE", catalogue=as_list()),
        task=f"{len(asked)} failed tests are in /workspace/failures.md. Say of each whose fault it is.",
        outcome=Opinions,
        tools=("read", "glob", "grep"),
        max_turns=MAX_TURNS,
        accept=complete,
    )
    outcome = await model.converse(brief, folder)
    given = {one.test: Opinion(one.verdict, one.reason) for one in outcome.opinions}
    return {case.id: given[_line(case.id)] for case in asked}


def failures(asked: Sequence[TestCase], checks: Mapping[str, Check]) -> str:
    """What failed, in Markdown: each test's id, what is known of it, and its message as an indented block."""
    return "".join(_section(number, case, checks) for number, case in enumerate(asked, 1))


def _section(number: int, case: TestCase, checks: Mapping[str, Check]) -> str:
    check = checks.get(case.confirms or "")
    judged = f"{check.id}, {check.outcome}: {_line(check.message)}" if check else "none"
    known = [
        f"- test: {_line(case.id)}",
        f"- stream: {_line(case.stream or 'none')}",
        f"- pattern: {explain(case.message).words}",
        f"- the kit's check of the same: {judged}",
    ]
    message = "\n".join(f"    {line}" for line in case.message[:MAX_MESSAGE_CHARS].splitlines())
    return f"## {number}\n\n" + "\n".join(known) + f"\n\n{message}\n\n"


def _line(text: str) -> str:
    return " ".join(text.split())


def unfit(outcome: Opinions, asked: Sequence[str]) -> str | None:
    """Why ``outcome`` is no answer to what was asked: each test exactly once, and no other."""
    given = Counter(one.test for one in outcome.opinions)
    faults = (
        ("these tests have no opinion", [test for test in asked if test not in given]),
        ("these have more than one", [test for test, count in given.items() if count > 1]),
        ("these were not asked about", [test for test in given if test not in asked]),
    )
    found = [f"{words}: {', '.join(tests[:_NAMED])}" for words, tests in faults if tests]
    return "; ".join(found) or None
