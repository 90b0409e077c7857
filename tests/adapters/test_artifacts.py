"""One suite for every artifact store: memory, folder, object store of a real server."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Any

import pytest

from contracts.artifacts import TREE_MEDIA_TYPE, ArtifactRef, TreeEntry, TreeManifest
from infra.runtime.artifacts import (
    ArtifactDamaged,
    ArtifactMissing,
    ArtifactTooLarge,
    FolderArtifacts,
    MemoryArtifacts,
    StoredArtifacts,
    UnsafeTree,
    check_path,
)
from infra.runtime.bus import Bus
from infra.runtime.object_store import OBJECT_STREAM, ObjectStoreArtifacts

LIMIT = 3 * 1024 * 1024
TREE = {
    "pyproject.toml": b"[project]",
    "src/a/__init__.py": b"",
    "src/a/main.py": b"print()",
    "src/b.py": b"print()",
}


class Suite:
    """What every store promises."""

    @pytest.fixture
    def store(self) -> StoredArtifacts:
        raise NotImplementedError

    @pytest.mark.parametrize("size", [0, 1, 1000, 256 * 1024, 256 * 1024 + 1, LIMIT])
    async def test_put_then_get_returns_the_same_bytes(self, store: StoredArtifacts, size: int) -> None:
        content = os.urandom(size)
        ref = await store.put(content, "text/plain")
        assert ref == ArtifactRef.of(content, "text/plain")
        assert await store.get(ref) == content

    async def test_missing_artifact_is_named(self, store: StoredArtifacts) -> None:
        ref = ArtifactRef.of(b"never put", "text/plain")
        assert not await store.has(ref.sha256)
        with pytest.raises(ArtifactMissing, match=ref.sha256):
            await store.get(ref)

    async def test_second_put_writes_nothing(self, store: StoredArtifacts, monkeypatch: pytest.MonkeyPatch) -> None:
        ref = await store.put(b"content", "text/plain")

        async def forbidden(*args: Any) -> None:
            raise AssertionError("written again")

        monkeypatch.setattr(store, "_write", forbidden)
        assert await store.put(b"content", "text/plain") == ref
        assert await store.put(b"content", "application/json") == ref.model_copy(
            update={"media_type": "application/json"}
        )

    async def test_writers_and_readers_of_one_content_at_once_all_get_it(self, store: StoredArtifacts) -> None:
        content = os.urandom(700_000)
        ref = ArtifactRef.of(content, "x")
        await asyncio.gather(*(store.put(content, "x") for _ in range(8)))
        assert set(await asyncio.gather(*(store.get(ref) for _ in range(8)))) == {content}

    async def test_content_over_the_limit_is_refused_both_ways(self, store: StoredArtifacts) -> None:
        with pytest.raises(ArtifactTooLarge):
            await store.put(bytes(LIMIT + 1), "x")
        with pytest.raises(ArtifactTooLarge):
            await store.get(ArtifactRef(sha256="0" * 64, media_type="x", size=LIMIT + 1))

    async def test_reference_with_another_size_is_refused(self, store: StoredArtifacts) -> None:
        ref = await store.put(b"content", "x")
        with pytest.raises(ArtifactDamaged):
            await store.get(ref.model_copy(update={"size": 3}))

    async def test_tree_comes_back_as_it_went_in(self, store: StoredArtifacts) -> None:
        ref = await store.put_tree(TREE)
        assert ref == TreeManifest.of(TREE).ref
        assert await store.get_tree(ref) == TREE
        assert await store.get_tree(await store.put_tree({})) == {}

    async def test_tree_of_many_files_comes_back_whole(self, store: StoredArtifacts) -> None:
        tree = {f"src/{number % 20}/{number}.py": os.urandom(300) for number in range(300)}
        assert await store.get_tree(await store.put_tree(tree)) == tree

    @pytest.mark.parametrize(
        "path", ["/etc/passwd", "../up", "a/../../up", "", "a\\b", "C:/x", "a//b", "./a", "a\0b"]
    )
    async def test_tree_that_leaves_itself_is_refused_both_ways(self, store: StoredArtifacts, path: str) -> None:
        with pytest.raises(UnsafeTree):
            await store.put_tree({path: b"x"})
        blob = await store.put(b"x", "application/octet-stream")
        manifest = TreeManifest(files=(TreeEntry(path=path, blob=blob),))
        ref = await store.put(manifest.encode(), TREE_MEDIA_TYPE)
        with pytest.raises(UnsafeTree):
            await store.get_tree(ref)

    async def test_tree_with_a_missing_blob_says_so(self, store: StoredArtifacts) -> None:
        ref = await store.put(TreeManifest.of({"a": b"not put"}).encode(), TREE_MEDIA_TYPE)
        with pytest.raises(ArtifactMissing):
            await store.get_tree(ref)

    async def test_content_that_is_no_manifest_is_refused(self, store: StoredArtifacts) -> None:
        with pytest.raises(ArtifactDamaged, match="manifest"):
            await store.get_tree(await store.put(b"[]", TREE_MEDIA_TYPE))


class TestMemory(Suite):
    @pytest.fixture
    def store(self) -> StoredArtifacts:
        return MemoryArtifacts(max_bytes=LIMIT)


class TestFolder(Suite):
    @pytest.fixture
    def store(self, tmp_path: Path) -> StoredArtifacts:
        return FolderArtifacts(tmp_path / "artifacts", max_bytes=LIMIT)

    async def test_changed_file_is_noticed(self, tmp_path: Path) -> None:
        store = FolderArtifacts(tmp_path)
        ref = await store.put(b"content", "x")
        store.path(ref.sha256).write_bytes(b"CONTENT")
        with pytest.raises(ArtifactDamaged):
            await store.get(ref)

    async def test_interrupted_write_leaves_nothing_behind(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def full(descriptor: int) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(os, "fsync", full)
        with pytest.raises(OSError, match="No space"):
            await FolderArtifacts(tmp_path).put(b"content", "x")
        assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


class TestObjectStore(Suite):
    @pytest.fixture
    def store(self, bus: Bus) -> StoredArtifacts:
        return ObjectStoreArtifacts(bus.nc, bus.reader, timeout_s=5, max_bytes=LIMIT)

    async def test_any_nats_client_reads_what_was_put(self, bus: Bus) -> None:
        content = os.urandom(600_000)
        ref = await bus.artifacts.put(content, "x")
        theirs = await bus.js.object_store("ARTIFACTS")
        assert (await theirs.get(ref.sha256)).data == content

    async def test_we_read_what_another_client_put(self, bus: Bus) -> None:
        """As a backup that is restored; it puts with a header that the bucket does not take otherwise."""
        content = os.urandom(600_000)
        ref = ArtifactRef.of(content, "x")
        config = (await bus.js.stream_info(OBJECT_STREAM)).config
        await bus.js.update_stream(config.evolve(allow_rollup_hdrs=True))
        theirs = await bus.js.object_store("ARTIFACTS")
        await theirs.put(ref.sha256, content)
        assert await bus.artifacts.get(ref) == content

    async def test_reading_makes_no_consumers(self, bus: Bus) -> None:
        ref = await bus.artifacts.put(os.urandom(600_000), "x")
        for _ in range(5):
            await bus.artifacts.get(ref)
        assert (await bus.js.stream_info(OBJECT_STREAM)).state.consumer_count == 0

    async def test_lost_chunk_is_noticed(self, bus: Bus) -> None:
        ref = await bus.artifacts.put(os.urandom(600_000), "x")
        await bus.js.delete_msg(OBJECT_STREAM, 2)
        with pytest.raises(ArtifactDamaged):
            await bus.artifacts.get(ref)


@pytest.mark.parametrize("path", ["a", "a/b.py", "src/source_x/__init__.py", ".github/x", "a b/c", "ä/ö"])
def test_ordinary_path_is_safe(path: str) -> None:
    assert check_path(path) == path


async def test_file_inside_a_file_is_refused() -> None:
    with pytest.raises(UnsafeTree):
        await MemoryArtifacts().put_tree({"a": b"", "a/b": b""})
