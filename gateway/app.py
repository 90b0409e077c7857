"""Puts the gateway together."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI
from starlette.middleware import Middleware

from gateway import page, problems
from gateway.backend import Backend
from gateway.guard import Guard
from gateway.observed import Observed
from gateway.routes import (
    artifacts,
    connectors,
    control,
    dead,
    exchange,
    health,
    histories,
    pipelines,
    submit,
    verify,
)
from gateway.settings import Settings
from infra.runtime.settings import BusSettings

DESCRIPTION = "Give it an API; agents research, write, test, review and publish an Airbyte connector."
_PROBLEM = {"description": "a problem document (RFC 9457)", "content": {problems.MEDIA_TYPE: {}}}


def create_app(settings: Settings, bus_settings: BusSettings) -> FastAPI:
    """The ASGI application; it connects to the bus when it starts."""
    backend = Backend(settings, bus_settings)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with backend.running():
            yield

    app = FastAPI(
        title="Agentic Connectors",
        version="0.1.0",
        description=DESCRIPTION,
        lifespan=lifespan,
        middleware=[Middleware(Observed), Middleware(Guard, settings=settings)],
        responses={"4XX": _PROBLEM, "5XX": _PROBLEM},
        docs_url=None,  # they load scripts from a CDN
        redoc_url=None,
    )
    app.state.backend = backend
    problems.install(app)
    for router in (
        submit.router,
        pipelines.router,
        control.router,
        exchange.router,
        histories.router,
        verify.router,
        dead.router,
        artifacts.router,
        connectors.router,
        health.router,
        page.router,
    ):
        app.include_router(router)
    _define(app)
    return app


def _define(app: FastAPI) -> None:
    """Add the definitions of the hand-written request body to the generated document."""
    generate = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            document = generate()
            document.setdefault("components", {}).setdefault("schemas", {}).update(submit.DEFINITIONS)
        return generate()

    app.openapi = openapi  # type: ignore[method-assign]
