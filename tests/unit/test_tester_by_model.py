"""Which tests are a model's, what is taken of its workspace, and whose results are believed."""

from __future__ import annotations

import pytest

from contracts.reports import Outcome, TestCase
from services.tester.package_tests.by_model import apart, is_by_model, objections, their_cases, with_theirs

OURS = {
    "tests/api.json": b"{}",
    "tests/cases.json": b"{}",
    "tests/conftest.py": b"fixtures",
    "tests/test_read.py": b"ours",
}
THEIRS = {"tests/test_by_model_pages.py": b"theirs", "tests/data/odd.json": b"[]"}
FILE = "tests/test_by_model_pages.py"


@pytest.mark.parametrize(
    "path",
    [
        *(
            "tests/test_read.py",
            "tests/test_by_model_.py",
            "tests/test_by_model_x.pyc",
            "tests/a/test_by_model_x.py",
        ),
        *("test_by_model_x.py", "tests/test_by_model_x.py/y.py", "tests/test_by_model_X.py"),
    ],
)
def test_other_names_are_not_a_models(path: str) -> None:
    assert not is_by_model(path)


@pytest.mark.parametrize(
    "path",
    [
        *("tests/conftest.py", "tests/cases.json", "tests/api.json", "tests/test_read.py", "tests/pytest.ini"),
        *("tests/pyproject.toml", "tests/data/conftest.py", "tests/data/test_x.py", "tests/sitecustomize.py"),
        *("tests/results.xml", "tests/data/../conftest.json", "tests/test_extra.py", "tests/data/a/b/c.json"),
    ],
)
def test_only_files_of_its_own_are_taken_from_a_model(path: str) -> None:
    workspace = {**OURS, **THEIRS, path: b"changed"}
    assert with_theirs(OURS, workspace) == {**OURS, **THEIRS}
    assert [path in words for words in objections(OURS, workspace, ())] == [True]


def test_what_a_model_deletes_of_ours_is_there_again() -> None:
    assert with_theirs(OURS, THEIRS) == {**OURS, **THEIRS}
    assert len(list(objections(OURS, THEIRS, ()))) == len(OURS)


def test_model_may_delete_what_is_its_own() -> None:
    before = {**OURS, **THEIRS}
    assert with_theirs(before, OURS) == OURS
    assert list(objections(before, OURS, [FILE])) == []


def test_wrong_test_that_is_as_it_was_is_objected_to() -> None:
    before = {**OURS, **THEIRS}
    assert [FILE in words for words in objections(before, before, [FILE])] == [True]
    assert list(objections(before, {**before, FILE: b"mended"}, [FILE])) == []


def test_saying_done_without_a_test_is_objected_to() -> None:
    assert ["done: false" in words for words in objections(OURS, OURS, ())] == [True]


def test_parts_are_run_apart_and_theirs_without_our_ledger() -> None:
    ours, theirs = apart({**OURS, **THEIRS})
    assert FILE not in ours
    assert set(theirs) == {"tests/conftest.py", "tests/api.json", *THEIRS}
    assert apart(OURS) == (OURS, {})


def case(id: str, outcome: Outcome = Outcome.PASSED, message: str = "") -> TestCase:
    return TestCase(id=id, outcome=outcome, stream="forged", confirms=None, message=message)


def test_results_under_the_names_of_others_are_not_believed() -> None:
    told = [case(f"{FILE}::test_a[things]"), case("tests/test_read.py::test_x"), case(f"{FILE}::test_b[2]")]
    found = their_cases(told, THEIRS, ["things"])
    assert [(one.id, one.stream) for one in found] == [
        (f"{FILE}::test_a[things]", "things"),
        (f"{FILE}::test_b[2]", None),
    ]


def test_run_that_broke_off_fails_under_the_name_of_its_file() -> None:
    found = their_cases([case("tests", Outcome.FAILED, "the tests ended with exit code 9")], THEIRS, [])
    assert [(one.id, one.outcome) for one in found] == [(FILE, Outcome.FAILED)]
