"""``/healthz`` and ``/readyz``"""

from __future__ import annotations

from fastapi import APIRouter
from fastapi.responses import JSONResponse

from gateway.routes import TheBackend

router = APIRouter(tags=["health"])


@router.get("/healthz")
async def healthz() -> dict[str, bool]:
    """The process lives."""
    return {"alive": True}


@router.get("/readyz")
async def readyz(backend: TheBackend) -> JSONResponse:
    """200: bus and event store answer; else 503 with what is wrong."""
    ready, body = await backend.health.report()
    return JSONResponse(body, 200 if ready else 503)
