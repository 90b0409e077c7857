"""Renders templates and formats the Python among them with ruff."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from ruff import find_ruff_bin  # type: ignore[import-untyped]

from contracts.errors import Permanent
from services.generator.compiler.text import code_span, json_text, literal, markdown, prose

_TEMPLATES = Path(__file__).parent.parent / "templates"
_TIMEOUT_S = 60
_WORKERS = 4
LINE_LENGTH = 110


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # noqa: S701 - no HTML: each value passes a filter of `text`
    )
    environment.filters |= {
        "py": literal,
        "prose": prose,
        "md": markdown,
        "span": code_span,
        "json": json_text,
    }
    return environment


def render(templates: Mapping[str, str], context: Mapping[str, Any]) -> dict[str, bytes]:
    """``templates`` maps the path of each file to its template."""
    tree = {path: _environment().get_template(name).render(context) for path, name in templates.items()}
    python = {path: text for path, text in tree.items() if path.endswith(".py")}
    return {path: text.encode() for path, text in {**tree, **formatted(python)}.items()}


def formatted(sources: Mapping[str, str]) -> dict[str, str]:
    """Python sources in ruff's format, imports sorted and those of parts that were not rendered removed.

    Raises:
        Permanent: ruff cannot read them: a fault of the templates.
    """
    with ThreadPoolExecutor(_WORKERS) as pool:
        return dict(zip(sources, pool.map(_formatted, sources, sources.values()), strict=True))


def _formatted(path: str, source: str) -> str:
    options = [
        "--isolated",
        "--no-cache",
        "--quiet",
        "--line-length",
        str(LINE_LENGTH),
        "--target-version",
        "py311",
    ]
    options += ["--stdin-filename", path]
    own = f"lint.isort.known-first-party=['{path.split('/')[1]}']"
    tidy = ["--fix-only", "--exit-zero", "--select", "I001,F401", "--config", own]
    tidied = _ruff(["check", *options, *tidy, "-"], source)
    return _ruff(["format", *options, "--config", "format.skip-magic-trailing-comma=true", "-"], tidied)


def _ruff(arguments: list[str], source: str) -> str:
    """ruff's answer on standard output; it needs neither a file nor a folder."""
    result = subprocess.run(  # noqa: S603 - fixed arguments
        [find_ruff_bin(), *arguments],
        input=source,
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=_TIMEOUT_S,
        check=False,
    )
    if result.returncode != 0:
        raise Permanent(f"the rendered connector is not valid Python: {result.stderr.strip()[:500]}")
    return result.stdout
