"""What is told of each request: how many, how long, for which pipeline; and the trace that its client is in."""

from __future__ import annotations

import re
import time
from contextvars import ContextVar

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from infra.runtime.telemetry import context, metrics
from infra.runtime.telemetry.spans import Link

METHODS = frozenset({"GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"})
_PIPELINE = re.compile(r"/pipelines/([0-9a-f]{32})(?:/|$)")

_client: ContextVar[Link | None] = ContextVar("client", default=None)


def client_links() -> list[Link]:
    """The span in which a client sent the request that is handled here, if it said so (``traceparent``)."""
    link = _client.get()
    return [link] if link is not None else []


class Observed:
    """Pure ASGI, and outermost: what is refused counts, too."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        # Each request has a task, and so a context, of its own: nothing has to be put back.
        _client.set(context.parse(Headers(scope=scope).get(context.HEADER)))
        if found := _PIPELINE.match(scope["path"]):
            context.be_at(context.Place(found[1], context.root_span(found[1])))
        began = time.monotonic()

        async def counted(message: Message) -> None:
            if message["type"] == "http.response.start":
                _count(scope, message["status"], time.monotonic() - began)
            await send(message)

        await self._app(scope, receive, counted)


def _count(scope: Scope, status: int, seconds: float) -> None:
    """A template has few values, a path any number; what no route takes, or was refused before, is ``other``."""
    route = getattr(scope.get("route"), "path_format", "other")
    method = scope["method"] if scope["method"] in METHODS else "other"
    metrics.HTTP_REQUESTS.labels(route, method, str(status)).inc()
    metrics.HTTP_SECONDS.labels(route, method).observe(seconds)
