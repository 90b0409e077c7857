"""The kit's report for people: nothing of it runs, nothing comes from elsewhere."""

from __future__ import annotations

import re

from contracts.conformance import ConformanceReport, conformance_of, summary_of
from contracts.reports import Check, Isolation, KitRun, Outcome, StreamProof
from infra.runtime.conformance_page import page
from tests.support import sample_package as sample

HOSTILE = "<script>alert('1')</script>"


def report(*checks: Check, proven: bool = True) -> ConformanceReport:
    return ConformanceReport(
        name="source-<b>",
        kit=KitRun(version="2", runs=7),
        api="0" * 64,
        isolation=Isolation(kind="bubblewrap"),
        checks=checks,
        streams=(StreamProof(stream=HOSTILE, proven=proven, reason="" if proven else HOSTILE),),
    )


def test_every_text_is_escaped_and_nothing_is_loaded() -> None:
    check = Check(
        id=f"completeness/{HOSTILE}/1",
        kind=HOSTILE,
        stream=HOSTILE,
        outcome=Outcome.FAILED,
        message=HOSTILE,
        observed=HOSTILE,
    )
    text = page(report(check, proven=False)).decode()
    assert "<script" not in text
    assert "<b>" not in text
    assert re.findall(r"(?:src|href|url|@import)\s*[=(]", text) == []
    assert text.count("&lt;script&gt;") > 5


def test_it_says_what_passed_what_failed_and_what_is_proven() -> None:
    passed = Check(id="completeness/a/1", kind="completeness", stream=HOSTILE, outcome=Outcome.PASSED)
    skipped = Check(id="resume/a/1", kind="resume", stream=HOSTILE, outcome=Outcome.SKIPPED, message="no STATE")
    good = page(report(passed, skipped)).decode()
    assert "1 of 1 streams proven" in good
    assert "1 checks passed, 0 failed, 1 could not be judged" in good
    assert "What fails" not in good
    failed = passed.model_copy(update={"outcome": Outcome.FAILED, "message": "3 missing"})
    bad = page(report(passed, failed, proven=False)).decode()
    assert "0 of 1 streams proven" in bad
    assert bad.index("What fails") < bad.index("3 missing")
    assert "1/2</td>" in bad


def test_a_report_comes_back_from_its_json() -> None:
    tested = sample.report(sample.package(), sample.package_tests())
    judged = conformance_of(tested, "source-tiny")
    assert ConformanceReport.model_validate_json(judged.encode()) == judged
    assert (judged.code, judged.api, judged.kit) == (tested.code, tested.fixtures, tested.kit)
    summary = summary_of(tested)
    assert (summary.passed, summary.failed, summary.proven, summary.streams) == (5, 0, 1, 1)


def test_page_says_how_the_connector_was_confined() -> None:
    unconfined = Isolation(kind="process", note="bubblewrap is not <installed>")
    told = page(report().model_copy(update={"isolation": unconfined})).decode()
    assert "not isolated, limits only (bubblewrap is not &lt;installed&gt;)" in told
    inner = Isolation(kind="bubblewrap", note="without a /proc", proc=False)
    assert (
        "confined (bubblewrap) (without a /proc)" in page(report().model_copy(update={"isolation": inner})).decode()
    )
