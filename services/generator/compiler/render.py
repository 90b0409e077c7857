"""Renders the templates of a connector."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment

from infra.runtime.rendering import formatted, templates
from services.generator.compiler.text import code_span, json_text, literal, markdown, prose

_TEMPLATES = Path(__file__).parent.parent / "templates"
_FILTERS: Mapping[str, Callable[..., Any]] = {
    "py": literal,
    "prose": prose,
    "md": markdown,
    "span": code_span,
    "json": json_text,
}
LINE_LENGTH = 110


@cache
def _environment() -> Environment:
    return templates(_TEMPLATES, _FILTERS)


def render(files: Mapping[str, str], context: Mapping[str, Any]) -> dict[str, bytes]:
    """``files`` maps the path of each file to its template; ``package`` of the context is the Python package.

    Raises:
        Permanent: what was rendered is no Python: a fault of the templates.
    """
    tree = {path: _environment().get_template(name).render(context) for path, name in files.items()}
    python = {path: text for path, text in tree.items() if path.endswith(".py")}
    python = formatted(python, line_length=LINE_LENGTH, package=context["package"])
    return {path: text.encode() for path, text in {**tree, **python}.items()}
