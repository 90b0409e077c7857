"""The package as a model leaves it: what is taken of it, and what is wrong with it. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath
from typing import Any

from contracts.artifacts import Tree
from infra.runtime.sources import broken_sources

NOTES = "notes/"
TESTS = "tests/"
"""Laid out beside the package for the model; neither is part of the code."""

FIXED = ("pyproject.toml", "requirements.txt")
"""What is built and installed is the platform's: one pinned set for all connectors."""

MAX_NEW_FILES = 200
MAX_GROWTH_BYTES = 2 * 1024 * 1024
_NEW_SUFFIXES = frozenset({".py", ".json"})
_SELF_RUNNING = frozenset({"conftest.py", "sitecustomize.py", "usercustomize.py"})
_MAX_DEPTH = 8


def taken(tree: Tree) -> dict[str, bytes]:
    """The code in a workspace."""
    return {path: content for path, content in tree.items() if not path.startswith((NOTES, TESTS))}


def faults(tree: Tree, base: Tree, package: str) -> list[str]:
    """Why ``tree``, made from the package ``base``, is no package, in words for whoever wrote it. Fit for a child
    process: the sources are compiled, not run."""
    return [*_places(tree, base, f"src/{package}/"), *_growth(tree, base), *broken_sources(tree)]


def _places(tree: Tree, base: Tree, home: str) -> Iterator[str]:
    for path in base:
        if path not in tree and ("/" not in path or path in (f"{home}__init__.py", f"{home}__main__.py")):
            yield f"{path} is gone: every package has it"
    for path in FIXED:
        if path in tree and tree[path] != base.get(path):
            yield f"{path} has changed: dependencies and build are the platform's, put it back as it was"
    for path in sorted(tree.keys() - base.keys()):
        name = PurePosixPath(path)
        if not path.startswith(home) or name.name in _SELF_RUNNING or name.suffix not in _NEW_SUFFIXES:
            yield f"{path} has no place in the package: new files are .py and .json below {home}"


def _growth(tree: Tree, base: Tree) -> Iterator[str]:
    if len(tree) > len(base) + MAX_NEW_FILES:
        yield f"there are {len(tree)} files, {len(tree) - len(base)} more than before; at most {MAX_NEW_FILES} more"
    grown = sum(map(len, tree.values())) - sum(map(len, base.values()))
    if grown > MAX_GROWTH_BYTES:
        yield f"the package has grown by {grown} bytes; at most {MAX_GROWTH_BYTES}"


def changed_files(tree: Tree, base: Tree) -> list[str]:
    """Paths that were added, changed or removed, sorted."""
    return sorted(path for path in tree.keys() | base.keys() if tree.get(path) != base.get(path))


def sample_config(spec: bytes) -> dict[str, Any]:
    """A config with a value for each field of a connector's ``spec.json``, good enough for `discover`, which asks
    nobody. Fit for a child process.

    Raises:
        ValueError, RecursionError: it is no specification.
    """
    found = json.loads(spec)
    form = found.get("connectionSpecification") if isinstance(found, dict) else None
    return {str(name): _sample(field, 0) for name, field in _properties(form).items()}


def _properties(form: Any) -> Mapping[Any, Any]:
    properties = form.get("properties") if isinstance(form, dict) else None
    return properties if isinstance(properties, dict) else {}


def _sample(field: Any, depth: int) -> Any:
    """What the form itself offers comes first: a constant, a default, an example."""
    if not isinstance(field, dict) or depth > _MAX_DEPTH:
        return None
    for known in ("const", "default"):
        if known in field:
            return field[known]
    for several in ("enum", "examples"):
        if isinstance(field.get(several), list) and field[several]:
            return field[several][0]
    if isinstance(field.get("oneOf"), list) and field["oneOf"]:
        return _sample(field["oneOf"][0], depth + 1)
    if "properties" in field:
        return {str(name): _sample(child, depth + 1) for name, child in _properties(field).items()}
    if field.get("type") == "string":
        return "http://localhost" if field.get("format") == "uri" or field.get("title") == "Base URL" else "sample"
    return {"integer": 1, "number": 1.0, "boolean": True, "array": []}.get(str(field.get("type")))
