"""A pipeline as a file: out of this stack, into another."""

from __future__ import annotations

import asyncio
import tempfile
from typing import IO, Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import StreamingResponse

from contracts.exchange import MEDIA_TYPE, Imported
from gateway.answers import links
from gateway.bundle import read_bundle
from gateway.exporting import Export, ancestry
from gateway.guard import IMPORT_PATH
from gateway.importing import take
from gateway.problems import Problem
from gateway.routes import Id, TheBackend, TheParts

router = APIRouter(tags=["pipelines"])

_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {MEDIA_TYPE: {"schema": {"type": "string", "format": "binary"}}},
    }
}


@router.get("/pipelines/{id}/export", response_class=StreamingResponse)
async def export(id: Id, parts: TheParts) -> StreamingResponse:
    """The pipeline's facts, those of what it was forked from, and all artifacts that they name, as one zip."""
    pipelines = await ancestry(parts.bus, parts.reads, id)
    headers = {"Content-Disposition": f'attachment; filename="pipeline-{id}.zip"'}
    return StreamingResponse(Export(parts.reads, pipelines).parts(), media_type=MEDIA_TYPE, headers=headers)


@router.post(IMPORT_PATH, status_code=201, openapi_extra=_BODY)
async def import_(request: Request, response: Response, backend: TheBackend, parts: TheParts) -> Imported:
    """Take in an exported file. The pipeline can then be read and forked under its own id; nothing works on it. The
    same file again changes nothing; 409: another history of the same pipeline is here."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != MEDIA_TYPE:
        raise Problem(415, "unsupported-media-type", f"send the file as it is, with Content-Type: {MEDIA_TYPE}")
    async with backend.imports:
        with tempfile.TemporaryFile(prefix="import-") as file:
            await _spool(request, file)
            bundle = await asyncio.to_thread(read_bundle, file)
            taken = await take(parts.bus, parts.reads, bundle)
    if not taken.facts:
        response.status_code = 200
    found = links(taken.pipeline_id)
    response.headers["Location"] = found["self"]
    return taken.model_copy(update={"links": found})


async def _spool(request: Request, file: IO[bytes]) -> None:
    """The guard counts the bytes while they come."""
    async for chunk in request.stream():
        await asyncio.to_thread(file.write, chunk)
