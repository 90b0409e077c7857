"""Checks the shape of the trees: sizes, kinds of files, files that some tool would run by itself. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PurePosixPath

from contracts.artifacts import Tree
from contracts.reports import Finding, Severity
from services.reviewer.subject import Subject

MAX_FILES = 5_000
MAX_FILE_BYTES = 5 * 1024 * 1024
MAX_TREE_BYTES = 64 * 1024 * 1024
MAX_PATH_CHARS = 200

_SUFFIXES = frozenset({".py", ".md", ".toml", ".txt", ".yaml", ".yml", ".json"})
_BARE_NAMES = frozenset({"py.typed", "LICENSE", ".gitignore"})
_RUN_BY_THEMSELVES = frozenset(
    {"setup.py", "setup.cfg", "hatch_build.py", "sitecustomize.py", "usercustomize.py", "tox.ini", "noxfile.py"}
)
_ROOT_FILES = (
    *("README.md", "IMPLEMENTATION.md", "metadata.yaml", "pyproject.toml", "requirements.txt"),
    *("LICENSE", ".gitignore", "CHANGELOG.md", "acceptance-test-config.yml"),
)
_MODULES = ("__init__", "__main__", "connector", "config", "auth", "client", "streams", "utils")


def layout_findings(subject: Subject) -> Iterator[Finding]:
    """Everything about paths and sizes; contents are looked at elsewhere."""
    for label, tree in (("code", subject.code), ("tests", subject.tests)):
        yield from _bounds(label, tree)
        for path in tree:
            yield from _path(path)
    yield from _required(subject)
    for path in subject.code:
        if "/" not in path:
            if path not in _ROOT_FILES:
                yield _finding(Severity.HIGH, "root", "this file has no place at the package's root", path)
        elif not path.startswith(f"src/{subject.package}/"):
            message = f"code belongs in src/{subject.package}/; anything beside it could shadow another module"
            yield _finding(Severity.CRITICAL, "place", message, path)
        elif PurePosixPath(path).name == "conftest.py":
            yield _finding(Severity.CRITICAL, "self-running", "pytest would run it by itself", path)
    for path in subject.tests:
        if not path.startswith("tests/"):
            yield _finding(Severity.CRITICAL, "place", "a test tree holds only tests/...", path)


def _bounds(label: str, tree: Tree) -> Iterator[Finding]:
    total = sum(map(len, tree.values()))
    if len(tree) > MAX_FILES:
        yield _finding(Severity.HIGH, "size", f"{len(tree)} {label} files; at most {MAX_FILES}", None)
    if total > MAX_TREE_BYTES:
        yield _finding(Severity.HIGH, "size", f"{total} bytes of {label}; at most {MAX_TREE_BYTES}", None)
    for path, content in tree.items():
        if len(content) > MAX_FILE_BYTES:
            yield _finding(Severity.HIGH, "size", f"{len(content)} bytes; at most {MAX_FILE_BYTES}", path)


def _path(path: str) -> Iterator[Finding]:
    place = PurePosixPath(path)
    unsafe = place.is_absolute() or ".." in place.parts or "\\" in path or not path.isprintable()
    if unsafe or str(place) != path or len(path) > MAX_PATH_CHARS:
        yield _finding(Severity.CRITICAL, "path", "not a plain relative path", path[:MAX_PATH_CHARS])
    if place.name in _RUN_BY_THEMSELVES:
        yield _finding(
            Severity.CRITICAL, "self-running", "a build tool or interpreter would run it by itself", path
        )
    elif place.suffix not in _SUFFIXES and place.name not in _BARE_NAMES:
        yield _finding(Severity.HIGH, "kind", "this kind of file has no place in a connector", path)


def _required(subject: Subject) -> Iterator[Finding]:
    papers = ("README.md", "IMPLEMENTATION.md", "metadata.yaml", "pyproject.toml", "requirements.txt")
    modules = (f"src/{subject.package}/{module}.py" for module in _MODULES)
    for path in (*papers, *modules):
        if path not in subject.code:
            yield _finding(Severity.HIGH, "missing", "every connector has this file", path)
        elif path in papers and not subject.code[path].strip():
            yield _finding(Severity.MEDIUM, "missing", "the file is empty", path)


def _finding(severity: Severity, case: str, message: str, path: str | None) -> Finding:
    return Finding(severity=severity, rule=f"layout {case}", message=message, file=path)
