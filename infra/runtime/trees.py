"""Source trees on disk: writes one, and reads one back as it was written."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from contracts.artifacts import Tree
from contracts.errors import Rejected
from infra.runtime.artifacts import MAX_TREE_BYTES, MAX_TREE_FILES, check_path

BY_PRODUCTS = frozenset(
    {"__pycache__", ".pytest_cache", ".mypy_cache", ".ruff_cache", ".venv", "venv", "dist", "build"}
)
"""Folders that using a package leaves in it: no part of it, and nobody misses them."""


def is_by_product(name: str) -> bool:
    """Whether a folder of this name is left by using a package."""
    return name in BY_PRODUCTS or name.endswith(".egg-info")


def write_tree(folder: Path, tree: Tree) -> None:
    """Write every file below ``folder``, which is made if missing. Blocks.

    Raises:
        UnsafeTree: a path that would leave the folder.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for path, content in tree.items():
        target = folder / check_path(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)


def read_tree(folder: Path) -> dict[str, bytes]:
    """The files below ``folder`` without `BY_PRODUCTS`; symbolic links are not followed and not part of it. Blocks.

    Raises:
        Rejected: more or larger files than a tree may have.
    """
    tree: dict[str, bytes] = {}
    total = 0
    for path in _files(folder):
        total += path.stat().st_size
        if len(tree) >= MAX_TREE_FILES or total > MAX_TREE_BYTES:
            raise Rejected("more or larger files than a source tree may have", where=str(folder))
        tree[path.relative_to(folder).as_posix()] = path.read_bytes()
    return tree


def _files(folder: Path) -> Iterator[Path]:
    for current, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not is_by_product(name))
        for name in sorted(names):
            path = Path(current) / name
            if path.is_file() and not path.is_symlink():
                yield path
