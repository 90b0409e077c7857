"""Renders the templates of the tests and formats them with ruff."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from ruff import find_ruff_bin  # type: ignore[import-untyped]

from contracts.errors import Permanent
from infra.runtime.trees import read_tree, write_tree

_TEMPLATES = Path(__file__).parent / "templates"
_TIMEOUT_S = 60
LINE_LENGTH = 120


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # noqa: S701 - Python, no HTML: every value goes through `ascii` or `_comment`
    )
    environment.filters |= {"py": ascii, "comment": _comment}
    return environment


def _comment(text: str) -> str:
    """One line that ends no comment: what stands in it may come from a document."""
    return "# " + " ".join(text.encode("ascii", "replace").decode().split())[:300]


def render(templates: Mapping[str, str], context: Mapping[str, Any]) -> dict[str, bytes]:
    """``templates`` maps the path of each file to its template; ``notes`` of the context holds those of each path.

    Raises:
        Permanent: ruff cannot read what was rendered: a fault of the templates.
    """
    notes: Mapping[str, list[str]] = context["notes"]
    tree = {
        path: _environment().get_template(name).render({**context, "notes": notes[path]}).encode()
        for path, name in templates.items()
    }
    with tempfile.TemporaryDirectory(prefix="tests-") as folder:
        write_tree(Path(folder), tree)
        _ruff(Path(folder), ["check", "--fix-only", "--exit-zero", "--select", "I001,F401"])
        _ruff(Path(folder), ["format", "--config", "format.skip-magic-trailing-comma=true"])
        return read_tree(Path(folder))


def _ruff(folder: Path, arguments: list[str]) -> None:
    options = [
        "--isolated",
        "--no-cache",
        "--quiet",
        "--line-length",
        str(LINE_LENGTH),
        "--target-version",
        "py311",
    ]
    result = subprocess.run(  # noqa: S603 - fixed arguments
        [find_ruff_bin(), *arguments, *options, "."],
        cwd=folder,
        capture_output=True,
        timeout=_TIMEOUT_S,
        check=False,
    )
    if result.returncode != 0:
        raise Permanent(f"the rendered tests are no valid Python: {result.stderr.decode(errors='replace')[:500]}")
