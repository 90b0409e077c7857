"""What is measured: test reports, conformance checks, review findings, and the feedback made from them."""

from __future__ import annotations

import json
from collections import Counter
from enum import StrEnum
from typing import Any, Literal

from pydantic import Field

from contracts.base import Frozen, Sha256
from contracts.events import TesterMode, Verdict


class Outcome(StrEnum):
    PASSED = "passed"
    FAILED = "failed"
    SKIPPED = "skipped"


class Check(Frozen):
    """One verdict of the conformance kit.

    ``id`` is ``<kind>/<stream or connector>/<case>``; ``suspects`` are blueprint fields, most likely first, that
    a repair should look at; ``observed`` says what was seen (counts, requests), never a secret.
    """

    id: str
    kind: str
    stream: str | None = None
    outcome: Outcome
    message: str = ""
    suspects: tuple[str, ...] = ()
    observed: str = ""


class TestCase(Frozen):
    """One test of the package, as JUnit reports it. ``confirms`` is the id of the kit check that judges the
    same behaviour, where there is one."""

    __test__ = False
    id: str
    outcome: Outcome
    stream: str | None = None
    confirms: str | None = None
    message: str = ""


class StreamProof(Frozen):
    """Whether a stream was read completely."""

    stream: str
    proven: bool
    reason: str = ""


class Isolation(Frozen):
    """How the code under test was confined. ``proc``: it had a /proc, with its own processes alone."""

    kind: Literal["bubblewrap", "process"]
    note: str = ""
    proc: bool = True


class KitRun(Frozen):
    """One judgement of the conformance kit. ``full``: every stream in depth, not one of each shape. ``runs``
    processes of the connector were started and took ``cpu_s`` seconds of CPU; ``duration_s`` is wall clock."""

    version: str
    full: bool = False
    runs: int = 0
    cpu_s: float = 0
    duration_s: float = 0


class TestReport(Frozen):
    """Bound by hash to what was run: an old result is never read as a new one. Seconds are wall clock."""

    __test__ = False
    mode: TesterMode
    code: Sha256
    tests: Sha256
    fixtures: Sha256
    isolation: Isolation
    checks: tuple[Check, ...] = ()
    cases: tuple[TestCase, ...] = ()
    streams: tuple[StreamProof, ...] = ()
    degraded: tuple[str, ...] = ()
    duration_s: float = Field(default=0, ge=0)
    kit: KitRun | None = None

    @property
    def failed_checks(self) -> tuple[Check, ...]:
        return tuple(check for check in self.checks if check.outcome is Outcome.FAILED)

    @property
    def failed_cases(self) -> tuple[TestCase, ...]:
        return tuple(case for case in self.cases if case.outcome is Outcome.FAILED)


def results_json(report: TestReport) -> bytes:
    """The package's ``tests/test_results.json``: what was run, on which trees, and how it ended.

    ``summary`` counts the package's tests and the kit's checks by outcome. The same report gives the same bytes.
    """
    counts = {
        "tests": Counter(case.outcome.value for case in report.cases),
        "checks": Counter(check.outcome.value for check in report.checks),
    }
    summary: dict[str, Any] = {
        kind: {outcome.value: count[outcome.value] for outcome in Outcome} for kind, count in counts.items()
    }
    return json.dumps({"summary": summary, **report.model_dump(mode="json")}, indent=2).encode() + b"\n"


class Severity(StrEnum):
    CRITICAL = "critical"
    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"


class Finding(Frozen):
    """One finding of the reviewer; ``line`` counts from 1. ``rule`` names the tool and its code (``ruff S105``)."""

    severity: Severity
    rule: str
    message: str
    file: str | None = None
    line: int | None = None
    stream: str | None = None


class ConformanceSummary(Frozen):
    """The kit's report in numbers; ``report`` and ``page`` are its places in the package."""

    report: str
    page: str
    kit: str
    passed: int
    failed: int
    skipped: int
    proven: int
    streams: int


class ReviewReport(Frozen):
    """Bound by hash to the tree that was reviewed; ``score`` 0 to 100. ``conformance``: what it rests on."""

    code: Sha256
    score: int = Field(ge=0, le=100)
    findings: tuple[Finding, ...] = ()
    conformance: ConformanceSummary | None = None


class Feedback(Frozen):
    """One thing that has to change. ``verdict`` INVALID means the test, VALID_FAIL the code."""

    verdict: Verdict
    message: str
    stream: str | None = None
    test: str | None = None
    suspects: tuple[str, ...] = ()


class FeedbackList(Frozen):
    """The content behind a ``feedback`` reference."""

    items: tuple[Feedback, ...] = ()
