"""Where the corpus is: documents of real APIs, and what experts decided about some of them.

Test input that is read from its place and never copied: ``CORPUS_DIR`` (default: ``shared`` beside this repository)
with ``specs/NAME.yaml`` or ``.json`` and ``truth/NAME.json``.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from contracts.errors import Rejected

ROOT = Path(os.environ.get("CORPUS_DIR", Path(__file__).parents[3] / "shared"))


def documents(root: Path = ROOT) -> dict[str, Path]:
    """Name -> file of every document, by name; empty if there is no corpus."""
    return {path.stem: path for path in sorted((root / "specs").glob("*")) if path.suffix in (".json", ".yaml")}


def truths(root: Path = ROOT) -> dict[str, Path]:
    """Name -> file of every truth."""
    return {path.stem: path for path in sorted((root / "truth").glob("*.json"))}


def chosen(found: Mapping[str, Path], names: Iterable[str] | None, *, but: Iterable[str] = ()) -> dict[str, Path]:
    """Those called ``names`` (``None``: all), without ``but``.

    Raises:
        Rejected: a name that is none.
    """
    wanted, unwanted = list(found if names is None else names), set(but)
    if unknown := [name for name in (*wanted, *unwanted) if name not in found]:
        raise Rejected(f"there is no {', '.join(unknown)}; there are {', '.join(found) or 'none'}", where=str(ROOT))
    return {name: found[name] for name in wanted if name not in unwanted}
