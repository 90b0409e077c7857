"""Jinja templates of source code, and ruff's format for the Python among what they render."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from ruff import find_ruff_bin  # type: ignore[import-untyped]

from contracts.errors import Permanent
from infra.runtime.processes import without_keys

_TIMEOUT_S = 60
_WORKERS = 4
_REMEMBERED = 2048


def templates(folder: Path, filters: Mapping[str, Callable[..., Any]]) -> Environment:
    """The templates of ``folder``. They are no HTML: each value has to pass one of ``filters``."""
    environment = Environment(
        loader=FileSystemLoader(folder),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # noqa: S701 - source code
    )
    environment.filters |= filters
    return environment


def formatted(sources: Mapping[str, str], *, line_length: int, package: str) -> dict[str, str]:
    """Python sources (path -> text) in ruff's format, imports sorted and those that are not used removed.

    Args:
        package: the package whose imports stand apart, as the project's own.

    Raises:
        Permanent: ruff cannot read them: a fault of the templates.
    """
    format_one = partial(formatted_module, line_length, package)
    with ThreadPoolExecutor(_WORKERS) as pool:
        return dict(zip(sources, pool.map(format_one, sources, sources.values()), strict=True))


@lru_cache(_REMEMBERED)
def formatted_module(line_length: int, package: str, path: str, source: str) -> str:
    """One of them. Remembered: ruff has to be started twice for each, and what is rendered again for a package
    differs in few modules.

    Raises:
        Permanent: ruff cannot read it.
    """
    options = [
        "--isolated",
        "--no-cache",
        "--quiet",
        "--line-length",
        str(line_length),
        "--target-version",
        "py311",
    ]
    options += ["--stdin-filename", path]
    own = f"lint.isort.known-first-party=['{package}']"
    tidy = ["--fix-only", "--exit-zero", "--select", "I001,F401", "--config", own]
    tidied = _ruff(path, ["check", *options, *tidy, "-"], source)
    return _ruff(path, ["format", *options, "--config", "format.skip-magic-trailing-comma=true", "-"], tidied)


def _ruff(path: str, arguments: list[str], source: str) -> str:
    """ruff's answer on standard output; it needs neither a file nor a folder."""
    result = subprocess.run(  # noqa: S603 - fixed arguments
        [find_ruff_bin(), *arguments],
        input=source,
        capture_output=True,
        text=True,
        encoding="utf-8",
        env=without_keys(),
        timeout=_TIMEOUT_S,
        check=False,
    )
    if result.returncode != 0:
        raise Permanent(f"{path}, as rendered, is not valid Python: {result.stderr.strip()[:500]}")
    return result.stdout
