"""JUnit's XML is written where the code under test could write it, so it is read with suspicion."""

from __future__ import annotations

import pytest

from contracts.reports import Isolation, Outcome
from infra.runtime.sandbox import Report, Stop
from services.tester.package_tests.cases import Case
from services.tester.package_tests.parse import MAX_BYTES, BadResult, parse
from services.tester.package_tests.run import cases_of

READ = "tests/test_read.py::test_every_record_is_read_once[contacts]"
SPEC = "tests/test_config.py::test_spec_describes_a_configuration"
ANNOUNCED = {
    READ: Case(READ, "contacts", "completeness/contacts/page+1"),
    SPEC: Case(SPEC, None, "protocol/connector/messages"),
}
BOMB = b"""<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "aaaaaaaaaa">
<!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;"><!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;&b;&b;">]>
<testsuites><testsuite><testcase name="&c;"/></testsuite></testsuites>"""


def junit(*cases: str) -> bytes:
    return f"<testsuites><testsuite>{''.join(cases)}</testsuite></testsuites>".encode()


def case(test: str, inside: str = "") -> str:
    file, _, name = test.partition("::")
    return f'<testcase classname="{file[:-3].replace("/", ".")}" name="{name}">{inside}</testcase>'


def ended(exit_code: int | None = 0, *, stopped: Stop | None = None, stdout: bytes = b"") -> Report:
    isolation = Isolation(kind="bubblewrap")
    return Report(isolation=isolation, exit_code=exit_code, stopped=stopped, stdout=stdout, duration_s=3)


def test_each_outcome_is_read() -> None:
    failure, skip = '<failure message="1 record is missing">long</failure>', '<skipped message="later"/>'
    found = parse(junit(case(READ, failure), case(SPEC), case("tests/test_x.py::test_y", skip)))
    assert (found[READ].outcome, found[READ].message) == (Outcome.FAILED, "1 record is missing")
    assert found[SPEC].outcome is Outcome.PASSED
    assert found["tests/test_x.py::test_y"].outcome is Outcome.SKIPPED


def test_of_two_results_for_one_test_the_worst_counts() -> None:
    error = '<error message="teardown"/>'
    for both in ((case(READ), case(READ, error)), (case(READ, error), case(READ))):
        assert parse(junit(*both))[READ].outcome is Outcome.FAILED


def test_a_failure_without_a_message_shows_the_end_of_its_text() -> None:
    assert parse(junit(case(READ, "<error>long story</error>")))[READ].message == "long story"


@pytest.mark.parametrize(
    "content",
    [
        BOMB,
        b"<!DOCTYPE testsuites SYSTEM 'file:///etc/passwd'><testsuites/>",
        BOMB.decode().encode("utf-16"),
        b"",
        b"no xml",
        junit(case(READ))[:-5],
        b"<a>" * 20 + b"</a>" * 20,
        b" " * (MAX_BYTES + 1),
        junit(*(f'<testcase classname="tests.t" name="n{n}"/>' for n in range(20_001))),
    ],
    ids=["bomb", "external", "utf-16", "empty", "text", "cut", "deep", "huge", "many"],
)
def test_what_is_no_plain_result_is_refused(content: bytes) -> None:
    with pytest.raises(BadResult):
        parse(content)


def test_cases_carry_the_stream_and_the_check_that_judges_the_same() -> None:
    found = cases_of(ended(), junit(case(READ), case(SPEC)), ANNOUNCED)
    assert [(one.id, one.outcome, one.stream, one.confirms) for one in found] == [
        (READ, Outcome.PASSED, "contacts", "completeness/contacts/page+1"),
        (SPEC, Outcome.PASSED, None, "protocol/connector/messages"),
    ]


def test_an_announced_test_that_is_not_heard_of_has_failed() -> None:
    found = {one.id: one for one in cases_of(ended(), junit(case(SPEC)), ANNOUNCED)}
    assert found[READ].outcome is Outcome.FAILED
    assert "did not run" in found[READ].message


def test_a_file_that_cannot_be_collected_fails_its_tests() -> None:
    broken = (
        '<testcase classname="" name="tests.test_read"><error message="collection failure">E</error></testcase>'
    )
    found = {one.id: one for one in cases_of(ended(2), junit(case(SPEC), broken), ANNOUNCED)}
    assert found[READ].message == "it did not run: its file: collection failure"
    assert found[SPEC].outcome is Outcome.PASSED


@pytest.mark.parametrize(
    ("report", "result", "words"),
    [
        (ended(None, stopped=Stop.WALL_TIME), None, "took too long and were stopped after 3 s"),
        (ended(3, stdout=b"INTERNALERROR"), None, "exit code 3: INTERNALERROR"),
        (ended(0), None, "left no result"),
        (ended(0), BOMB, "cannot be used"),
        (ended(0), junit(), "no test was run"),
    ],
)
def test_a_run_that_went_wrong_fails_every_test_and_says_why(
    report: Report, result: bytes | None, words: str
) -> None:
    found = cases_of(report, result, ANNOUNCED)
    assert {one.id for one in found} == set(ANNOUNCED)
    assert all(one.outcome is Outcome.FAILED and words in one.message for one in found)


def test_results_are_never_better_than_how_pytest_ended() -> None:
    for report in (ended(1), ended(2), ended(None, stopped=Stop.MEMORY)):
        found = cases_of(report, junit(case(READ), case(SPEC)), ANNOUNCED)
        assert [one.id for one in found if one.outcome is Outcome.FAILED] == ["tests"]
