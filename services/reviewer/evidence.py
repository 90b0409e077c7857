"""Checks what the connector was proven by: which kit, how confined, which kinds of checks never passed. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from contracts.reports import Finding, Outcome, Severity
from services.reviewer.subject import Subject

EXPECTED_KINDS = ("completeness", "failures", "protocol", "secrets", "termination")
"""What every connector has to show. Resuming and incremental reads depend on what the API offers."""


def evidence_findings(subject: Subject) -> Iterator[Finding]:
    """The findings about the kit's report, and that it is about this very code."""
    report = subject.report
    if report.code != subject.code_sha256:
        message = "the test report is about another tree than the one under review"
        yield Finding(severity=Severity.CRITICAL, rule="evidence binding", message=message)
    if report.kit is None:
        yield _finding("kit", "the report does not say which conformance kit judged the connector")
    if report.isolation.kind == "process":
        yield _finding("isolation", f"the connector was judged without isolation: {report.isolation.note}"[:300])
    passed = {check.kind for check in report.checks if check.outcome is Outcome.PASSED}
    for kind in EXPECTED_KINDS:
        if report.kit is not None and kind not in passed:
            yield _finding(kind, f"not one {kind} check of the conformance kit passed")


def _finding(case: str, message: str) -> Finding:
    return Finding(severity=Severity.LOW, rule=f"evidence {case}", message=message)
