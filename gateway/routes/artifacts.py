"""``/artifacts``: the contents that facts refer to, and which of them a pipeline had at any moment."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Path, Query
from fastapi.responses import RedirectResponse, StreamingResponse
from pydantic import BaseModel

from contracts.artifacts import JSON_MEDIA_TYPE, TREE_MEDIA_TYPE, ArtifactRef
from contracts.base import Sha256
from contracts.queries import ArtifactChunk
from gateway.problems import not_found
from gateway.reads import Reads
from gateway.routes import Id, TheParts

router = APIRouter(tags=["artifacts"])

At = Annotated[int | None, Query(ge=1, description="a position, 1..n; without it, as it is now")]
PLAIN = frozenset({JSON_MEDIA_TYPE, TREE_MEDIA_TYPE})
"""Told as what they are. All else was named by who made it, and goes out as bytes."""


class ArtifactLine(BaseModel):
    """``href`` has the content: of a tree, its manifest (path -> blob), whose blobs are artifacts too."""

    role: str
    artifact: ArtifactRef
    href: str


class ArtifactsAt(BaseModel):
    """What the state names after ``position`` facts: document, blueprint, code, fixtures, tests, reports, ..."""

    pipeline_id: str
    position: int
    artifacts: tuple[ArtifactLine, ...]


@router.get("/pipelines/{id}/artifacts")
async def artifacts(id: Id, parts: TheParts, at: At = None) -> ArtifactsAt:
    """Code, reports, blueprint and all else as they were after the first `at` facts."""
    answer = await parts.reads.state(id, at=at)
    found = {role: ref for role, ref in answer.state if isinstance(ref, ArtifactRef)}
    lines = (ArtifactLine(role=role, artifact=ref, href=_href(ref)) for role, ref in found.items())
    return ArtifactsAt(pipeline_id=id, position=answer.position, artifacts=tuple(lines))


@router.get("/pipelines/{id}/artifacts/{role}", response_class=RedirectResponse, status_code=307)
async def artifact_at(
    id: Id, role: Annotated[str, Path(max_length=50, description="as in the list")], parts: TheParts, at: At = None
) -> RedirectResponse:
    """To the content of one of them.  404: there was none at that position."""
    found = await artifacts(id, parts, at)
    href = next((line.href for line in found.artifacts if line.role == role), None)
    if href is None:
        there = ", ".join(line.role for line in found.artifacts) or "none"
        raise not_found(f"pipeline {id} has no {role!r} at {found.position}; there is {there}")
    return RedirectResponse(href)


@router.get("/artifacts/{sha256}", response_class=StreamingResponse)
async def artifact(sha256: Annotated[Sha256, Path()], parts: TheParts) -> StreamingResponse:
    """The content with this hash, out of the event store's copy. It never changes."""
    first = await parts.reads.artifact(sha256)
    return StreamingResponse(
        _chunks(parts.reads, sha256, first),
        media_type=first.media_type if first.media_type in PLAIN else "application/octet-stream",
        headers={
            "Content-Length": str(first.size),
            "Content-Disposition": f'attachment; filename="{sha256}"',
            "ETag": f'"{sha256}"',
            "Cache-Control": "private, max-age=31536000, immutable",
        },
    )


async def _chunks(reads: Reads, sha256: str, first: ArtifactChunk) -> AsyncIterator[bytes]:
    """What is missing at the end breaks the promised length, so nobody takes half of it for the whole."""
    sent, chunk = 0, first
    while chunk.content:
        yield chunk.content
        sent += len(chunk.content)
        if sent >= first.size:
            return
        chunk = await reads.artifact(sha256, offset=sent)


def _href(ref: ArtifactRef) -> str:
    return f"/artifacts/{ref.sha256}"
