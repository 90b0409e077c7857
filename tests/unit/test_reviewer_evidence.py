"""What the reviewer makes of the conformance kit's report."""

from __future__ import annotations

from contracts.reports import Isolation, Outcome, Severity, TestReport
from services.reviewer.evidence import evidence_findings
from services.reviewer.subject import Subject
from tests.support import sample_package as sample


def subject(**changes: object) -> Subject:
    code, tests = sample.package(), sample.package_tests()
    report: TestReport = sample.report(code, tests).model_copy(update=changes)
    return Subject("tiny", code, tests, sample.blueprint(), report, sample.report(code, tests).code, {})


def rules(**changes: object) -> list[tuple[str, Severity]]:
    return [(finding.rule, finding.severity) for finding in evidence_findings(subject(**changes))]


def test_good_evidence_is_no_finding() -> None:
    assert rules() == []


def test_a_report_about_another_tree_is_critical() -> None:
    assert rules(code="f" * 64) == [("evidence binding", Severity.CRITICAL)]


def test_what_weakens_the_evidence_is_named() -> None:
    assert rules(kit=None) == [("evidence kit", Severity.LOW)]
    assert rules(isolation=Isolation(kind="process", note="no bwrap")) == [("evidence isolation", Severity.LOW)]
    checks = subject().report.checks
    skipped = [
        check.model_copy(update={"outcome": Outcome.SKIPPED}) if check.kind == "failures" else check
        for check in checks
    ]
    assert rules(checks=tuple(skipped)) == [("evidence failures", Severity.LOW)]
