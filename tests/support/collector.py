"""A collector of OpenTelemetry on a real port: takes spans as OTLP over HTTP and decodes them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from tests.support.asgi import listening


@dataclass(frozen=True)
class SpanSeen:
    """A span as it arrived; ids are hexadecimal, times nanoseconds. ``links``: (trace, span)."""

    service: str
    name: str
    kind: str
    trace: str
    id: str
    parent: str
    begin: int
    end: int
    error: str | None
    links: tuple[tuple[str, str], ...]
    attributes: Mapping[str, Any]


@dataclass
class Collector:
    """``status`` is what it answers from now on; only with 200 it keeps what it was sent."""

    url: str = ""
    status: int = 200
    spans: list[SpanSeen] = field(default_factory=list)
    headers: list[Mapping[str, str]] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)

    async def take(self, request: Request) -> Response:
        body = await request.body()
        self.headers.append(dict(request.headers))
        self.bodies.append(body)
        if self.status == 200:
            self.spans += decoded(body)
        return Response(status_code=self.status)

    async def until(self, enough: int, *, timeout_s: float = 10) -> None:
        """Wait until so many spans are there."""
        async with asyncio.timeout(timeout_s):
            while len(self.spans) < enough:
                await asyncio.sleep(0.02)

    def of(self, trace: str) -> list[SpanSeen]:
        return [span for span in self.spans if span.trace == trace]


@asynccontextmanager
async def collecting(status: int = 200) -> AsyncIterator[Collector]:
    collector = Collector(status=status)
    app = Starlette(routes=[Route("/v1/traces", collector.take, methods=["POST"])])
    async with listening(app) as url:
        collector.url = url
        yield collector


def decoded(body: bytes) -> list[SpanSeen]:
    """The spans in an OTLP request.

    Raises:
        google.protobuf.message.DecodeError: it is none.
    """
    return [
        _seen(span, _plain(of_resource.resource.attributes)["service.name"])
        for of_resource in ExportTraceServiceRequest.FromString(body).resource_spans
        for of_scope in of_resource.scope_spans
        for span in of_scope.spans
    ]


def _seen(span: Any, service: str) -> SpanSeen:
    return SpanSeen(
        service=service,
        name=span.name,
        kind=span.SpanKind.Name(span.kind).removeprefix("SPAN_KIND_").lower(),
        trace=span.trace_id.hex(),
        id=span.span_id.hex(),
        parent=span.parent_span_id.hex(),
        begin=span.start_time_unix_nano,
        end=span.end_time_unix_nano,
        error=span.status.message if span.status.code == span.status.STATUS_CODE_ERROR else None,
        links=tuple((link.trace_id.hex(), link.span_id.hex()) for link in span.links),
        attributes=_plain(span.attributes),
    )


def _plain(attributes: Any) -> dict[str, Any]:
    return {one.key: getattr(one.value, one.value.WhichOneof("value")) for one in attributes}
