"""Every error as a problem document (RFC 9457): what happened, where, what to do; never a trace."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from starlette.exceptions import HTTPException

from contracts.envelope import UnknownFact
from contracts.errors import Rejected, Transient
from infra.runtime import clock

logger = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"
RETRY_AFTER_S = 2

Fault = dict[str, str]
"""``pointer`` (RFC 6901, into the body) and ``detail``."""


class Problem(Exception):
    """Raised anywhere in a request. ``kind`` is the last part of the problem's type URN."""

    def __init__(
        self,
        status: int,
        kind: str,
        detail: str,
        *,
        errors: Iterable[Fault] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.kind = kind
        self.detail = detail
        self.errors = tuple(errors)
        self.headers = dict(headers or {})

    def response(self, instance: str) -> Response:
        """``instance`` is the path that was asked for."""
        body: dict[str, Any] = {
            "type": f"urn:agentic-connectors:problem:{self.kind}",
            "title": HTTPStatus(self.status).phrase,
            "status": self.status,
            "detail": self.detail,
            "instance": instance,
        }
        if self.errors:
            body["errors"] = self.errors
        return Response(json.dumps(body), self.status, headers=self.headers, media_type=MEDIA_TYPE)


def not_found(detail: str) -> Problem:
    return Problem(404, "not-found", detail)


def invalid(kind: str, detail: str, errors: Iterable[Fault] = ()) -> Problem:
    return Problem(422, kind, detail, errors=errors)


def unavailable(detail: str) -> Problem:
    """Nothing is wrong with the request; the same may work soon."""
    return Problem(503, "unavailable", detail, headers={"Retry-After": str(RETRY_AFTER_S)})


def newer_facts(error: UnknownFact) -> Problem:
    """The pipeline goes on, but this process cannot tell what is true of it."""
    detail = f"this pipeline has a fact that this gateway cannot read yet: {error.what}"
    return Problem(503, "newer-facts", detail, headers={"Retry-After": str(RETRY_AFTER_S)})


def install(app: FastAPI) -> None:
    """Let ``app`` answer every error with a problem document."""

    @app.exception_handler(Problem)
    async def problem(request: Request, error: Problem) -> Response:
        return error.response(request.url.path)

    @app.exception_handler(RequestValidationError)
    async def parameters(request: Request, error: RequestValidationError) -> Response:
        faults = tuple(_fault(fault) for fault in error.errors())
        detail = "; ".join(f"{fault['pointer']}: {fault['detail']}" for fault in faults)
        return invalid("invalid-request", detail, faults).response(request.url.path)

    @app.exception_handler(HTTPException)
    async def http(request: Request, error: HTTPException) -> Response:
        kind = HTTPStatus(error.status_code).phrase.lower().replace(" ", "-")
        return Problem(error.status_code, kind, str(error.detail), headers=error.headers).response(request.url.path)

    @app.exception_handler(Transient)
    async def transient(request: Request, error: Transient) -> Response:
        logger.warning("%s %s: %s", request.method, request.url.path, error)
        return unavailable(error.what).response(request.url.path)

    @app.exception_handler(UnknownFact)
    async def newer(request: Request, error: UnknownFact) -> Response:
        logger.warning("%s %s: %s", request.method, request.url.path, error)
        return newer_facts(error).response(request.url.path)

    @app.exception_handler(Rejected)
    async def rejected(request: Request, error: Rejected) -> Response:
        return invalid("rejected", str(error)).response(request.url.path)

    @app.exception_handler(Exception)
    async def unexpected(request: Request, error: Exception) -> Response:
        incident = clock.new_id()
        logger.error("incident %s: %s %s", incident, request.method, request.url.path, exc_info=error)
        detail = f"something went wrong here that is not your fault; the log has it under incident {incident}"
        return Problem(500, "internal", detail).response(request.url.path)


def _fault(fault: Any) -> Fault:
    where, *path = [str(part) for part in fault["loc"]] or ["body"]
    pointer = "#/" + "/".join(path) if where == "body" else f"{where} {'.'.join(path)}".strip()
    return {"pointer": pointer, "detail": str(fault["msg"]).removeprefix("Value error, ")}
