"""What facts refer to, fetched from the gateway and hashed again."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Mapping
from pathlib import Path

from pydantic import ValidationError

from contracts.artifacts import JSON_MEDIA_TYPE, TREE_MEDIA_TYPE, ArtifactRef, TreeManifest
from contracts.errors import Permanent, Rejected
from gateway.answers import StateAt
from infra.cli.client import Gateway
from infra.runtime.artifacts import MAX_TREE_FILES
from infra.runtime.trees import write_tree

AT_A_TIME = 8


async def state_at(gateway: Gateway, pipeline: str, at: int | None) -> StateAt:
    """The state after ``at`` facts, or as it is now.

    Raises:
        Rejected: no such pipeline, or fewer facts.
    """
    return await gateway.read(f"/pipelines/{pipeline}/state", StateAt, at=at)


async def fetch(gateway: Gateway, ref: ArtifactRef) -> bytes:
    """
    Raises:
        Permanent: what came is something else.
    """
    content = await gateway.content(f"/artifacts/{ref.sha256}")
    if await asyncio.to_thread(lambda: hashlib.sha256(content).hexdigest()) != ref.sha256:
        raise Permanent("the content that came is not what its reference names", where=ref.sha256)
    return content


async def manifest(gateway: Gateway, tree: ArtifactRef | None) -> dict[str, ArtifactRef]:
    """Path -> blob; a tree that is not there has no files."""
    if tree is None:
        return {}
    try:
        files = TreeManifest.model_validate_json(await fetch(gateway, tree)).files
    except ValidationError:
        raise Permanent("this artifact calls itself a tree, but is no manifest", where=tree.sha256) from None
    if len(files) > MAX_TREE_FILES:
        raise Permanent(f"a tree of {len(files)} files exceeds the limit of {MAX_TREE_FILES}", where=tree.sha256)
    return {entry.path: entry.blob for entry in files}


async def fetch_all(gateway: Gateway, refs: Mapping[str, ArtifactRef]) -> dict[str, bytes]:
    """The contents behind ``refs``, a few at a time."""
    slots = asyncio.Semaphore(AT_A_TIME)

    async def one(ref: ArtifactRef) -> bytes:
        async with slots:
            return await fetch(gateway, ref)

    return dict(zip(refs, await asyncio.gather(*(one(ref) for ref in refs.values())), strict=True))


async def lay_out(gateway: Gateway, refs: Mapping[str, ArtifactRef], folder: Path) -> list[Path]:
    """Write what ``refs`` name (role -> reference) below ``folder``: trees as folders. Returns what was written.

    Raises:
        Rejected: there is something in the folder already.
        UnsafeTree: a path that would leave it.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise Rejected("there is something already; give a new or an empty folder", where=str(folder))
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for role, ref in refs.items():
        target = folder / (f"{role}.json" if ref.media_type == JSON_MEDIA_TYPE else role)
        if ref.media_type == TREE_MEDIA_TYPE:
            write_tree(target, await fetch_all(gateway, await manifest(gateway, ref)))
        else:
            target.write_bytes(await fetch(gateway, ref))
        written.append(target)
    return written
