"""Every fact has a line that a person can read."""

from __future__ import annotations

import pytest

from contracts import events as e
from contracts.artifacts import ArtifactRef
from infra.cli.describe import describe

REF = ArtifactRef.of(b"x", "application/json")


@pytest.mark.parametrize("fact", e.FACTS.values(), ids=lambda fact: fact.TYPE)
def test_every_fact_has_a_line(fact: type[e.Fact]) -> None:
    values = {
        "name": "crm", "parent": "0" * 32, "at": 1, "blueprint": REF, "document": REF, "streams": 1, "code": REF,
        "fixtures": REF, "tests": REF, "report": REF, "mode": "GENERATE", "passed": 3, "failed": 1,
        "verdict": "VALID_FAIL", "feedback": REF, "streams_proven": 1, "streams_total": 2, "reason": "why",
        "score": 90, "blame": "CODE", "critical": 0, "version": "0.1.0", "package": REF, "wheel": REF, "sdist": REF,
        "service": "tester", "kind": "transient", "what": "the bus is gone", "attempt": 1, "outcome": "partial",
        "policy_hash": "0" * 12, "code_version": "0.1.0", "request": "r", "timer": "t", "failure": "f",
    }  # fmt: skip

    line = describe(fact.model_validate(values))

    assert line.actor
    assert line.text


def test_failed_tests_are_counted() -> None:
    fact = e.TestsFailed(mode=e.TesterMode.RERUN, code=REF, fixtures=REF, tests=REF, report=REF, passed=5, failed=2)

    assert describe(fact).text == "RERUN: 2 of 7 tests failed"
    assert describe(fact).tone == "bad"


def test_degraded_streams_are_named() -> None:
    fact = e.PipelineCompleted(outcome="partial", version="0.2.0", degraded=("notes", "deals"))

    assert describe(fact).text == "partial, version 0.2.0, degraded: notes, deals"


def test_who_stops_at_the_budget_and_what_is_asked_for_then() -> None:
    failed = e.AgentFailed(service="generator", kind="budget", what="a turn may cost 0.5", attempt=1, budget_usd=20)

    assert describe(failed).text == "stops at the budget of 20.00 USD: a turn may cost 0.5"
    assert describe(e.ApprovalRequested(about="budget")).text == "waits for approval to spend more on model turns"
    assert describe(e.ApprovalRequested(outcome="partial")).text == "waits for approval to publish as partial"
