from __future__ import annotations

import pytest

from contracts.blueprint import ApiBlueprint, Gap
from contracts.events import Blame, Verdict
from contracts.reports import Finding, Severity
from services.reviewer.verdict import BLOCKING, WEIGHTS, feedback, judge, score
from tests.support.sample_package import blueprint, report

PROVEN = report({}, {})
UNPROVEN = PROVEN.model_copy(update={"streams": ()})


def finding(severity: Severity, rule: str = "code name", **more: object) -> Finding:
    return Finding.model_validate({"severity": severity, "rule": rule, "message": "bad", **more})


def test_score_without_findings_is_full() -> None:
    assert score([]) == 100


@pytest.mark.parametrize("severity", list(Severity))
def test_score_falls_by_the_weight_of_each_finding(severity: Severity) -> None:
    assert score([finding(severity)]) == 100 - WEIGHTS[severity]


def test_score_counts_one_rule_four_times_at_most() -> None:
    assert score([finding(Severity.LOW)] * 500) == 96
    assert score([finding(Severity.LOW, "a")] * 4 + [finding(Severity.LOW, "b")] * 4) == 92


def test_score_never_leaves_its_range() -> None:
    assert score([finding(Severity.CRITICAL, str(number)) for number in range(50)]) == 0


def test_judge_approves_clean_code() -> None:
    assert judge([], blueprint(), PROVEN, min_score=70).blame is None


@pytest.mark.parametrize("severity", BLOCKING)
def test_judge_rejects_any_blocking_finding_whatever_the_score(severity: Severity) -> None:
    judgement = judge([finding(severity, file="src/a.py")], blueprint(), PROVEN, min_score=0)
    assert judgement.blame is Blame.CODE
    assert "src/a.py" in judgement.reason


def test_judge_names_the_worst_finding_first() -> None:
    found = [finding(Severity.HIGH, "high one"), finding(Severity.CRITICAL, "critical one")]
    assert "critical one" in judge(found, blueprint(), PROVEN, min_score=70).reason


def test_judge_rejects_a_score_below_the_least() -> None:
    many = [finding(Severity.MEDIUM, str(number)) for number in range(7)]
    assert judge(many, blueprint(), PROVEN, min_score=70).blame is Blame.CODE
    assert judge(many, blueprint(), PROVEN, min_score=65).blame is None


def without_login() -> ApiBlueprint:
    return blueprint().model_copy(update={"gaps": (Gap(subject="auth", reason="a 401 but no scheme"),)})


def test_judge_blames_the_context_when_nobody_knows_how_to_log_in() -> None:
    judgement = judge([], without_login(), UNPROVEN, min_score=70)
    assert judgement.blame is Blame.CONTEXT
    assert "401" in judgement.reason


def test_judge_does_not_mind_missing_authentication_where_the_api_let_the_connector_in() -> None:
    assert judge([], without_login(), PROVEN, min_score=70).blame is None


def test_judge_blames_the_code_before_the_context() -> None:
    assert judge([finding(Severity.HIGH)], without_login(), UNPROVEN, min_score=70).blame is Blame.CODE


def test_judge_does_not_mind_other_gaps() -> None:
    known = blueprint().model_copy(update={"gaps": (Gap(subject="streams.contacts.primary_key", reason="none"),)})
    assert judge([], known, PROVEN, min_score=70).blame is None


def test_feedback_holds_the_blocking_findings_with_file_line_and_stream() -> None:
    found = [
        finding(Severity.LOW),
        finding(Severity.HIGH, "stream missing", stream="contacts", file="src/x.py", line=3),
    ]
    items = feedback(found, judge(found, blueprint(), PROVEN, min_score=70), blueprint(), PROVEN).items
    assert [item.stream for item in items] == ["contacts"]
    assert "src/x.py:3" in items[0].message
    assert items[0].verdict is Verdict.VALID_FAIL


def test_feedback_about_tests_says_that_the_test_is_invalid() -> None:
    found = [finding(Severity.CRITICAL, file="tests/test_read.py")]
    items = feedback(found, judge(found, blueprint(), PROVEN, min_score=70), blueprint(), PROVEN).items
    assert items[0].verdict is Verdict.INVALID


def test_feedback_about_the_context_names_the_gap() -> None:
    known = without_login()
    items = feedback([], judge([], known, UNPROVEN, min_score=70), known, UNPROVEN).items
    assert [item.suspects for item in items] == [("auth",)]
