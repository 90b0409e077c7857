"""Asks a model what tools cannot see in the code. Its findings are added to the measured ones and replace none."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, Field, StringConstraints

from contracts.artifacts import Tree
from contracts.blueprint import ApiBlueprint
from contracts.reports import Finding, Severity, TestReport, results_json
from contracts.services import Service
from infra.runtime.agent import Model
from infra.runtime.claude.brief import Brief
from infra.runtime.claude.prompts import prompt
from infra.runtime.trees import write_tree

RULE = "claude"
MAX_FINDINGS = 30
MAX_TURNS = 60
_NAMED = 5

Message = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=300)]


class ModelFinding(BaseModel):
    """Never critical: that one finding keeps a connector from being published at all, and stays for what was
    measured."""

    severity: Literal[Severity.HIGH, Severity.MEDIUM, Severity.LOW]
    message: Message
    file: str | None = None
    line: int | None = Field(default=None, ge=1)
    stream: str | None = None


class Findings(BaseModel):
    findings: list[ModelFinding] = Field(max_length=MAX_FINDINGS)


async def findings_of(
    code: Tree,
    tests: Tree,
    blueprint: ApiBlueprint,
    report: TestReport,
    measured: Sequence[Finding],
    model: Model,
    folder: Path,
) -> list[Finding]:
    """What the model objects to besides what was ``measured``: at most `MAX_FINDINGS`, of rule `RULE`.

    Args:
        folder: where what the model reads is laid out; made if missing.

    Raises:
        Permanent, Transient, BudgetReached: as `Model.converse`.
    """
    papers = {
        "report.json": results_json(report),
        "blueprint.json": blueprint.model_dump_json(indent=1).encode(),
        "measured.txt": "".join(f"{_line(finding)}\n" for finding in measured).encode(),
    }
    await asyncio.to_thread(write_tree, folder / "package", {**tests, **code})
    await asyncio.to_thread(write_tree, folder, papers)
    streams = {stream.name for stream in blueprint.streams}

    async def placed(outcome: Findings) -> str | None:
        return "; ".join(misplaced(outcome.findings, code, streams)) or None

    brief = Brief(
        system=prompt(Service.REVIEWER, "REVIEW", most=str(MAX_FINDINGS)),
        task=f"Review the connector in /workspace/package. {len(measured)} findings were measured before.",
        outcome=Findings,
        tools=("read", "glob", "grep"),
        max_turns=MAX_TURNS,
        accept=placed,
    )
    outcome = await model.converse(brief, folder)
    return [
        Finding(rule=RULE, **{**one.model_dump(), "message": " ".join(one.message.split())})
        for one in outcome.findings
    ]


def misplaced(findings: Sequence[ModelFinding], code: Tree, streams: Collection[str]) -> Iterator[str]:
    """Why findings are about nothing that is there, the first few. Tests are no place: what answers a review
    (IMPROVE) changes the code alone."""
    faults = (fault for one in findings if (fault := _misplaced(one, code, streams)))
    yield from (fault for _, fault in zip(range(_NAMED), faults, strict=False))


def _misplaced(finding: ModelFinding, code: Tree, streams: Collection[str]) -> str | None:
    file, line, stream = finding.file, finding.line, finding.stream
    if stream is not None and stream not in streams:
        return f"{stream[:100]!r} is no stream of the blueprint"
    if file is None:
        return f"line {line} of which file?" if line else None
    if file not in code:
        return f"{file[:100]!r} is no file of the connector's code (paths are relative to /workspace/package)"
    lines = len(code[file].splitlines())
    return f"{file} has {lines} lines, no line {line}" if line and line > lines else None


def _line(finding: Finding) -> str:
    place = ":".join(str(part) for part in (finding.file, finding.line) if part is not None)
    return " ".join(f"{finding.severity} {finding.rule} {place} {finding.message}".split())
