"""Renders the templates of the tests."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment

from infra.runtime.rendering import formatted, templates

_TEMPLATES = Path(__file__).parent / "templates"
LINE_LENGTH = 120


@cache
def _environment() -> Environment:
    return templates(_TEMPLATES, {"py": ascii, "comment": _comment})


def _comment(text: str) -> str:
    """One line that ends no comment: what stands in it may come from a document."""
    return "# " + " ".join(text.encode("ascii", "replace").decode().split())[:300]


def render(files: Mapping[str, str], context: Mapping[str, Any]) -> dict[str, bytes]:
    """``files`` maps the path of each file to its template; ``notes`` of the context holds those of each path, and
    ``package`` is the Python package under test.

    Raises:
        Permanent: what was rendered is no Python: a fault of the templates.
    """
    notes: Mapping[str, list[str]] = context["notes"]
    sources = {
        path: _environment().get_template(name).render({**context, "notes": notes[path]})
        for path, name in files.items()
    }
    python = formatted(sources, line_length=LINE_LENGTH, package=context["package"])
    return {path: text.encode() for path, text in python.items()}
