from __future__ import annotations

import tomllib

import pytest

from contracts.artifacts import TreeManifest
from contracts.conformance import conformance_of
from contracts.errors import Permanent
from contracts.reports import ReviewReport, results_json
from infra.runtime.conformance_page import page
from services.publisher.package import RESULTS, check_evidence, merge
from services.publisher.trial import check_spec
from services.publisher.versions import next_version, parse_version, stamp
from tests.support import sample_package as sample


@pytest.mark.parametrize(
    ("taken", "expected"),
    [
        ((), "0.1.0"),
        (("0.1.0",), "0.2.0"),
        (("0.9.0", "0.10.0", "0.2.0"), "0.11.0"),
        (("0.1.0", "1.4.2", "notes", ".lock", "0.x.0"), "1.5.0"),
    ],
)
def test_next_version_is_one_minor_above_the_highest(taken: tuple[str, ...], expected: str) -> None:
    assert next_version(taken) == expected


@pytest.mark.parametrize("text", ["", "1.0", "1.0.0.0", "v1.0.0", "1.0.0 ", "1.0.0rc1", "9999999.0.0", "٣.0.0"])
def test_parse_version_takes_nothing_else(text: str) -> None:
    assert parse_version(text) is None


def test_stamp_changes_the_version_everywhere_and_nothing_else() -> None:
    tree = sample.package()
    stamped = stamp(tree, "source_tiny", "0.7.0")
    changed = {path for path in tree if tree[path] != stamped[path]}
    assert changed == {"pyproject.toml", "metadata.yaml", "src/source_tiny/__init__.py"}
    for path in changed:
        assert stamped[path] == tree[path].replace(b"0.1.0", b"0.7.0")


def test_stamp_leaves_other_versions_in_pyproject_alone() -> None:
    tree = sample.package()
    tree["pyproject.toml"] = (
        b'[tool.other]\nversion = "9.9.9"\n\n' + tree["pyproject.toml"] + b'\n[tool.x]\nversion = "8"\n'
    )
    project = tomllib.loads(stamp(tree, "source_tiny", "0.7.0")["pyproject.toml"].decode())
    assert (
        project["project"]["version"],
        project["tool"]["other"]["version"],
        project["tool"]["x"]["version"],
    ) == (
        "0.7.0",
        "9.9.9",
        "8",
    )


@pytest.mark.parametrize("path", ["pyproject.toml", "metadata.yaml", "src/source_tiny/__init__.py"])
def test_stamp_refuses_a_place_without_a_version(path: str) -> None:
    with pytest.raises(Permanent) as caught:
        stamp({**sample.package(), path: b"# nothing\n"}, "source_tiny", "0.7.0")
    assert caught.value.where == path


def test_merge_holds_code_tests_and_results() -> None:
    code, tests = sample.package(), sample.package_tests()
    report = sample.report(code, tests)
    tree = merge("tiny", "0.1.0", code, tests, report)
    judged = conformance_of(report, "source-tiny")
    assert tree == {
        **code,
        **tests,
        RESULTS: results_json(report),
        "tests/conformance.json": judged.encode(),
        "tests/conformance.html": page(judged),
    }


@pytest.mark.parametrize(("code", "tests"), [({"tests/a.py": b""}, {}), ({}, {"src/source_tiny/client.py": b""})])
def test_merge_refuses_trees_that_reach_into_each_other(code: dict[str, bytes], tests: dict[str, bytes]) -> None:
    report = sample.report(code, tests)
    with pytest.raises(Permanent):
        merge("tiny", "0.1.0", {**sample.package(), **code}, {**sample.package_tests(), **tests}, report)


def test_evidence_must_be_about_the_trees_to_publish() -> None:
    code, tests = sample.package(), sample.package_tests()
    report = sample.report(code, tests)
    review = ReviewReport(code=report.code, score=90)
    check_evidence(report.code, report.tests, report, review)
    other = TreeManifest.of({"other": b""}).ref.sha256
    with pytest.raises(Permanent, match="test report"):
        check_evidence(other, report.tests, report, review)
    with pytest.raises(Permanent, match="test report"):
        check_evidence(report.code, other, report, review)
    with pytest.raises(Permanent, match="review"):
        check_evidence(report.code, report.tests, report, ReviewReport(code=other, score=90))


SPEC = b'{"type":"SPEC","spec":{"connectionSpecification":{"type":"object"}}}\n'


def test_check_spec_accepts_one_specification_among_logs() -> None:
    check_spec(b'{"type":"LOG","log":{"level":"INFO","message":"hello"}}\n' + SPEC, "source-tiny")


@pytest.mark.parametrize(
    "output",
    [b"", SPEC + SPEC, b"hello\n" + SPEC, b'{"type":"SPEC","spec":{}}', b"[]\n", b"[" * 100_000, b"\xff\n"],
)
def test_check_spec_refuses_anything_else(output: bytes) -> None:
    with pytest.raises(Permanent):
        check_spec(output, "source-tiny")
