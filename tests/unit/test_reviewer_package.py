"""Our own checks over a whole package: clean as it is, and one thing changed at a time."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from contracts.artifacts import TreeManifest
from contracts.blueprint import ApiBlueprint, Gap
from contracts.reports import Finding, Severity
from services.reviewer.own import own_findings
from tests.support import sample_package as sample

Tree = dict[str, bytes]


def review(
    code: Tree | None = None,
    tests: Tree | None = None,
    known: ApiBlueprint | None = None,
    degraded: tuple[str, ...] = (),
) -> list[Finding]:
    code, tests = code or sample.package(), tests or sample.package_tests()
    found = own_findings(
        "tiny",
        code,
        tests,
        (known or sample.blueprint()).model_dump_json().encode(),
        sample.report(code, tests).model_dump_json().encode(),
        TreeManifest.of(code).ref.sha256,
        {},
        degraded,
    )
    return [Finding.model_validate(item) for item in found]


def rules(findings: list[Finding], *severities: Severity) -> set[str]:
    return {finding.rule for finding in findings if finding.severity in (severities or tuple(Severity))}


def replaced(path: str, old: bytes, new: bytes) -> Callable[[Tree], Tree]:
    def change(tree: Tree) -> Tree:
        assert old in tree[path]
        return {**tree, path: tree[path].replace(old, new)}

    return change


def added(path: str, content: bytes = b"x = 1\n") -> Callable[[Tree], Tree]:
    return lambda tree: {**tree, path: content}


def without(path: str) -> Callable[[Tree], Tree]:
    return lambda tree: {key: value for key, value in tree.items() if key != path}


def test_a_good_package_has_no_findings() -> None:
    assert review() == []


PYPROJECT = "pyproject.toml"
CRITICAL = {
    "setup.py": (added("setup.py"), "layout self-running"),
    "build hook file": (added("src/source_tiny/hatch_build.py"), "layout self-running"),
    "conftest beside the code": (added("src/source_tiny/conftest.py"), "layout self-running"),
    "module that shadows another": (added("src/pydantic/__init__.py"), "layout place"),
    "other back end": (replaced(PYPROJECT, b"hatchling.build", b"backend"), "package build"),
    "back end of its own": (
        replaced(PYPROJECT, b"[project]", b'backend-path = ["."]\n\n[project]'),
        "package build",
    ),
    "build requirement": (replaced(PYPROJECT, b'["hatchling"]', b'["hatchling", "evil"]'), "package build"),
    "build hook": (
        lambda tree: {**tree, PYPROJECT: tree[PYPROJECT] + b'\n[tool.hatch.build.hooks.custom]\npath = "x.py"\n'},
        "package build",
    ),
    "hook of one target": (
        lambda tree: {**tree, PYPROJECT: tree[PYPROJECT] + b"\n[tool.hatch.build.targets.sdist.hooks.custom]\n"},
        "package build",
    ),
    "version from code": (
        lambda tree: {**tree, PYPROJECT: tree[PYPROJECT] + b'\n[tool.hatch.version]\nsource = "code"\n'},
        "package build",
    ),
    "pytest plugin": (
        lambda tree: {
            **tree,
            PYPROJECT: tree[PYPROJECT] + b'\n[project.entry-points.pytest11]\nx = "source_tiny"\n',
        },
        "package build",
    ),
}
HIGH = {
    "strange kind of file": (added("src/source_tiny/data.so"), "layout kind"),
    "stub": (added("src/source_tiny/client.pyi"), "layout kind"),
    "file at the root": (added("notes.md"), "layout root"),
    "no README": (without("README.md"), "layout missing"),
    "no client": (without("src/source_tiny/client.py"), "layout missing"),
    "huge file": (added("src/source_tiny/big.json", b" " * 6_000_000), "layout size"),
    "foreign dependency": (replaced(PYPROJECT, b"msgspec>=0.22,<1", b"requests"), "package dependency"),
    "dependency by URL": (
        replaced(PYPROJECT, b"msgspec>=0.22,<1", b"msgspec @ https://example.com/x.whl"),
        "package dependency",
    ),
    "dependency at another version": (
        replaced(PYPROJECT, b"msgspec>=0.22,<1", b"msgspec<0.20"),
        "package dependency",
    ),
    "index in requirements": (
        replaced("requirements.txt", b"msgspec==", b"--index-url https://example.com\nmsgspec=="),
        "package dependency",
    ),
    "other version in metadata": (replaced("metadata.yaml", b"0.1.0", b"0.2.0"), "package version"),
    "no version in the code": (
        replaced("src/source_tiny/__init__.py", b"__version__", b"VERSION"),
        "package version",
    ),
    "other name": (replaced(PYPROJECT, b'name = "source-tiny"', b'name = "other"'), "package name"),
    "no such entry point": (replaced(PYPROJECT, b"connector:main", b"connector:start"), "package entry-point"),
    "entry point elsewhere": (
        replaced(PYPROJECT, b"source_tiny.connector:main", b"os:abort"),
        "package entry-point",
    ),
    "second script": (
        replaced(PYPROJECT, b"[project.scripts]", b'[project.scripts]\nls = "os:abort"'),
        "package entry-point",
    ),
    "broken TOML": (added(PYPROJECT, b"[project"), "package pyproject"),
    "TOML nested without end": (added(PYPROJECT, b"x = " + b"[" * 50_000), "package pyproject"),
    "broken YAML": (added("metadata.yaml", b"data: ["), "package metadata"),
    "YAML that unfolds without end": (added("metadata.yaml", b"data: {a: &a [1], b: *a}"), "package metadata"),
    "stream not in the code": (
        replaced("src/source_tiny/connector.py", b'"contacts"', b'"deals"'),
        "stream missing",
    ),
}


@pytest.mark.parametrize("case", CRITICAL)
def test_a_package_that_would_run_by_itself_is_critical(case: str) -> None:
    change, rule = CRITICAL[case]
    assert rule in rules(review(change(sample.package())), Severity.CRITICAL)


@pytest.mark.parametrize("case", HIGH)
def test_a_package_that_is_not_as_it_should_be_is_high(case: str) -> None:
    change, rule = HIGH[case]
    assert rule in rules(review(change(sample.package())), Severity.HIGH)


def test_tests_outside_their_folder_are_critical() -> None:
    tests = {**sample.package_tests(), "src/source_tiny/client.py": b"x = 1\n"}
    assert "layout place" in rules(review(tests=tests), Severity.CRITICAL)


def test_a_report_about_another_tree_is_critical() -> None:
    code, tests = sample.package(), sample.package_tests()
    other = sample.report({"other": b""}, tests)
    found = own_findings(
        "tiny", code, tests, sample.blueprint().model_dump_json().encode(), other.model_dump_json().encode(),
        TreeManifest.of(code).ref.sha256, {}, (),
    )  # fmt: skip
    assert [item["rule"] for item in found] == ["evidence binding"]


def test_a_degraded_stream_need_not_be_in_the_code() -> None:
    known = sample.blueprint(streams=("contacts", "deals"))
    assert rules(review(known=known)) == {"stream missing"}
    assert review(known=known, degraded=("deals",)) == []


@pytest.mark.parametrize(("named", "severity"), [(False, Severity.MEDIUM), (True, Severity.LOW)])
def test_a_stream_without_primary_key_costs_less_with_a_named_gap(named: bool, severity: Severity) -> None:
    data = sample.blueprint().model_dump(mode="json")
    data["streams"][0]["primary_key"]["value"] = None
    known = ApiBlueprint.model_validate(data)
    if named:
        gap = Gap(subject="streams.contacts.primary_key", reason="no field is said to be unique")
        known = known.model_copy(update={"gaps": (gap,)})
    assert [(found.rule, found.severity) for found in review(known=known)] == [("stream primary_key", severity)]


def test_a_hostile_tree_cannot_flood_the_report() -> None:
    code = {**sample.package(), "src/source_tiny/client.py": b"import pickle\n" * 20_000}
    assert len(review(code)) == 1_000
