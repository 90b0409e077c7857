"""The folder of an attempt as a tree: kept after each change, laid out again where another worker goes on.

To the model its root is ``/workspace``; the real path is in no request, so that requests are the same on every
machine.
"""

from __future__ import annotations

import asyncio
import hashlib
import shutil
from pathlib import Path, PurePosixPath

from contracts.artifacts import TREE_MEDIA_TYPE, ArtifactRef, Tree, TreeManifest
from contracts.errors import Rejected
from infra.runtime.agent import Artifacts
from infra.runtime.artifacts import check_path
from infra.runtime.trees import is_by_product, read_tree, write_tree

ROOT = "/workspace"
MAX_FILES = 4_000
MAX_BYTES = 48 * 1024 * 1024


class Workspace:
    """``folder``, and which tree is laid out in it.

    A conversation that is answered from the ledger only names trees (`recorded`); the last one is laid out when
    something has to run on it (`ready`).
    """

    def __init__(self, folder: Path, artifacts: Artifacts) -> None:
        self.folder = folder.resolve()
        self._artifacts = artifacts
        self._wanted: ArtifactRef | None = None
        self._current: ArtifactRef | None = None
        self._known: set[str] = set()

    def recorded(self, tree: ArtifactRef) -> None:
        """``tree`` is what the folder holds from now on; it is not laid out yet."""
        self._wanted = tree

    async def ready(self) -> Path:
        """The folder, with the newest tree in it."""
        if self._wanted is not None and self._wanted != self._current:
            tree = await self._artifacts.get_tree(self._wanted)
            await asyncio.to_thread(_lay_out, self.folder, tree)
            self._current = self._wanted
        return self.folder

    async def keep(self) -> ArtifactRef:
        """Store what the folder holds; contents that were stored before are not sent again.

        Raises:
            Rejected: more or larger files than a workspace may have.
        """
        tree = await asyncio.to_thread(_bounded_tree, self.folder)
        blobs = {hashlib.sha256(content).hexdigest(): content for content in tree.values()}
        for sha256 in blobs.keys() - self._known:
            await self._artifacts.put(blobs[sha256], "application/octet-stream")
        self._known |= blobs.keys()
        self._wanted = self._current = await self._artifacts.put(TreeManifest.of(tree).encode(), TREE_MEDIA_TYPE)
        return self._current

    async def undo(self, tree: ArtifactRef) -> None:
        """Lay ``tree`` out again, whatever is there."""
        self._wanted, self._current = tree, None
        await self.ready()

    async def replace(self, tree: Tree) -> None:
        """Make the folder hold exactly ``tree``.

        Raises:
            Rejected: more or larger files than a workspace may have; the folder is as it was.
        """
        _check_bounds(tree)
        await asyncio.to_thread(_lay_out, self.folder, tree)
        self._current = None


def inside(folder: Path, path: str) -> str:
    """The real path of what the model calls ``path``: below ``/workspace``, or relative to it.

    Raises:
        Rejected: another absolute path, or one that is left out of a source tree.
    """
    pure = PurePosixPath(path)
    if pure.is_absolute():
        if not pure.is_relative_to(ROOT):
            raise Rejected(f"{path} is outside {ROOT}: only files below it can be used")
        pure = pure.relative_to(ROOT)
    if left_out := next((part for part in pure.parts[:-1] if is_by_product(part)), None):
        raise Rejected(
            f"{path} is in a folder named {left_out!r}, which is left out of the package: choose another"
        )
    return str(folder / pure)


def shown(folder: Path, text: str) -> str:
    """``text`` as the model sees it: with `ROOT` for the real folder."""
    return text.replace(str(folder), ROOT)


def _bounded_tree(folder: Path) -> dict[str, bytes]:
    tree = read_tree(folder)
    _check_bounds(tree)
    return tree


def _check_bounds(tree: Tree) -> None:
    if len(tree) > MAX_FILES or sum(map(len, tree.values())) > MAX_BYTES:
        raise Rejected(
            f"more than {MAX_FILES:,} files or {MAX_BYTES // 1024 // 1024} MiB are in {ROOT}: nothing was kept"
        )
    for path in tree:
        check_path(path)


def _lay_out(folder: Path, tree: Tree) -> None:
    """Only what differs is written: the folder is on disk, and others sync to it at the same time."""
    before = read_tree(folder)
    for path in before.keys() - tree.keys():
        (folder / path).unlink()
    changed = {path: content for path, content in tree.items() if before.get(path) != content}
    for path in changed:
        _make_way(folder, path)
    write_tree(folder, changed)


def _make_way(folder: Path, path: str) -> None:
    """Where a file shall be there may be an empty folder, and the other way round."""
    target = folder / path
    if target.is_dir():
        shutil.rmtree(target)
    for parent in target.relative_to(folder).parents:
        if (folder / parent).is_file():
            (folder / parent).unlink()
