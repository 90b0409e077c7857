"""Checks what the package says of itself: build, dependencies, entry point, one version everywhere. Pure."""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterator, Mapping
from typing import Any

import yaml
from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from contracts.reports import Finding, Severity
from services.reviewer.subject import Subject

_BUILD_BACKEND = "hatchling.build"


def paper_findings(subject: Subject, pins: Mapping[str, str], runtime: tuple[str, ...]) -> Iterator[Finding]:
    """The findings about pyproject.toml, requirements.txt and metadata.yaml.

    Args:
        pins: normalised name -> version of everything that can be installed.
        runtime: the names that a connector may depend on directly.
    """
    project = _project(subject)
    if project is None:
        yield _finding(Severity.HIGH, "pyproject", "not a TOML table with [project]", "pyproject.toml")
    else:
        yield from _build(project)
        yield from _names(subject, project)
        yield from _dependencies(
            "pyproject.toml", _strings(_table(project, "project").get("dependencies")), pins, runtime
        )
    lines = (line.split("#", 1)[0].strip() for line in _text(subject, "requirements.txt").splitlines())
    yield from _dependencies("requirements.txt", [line for line in lines if line], pins, runtime)
    yield from _versions(subject, project or {})


def _project(subject: Subject) -> dict[str, Any] | None:
    try:
        project = tomllib.loads(_text(subject, "pyproject.toml"))
    except (tomllib.TOMLDecodeError, RecursionError):
        return None
    return project if isinstance(project.get("project"), dict) else None


def _build(project: dict[str, Any]) -> Iterator[Finding]:
    """Building must run nothing but hatchling itself."""
    build = _table(project, "build-system")
    requires = [name for name in map(_requirement_name, _strings(build.get("requires"))) if name != "hatchling"]
    if build.get("build-backend") != _BUILD_BACKEND or requires or "backend-path" in build:
        message = f"[build-system] must be {_BUILD_BACKEND} and require hatchling alone"
        yield _finding(Severity.CRITICAL, "build", message, "pyproject.toml")
    hatch = _table(_table(project, "tool"), "hatch")
    if (
        _has_key(hatch, "hooks")
        or "metadata" in hatch
        or _table(hatch, "version").get("source", "regex") != "regex"
    ):
        yield _finding(Severity.CRITICAL, "build", "[tool.hatch] names hooks that run code", "pyproject.toml")
    if plugins := _table(project, "project").get("entry-points"):
        message = f"entry points beside the console script: {sorted(plugins)}"
        yield _finding(Severity.CRITICAL, "build", message, "pyproject.toml")


def _names(subject: Subject, project: dict[str, Any]) -> Iterator[Finding]:
    table = _table(project, "project")
    if table.get("name") != subject.distribution:
        yield _finding(Severity.HIGH, "name", f"the project is not called {subject.distribution}", "pyproject.toml")
    scripts = _table(table, "scripts")
    target = scripts.get(subject.distribution)
    if set(scripts) != {subject.distribution} or not isinstance(target, str) or not _exists(subject, target):
        message = f"[project.scripts] must hold exactly {subject.distribution}, a function of {subject.package}"
        yield _finding(Severity.HIGH, "entry-point", message, "pyproject.toml")


def _exists(subject: Subject, target: str) -> bool:
    """Whether ``module:function`` is defined (or imported) at the top of a module of the package."""
    module, _, function = target.partition(":")
    if module.split(".")[0] != subject.package:
        return False
    base = "src/" + module.replace(".", "/")
    content = subject.code.get(f"{base}.py", subject.code.get(f"{base}/__init__.py"))
    if content is None:
        return False
    try:
        body = ast.parse(content).body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    defined = {node.name for node in body if isinstance(node, ast.FunctionDef)}
    imported = {
        alias.asname or alias.name for node in body if isinstance(node, ast.ImportFrom) for alias in node.names
    }
    return function in defined | imported


def _dependencies(
    path: str, lines: list[str], pins: Mapping[str, str], runtime: tuple[str, ...]
) -> Iterator[Finding]:
    for line in lines:
        try:
            wanted = Requirement(line)
        except InvalidRequirement:
            yield _finding(Severity.HIGH, "dependency", f"not a requirement: {line[:80]!r}", path)
            continue
        name = canonicalize_name(wanted.name)
        if name not in pins or (path == "pyproject.toml" and name not in runtime) or wanted.url:
            yield _finding(Severity.HIGH, "dependency", f"{name} is not among the pinned dependencies", path)
        elif not wanted.specifier.contains(pins[name], prereleases=True):
            message = f"{line!r} does not admit the version that it was tested with ({pins[name]})"
            yield _finding(Severity.HIGH, "dependency", message, path)


# --- the version -----------------------------------------------------------------------------------

_DUNDER = re.compile(r"""^__version__\s*(?::\s*\w+\s*)?=\s*["']([^"'\n]*)["']""", re.MULTILINE)


def _versions(subject: Subject, project: dict[str, Any]) -> Iterator[Finding]:
    metadata = _metadata(subject)
    if metadata is None:
        yield _finding(Severity.HIGH, "metadata", "not a YAML mapping with `data`", "metadata.yaml")
    init = _text(subject, f"src/{subject.package}/__init__.py")
    stated = {
        "pyproject.toml": _table(project, "project").get("version"),
        "metadata.yaml": (metadata or {}).get("dockerImageTag"),
        "__init__.py": match.group(1) if (match := _DUNDER.search(init)) else None,
    }
    if len(set(stated.values())) != 1 or None in stated.values():
        listed = ", ".join(f"{path}: {version}" for path, version in stated.items())
        yield _finding(Severity.HIGH, "version", f"the version must be stated, and be the same ({listed})", None)


def _metadata(subject: Subject) -> dict[str, Any] | None:
    text = _text(subject, "metadata.yaml")
    try:
        if any(isinstance(token, yaml.AliasToken) for token in yaml.scan(text)):
            return None
        loaded = yaml.safe_load(text)
    except (yaml.YAMLError, RecursionError):
        return None
    data = loaded.get("data") if isinstance(loaded, dict) else None
    return data if isinstance(data, dict) else None


# --- small helpers over untyped tables ---------------------------------------------------------------


def _text(subject: Subject, path: str) -> str:
    return subject.code.get(path, b"").decode("utf-8", errors="replace")


def _table(value: Any, key: str) -> dict[str, Any]:
    found = value.get(key) if isinstance(value, dict) else None
    return found if isinstance(found, dict) else {}


def _strings(value: Any) -> list[str]:
    return [str(item) for item in value] if isinstance(value, list) else []


def _has_key(value: Any, key: str) -> bool:
    if isinstance(value, dict):
        return key in value or any(_has_key(item, key) for item in value.values())
    return isinstance(value, list) and any(_has_key(item, key) for item in value)


def _requirement_name(line: str) -> str | None:
    try:
        return canonicalize_name(Requirement(line).name)
    except InvalidRequirement:
        return None


def _finding(severity: Severity, case: str, message: str, path: str | None) -> Finding:
    return Finding(severity=severity, rule=f"package {case}", message=message, file=path)
