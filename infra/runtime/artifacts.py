"""Content-addressed storage, in memory, in a folder, or in the bus's object store.

Every implementation keeps the same promises: what was put can be got; content that exists is never put again;
what is got is hashed again; an artifact has a size limit; a tree is a manifest of blobs whose paths stay inside it.
The object store is in `infra.runtime.object_store`.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Iterable
from pathlib import Path, PurePosixPath
from typing import TypeVar

from pydantic import ValidationError

from contracts.artifacts import TREE_MEDIA_TYPE, ArtifactRef, Tree, TreeManifest
from contracts.errors import Permanent, Rejected, Transient

MIB = 1024 * 1024
DEFAULT_MAX_BYTES = 64 * MIB
MAX_TREE_FILES = 10_000
MAX_TREE_BYTES = 256 * MIB
TREE_CONCURRENCY = 16
_IN_THREAD_FROM = MIB

T = TypeVar("T")


class ArtifactMissing(Transient):
    """The store does not have it (yet)."""


class ArtifactDamaged(Permanent):
    """What the store returned is not what the reference names."""


class ArtifactTooLarge(Rejected):
    """Larger than the limit of this store."""


class UnsafeTree(Rejected):
    """A path that would leave the tree, or too many or too large files."""


class StoredArtifacts(ABC):
    """What all stores share; see `infra.runtime.agent.Artifacts` for the protocol."""

    def __init__(self, *, max_bytes: int = DEFAULT_MAX_BYTES) -> None:
        self.max_bytes = max_bytes

    @abstractmethod
    async def has(self, sha256: str) -> bool:
        """Whether the content is there, whole."""

    @abstractmethod
    async def _write(self, sha256: str, content: bytes) -> None:
        """Store content that is not there; two writers of the same content at once are fine."""

    @abstractmethod
    async def _read(self, ref: ArtifactRef) -> bytes | None:
        """The content, or None if it is not there."""

    async def put(self, content: bytes, media_type: str) -> ArtifactRef:
        """Store ``content``; storing the same again does nothing.

        Raises:
            ArtifactTooLarge: larger than ``max_bytes``.
        """
        if len(content) > self.max_bytes:
            raise ArtifactTooLarge(
                f"an artifact of {len(content)} bytes exceeds the limit of {self.max_bytes} bytes"
            )
        sha256 = await _hash(content)
        if not await self.has(sha256):
            await self._write(sha256, content)
        return ArtifactRef(sha256=sha256, media_type=media_type, size=len(content))

    async def get(self, ref: ArtifactRef) -> bytes:
        """The content behind ``ref``, hashed again.

        Raises:
            ArtifactMissing: it is not there.
            ArtifactDamaged: its hash or size differs.
            ArtifactTooLarge: ``ref`` says that it is larger than ``max_bytes``.
        """
        if ref.size > self.max_bytes:
            raise ArtifactTooLarge(f"an artifact of {ref.size} bytes exceeds the limit of {self.max_bytes} bytes")
        content = await self._read(ref)
        if content is None:
            raise ArtifactMissing(f"the artifact store has no {ref.media_type} of this hash", where=ref.sha256)
        if len(content) != ref.size or await _hash(content) != ref.sha256:
            raise ArtifactDamaged("the stored content differs from its reference", where=ref.sha256)
        return content

    async def put_tree(self, tree: Tree) -> ArtifactRef:
        """Store every file, then the manifest; returns the manifest's reference.

        Raises:
            UnsafeTree: a path leaves the tree, or there are too many or too large files.
            ArtifactTooLarge: one file is larger than ``max_bytes``.
        """
        _check_tree(tree, sum(len(content) for content in tree.values()))
        blobs = {hashlib.sha256(content).digest(): content for content in tree.values()}
        await _bounded(self.put(content, "application/octet-stream") for content in blobs.values())
        return await self.put(TreeManifest.of(tree).encode(), TREE_MEDIA_TYPE)

    async def get_tree(self, ref: ArtifactRef) -> dict[str, bytes]:
        """The files of a tree, path -> content, sorted by path.

        Raises:
            UnsafeTree: the manifest names a path outside the tree, or too many or too large files.
            ArtifactMissing, ArtifactDamaged: see `get`.
        """
        try:
            manifest = TreeManifest.model_validate_json(await self.get(ref))
        except ValidationError as error:
            raise ArtifactDamaged(f"not a tree manifest: {error.error_count()} faults", where=ref.sha256) from error
        paths = [entry.path for entry in manifest.files]
        _check_tree(paths, sum(blob.size for blob in manifest.blobs()))
        blobs = {blob.sha256: blob for blob in manifest.blobs()}
        contents = dict(zip(blobs, await _bounded(self.get(blob) for blob in blobs.values()), strict=True))
        return {entry.path: contents[entry.blob.sha256] for entry in sorted(manifest.files, key=lambda e: e.path)}


class MemoryArtifacts(StoredArtifacts):
    """For tests and for one agent alone."""

    def __init__(self, *, max_bytes: int = DEFAULT_MAX_BYTES) -> None:
        super().__init__(max_bytes=max_bytes)
        self._contents: dict[str, bytes] = {}

    async def has(self, sha256: str) -> bool:
        return sha256 in self._contents

    async def _write(self, sha256: str, content: bytes) -> None:
        self._contents[sha256] = bytes(content)

    async def _read(self, ref: ArtifactRef) -> bytes | None:
        return self._contents.get(ref.sha256)


class FolderArtifacts(StoredArtifacts):
    """One file per artifact, ``<root>/<two digits>/<hash>``, written beside and moved into place, synced."""

    def __init__(self, root: Path, *, max_bytes: int = DEFAULT_MAX_BYTES) -> None:
        super().__init__(max_bytes=max_bytes)
        self.root = root

    def path(self, sha256: str) -> Path:
        return self.root / sha256[:2] / sha256

    async def has(self, sha256: str) -> bool:
        return await asyncio.to_thread(self.path(sha256).is_file)

    async def _write(self, sha256: str, content: bytes) -> None:
        await asyncio.to_thread(self._write_file, self.path(sha256), content)

    async def _read(self, ref: ArtifactRef) -> bytes | None:
        return await asyncio.to_thread(self._read_file, self.path(ref.sha256), ref.size)

    @staticmethod
    def _write_file(path: Path, content: bytes) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=".new-")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            os.replace(name, path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise

    @staticmethod
    def _read_file(path: Path, size: int) -> bytes | None:
        try:
            with path.open("rb") as file:
                return file.read(size + 1)
        except FileNotFoundError:
            return None


def check_path(path: str) -> str:
    """``path`` itself, if it names a file inside a tree on every system.

    Raises:
        UnsafeTree: empty, absolute, with ``..``, a backslash, a drive, a control character, or too long.
    """
    pure = PurePosixPath(path)
    bad = (
        not path
        or len(path) > 512
        or str(pure) != path
        or pure.is_absolute()
        or ".." in pure.parts
        or path == "."
        or "\\" in path
        or ":" in pure.parts[0]
        or any(ord(character) < 32 or ord(character) == 127 for character in path)
    )
    if bad:
        raise UnsafeTree("this path does not stay inside its tree", where=repr(path[:200]))
    return path


def _check_tree(paths: Iterable[str], total_bytes: int) -> None:
    seen: set[str] = set()
    for path in paths:
        if check_path(path) in seen:
            raise UnsafeTree("this path is twice in the tree", where=path)
        seen.add(path)
    if len(seen) > MAX_TREE_FILES:
        raise UnsafeTree(f"a tree of {len(seen)} files exceeds the limit of {MAX_TREE_FILES}")
    if total_bytes > MAX_TREE_BYTES:
        raise UnsafeTree(f"a tree of {total_bytes} bytes exceeds the limit of {MAX_TREE_BYTES}")
    for path in seen:
        if any(str(parent) in seen for parent in PurePosixPath(path).parents):
            raise UnsafeTree("a file of the tree lies inside another file", where=path)


async def _hash(content: bytes) -> str:
    """SHA-256 in hexadecimal; large contents are hashed in a thread, off the event loop."""
    if len(content) < _IN_THREAD_FROM:
        return hashlib.sha256(content).hexdigest()
    return await asyncio.to_thread(lambda: hashlib.sha256(content).hexdigest())


async def _bounded(jobs: Iterable[Awaitable[T]]) -> list[T]:
    """Await all, at most `TREE_CONCURRENCY` at once, in order; the first error cancels the rest."""
    slots = asyncio.Semaphore(TREE_CONCURRENCY)

    async def one(job: Awaitable[T]) -> T:
        async with slots:
            return await job

    tasks: list[asyncio.Task[T]] = []
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(one(job)) for job in jobs]
    except ExceptionGroup as errors:
        raise errors.exceptions[0] from None
    return [task.result() for task in tasks]
