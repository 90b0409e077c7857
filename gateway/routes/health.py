"""``/healthz``, ``/readyz`` and ``/metrics``"""

from __future__ import annotations

from fastapi import APIRouter, Response
from fastapi.responses import JSONResponse

from gateway.routes import TheBackend
from infra.runtime.telemetry import scrape

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


@router.get("/metrics", response_class=Response, responses={200: {"content": {scrape.CONTENT_TYPE: {}}}})
async def metrics(backend: TheBackend) -> Response:
    """What this gateway counts, in Prometheus' text format; every service serves its own beside its health."""
    return Response(await scrape.scraped(backend.health.looks), headers={"Content-Type": scrape.CONTENT_TYPE})
