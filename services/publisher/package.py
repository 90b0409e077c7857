"""The complete package: the tested code, its tests and their results as one tree. Pure."""

from __future__ import annotations

from contracts.artifacts import Tree
from contracts.conformance import CONFORMANCE_JSON, CONFORMANCE_PAGE, conformance_of
from contracts.errors import Permanent
from contracts.reports import ReviewReport, TestReport, results_json
from infra.runtime.conformance_page import page
from services.publisher.prose import Prose, with_prose
from services.publisher.versions import stamp

RESULTS = "tests/test_results.json"


def distribution_name(name: str) -> str:
    """``source-`` and the slug: the distribution, the console script and the folder."""
    return f"source-{name}"


def package_name(name: str) -> str:
    """The import name."""
    return distribution_name(name).replace("-", "_")


def merge(
    name: str, version: str, code: Tree, tests: Tree, report: TestReport, prose: Prose | None = None
) -> dict[str, bytes]:
    """The tree that is published. ``prose`` is put into its papers.

    Raises:
        Permanent: code and tests claim the same place, or a place states no version.
    """
    misplaced = [path for path in tests if not path.startswith("tests/")]
    misplaced += [path for path in code if path.startswith("tests/")]
    if misplaced:
        raise Permanent("tests belong below tests/ and code beside it", where=misplaced[0])
    judged = conformance_of(report, distribution_name(name))
    results = {
        RESULTS: results_json(report),
        CONFORMANCE_JSON: judged.encode(),
        CONFORMANCE_PAGE: page(judged),
    }
    said = with_prose(code, prose) if prose else code
    return {**stamp(said, package_name(name), version), **tests, **results}


def check_evidence(code_sha256: str, tests_sha256: str, report: TestReport, review: ReviewReport) -> None:
    """Nothing is published but what was tested and reviewed.

    Raises:
        Permanent: a report is about another tree.
    """
    if (report.code, report.tests) != (code_sha256, tests_sha256):
        raise Permanent("the test report is about another tree than the one to publish", where=report.code)
    if review.code != code_sha256:
        raise Permanent("the review is about another tree than the one to publish", where=review.code)
