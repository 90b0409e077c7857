"""Versions of a connector: which is next, and where one is stated in the package. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable

from contracts.artifacts import Tree
from contracts.errors import Permanent

_VERSION = re.compile(r"([0-9]{1,6})\.([0-9]{1,6})\.([0-9]{1,6})")

_PLACES = {
    "pyproject.toml": re.compile(rb"""(?ms)(^\[project\]$(?:(?!^\[).)*?^version\s*=\s*)(["'])[^"'\n]*\2"""),
    "metadata.yaml": re.compile(rb"""(?m)(^[ ]+dockerImageTag:[ ]*)(["']?)[^"'\s#]+\2"""),
    "src/{package}/__init__.py": re.compile(rb"""(?m)(^__version__\s*(?::\s*\w+\s*)?=\s*)(["'])[^"'\n]*\2"""),
}
"""File -> the one place in it that states the version."""


def parse_version(text: str) -> tuple[int, int, int] | None:
    """``0.2.0`` as numbers that compare; None for anything else."""
    match = _VERSION.fullmatch(text)
    return (int(match[1]), int(match[2]), int(match[3])) if match else None


def next_version(taken: Iterable[str]) -> str:
    """0.1.0, 0.2.0, ...: each pipeline of a name makes a new minor version. What is no version is ignored."""
    known = [version for version in map(parse_version, taken) if version]
    major, minor, _ = max(known, default=(0, 0, 0))
    return f"{major}.{minor + 1}.0"


def stamp(tree: Tree, package: str, version: str) -> dict[str, bytes]:
    """``tree`` with ``version`` in pyproject.toml, metadata.yaml and ``__version__``; all else stays as it is.

    Raises:
        Permanent: one of these does not state a version exactly once.
    """
    stamped = dict(tree)
    for template, place in _PLACES.items():
        path = template.format(package=package)
        content, count = place.subn(rb"\g<1>\g<2>" + version.encode() + rb"\g<2>", stamped.get(path, b""))
        if count != 1:
            raise Permanent(f"the version must be stated exactly once, found {count} times", where=path)
        stamped[path] = content
    return stamped
