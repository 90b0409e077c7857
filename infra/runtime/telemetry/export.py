"""Spans by OpenTelemetry's SDK, sent over the bus. The only importer of the SDK (extra ``tracing``).

They travel as OTLP protobuf on `subjects.SPANS`, because most services reach nothing but the bus; the gateway hands
them on (`gateway.forwarding`). Its batching processor is not used: it works in a thread of its own, while the
connection lives on the event loop, and nobody hears how much it drops.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Iterator, Sequence
from datetime import datetime
from importlib.metadata import version

import nats.errors
from nats.aio.client import Client
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanLimits, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace import Span as SdkSpan
from opentelemetry.sdk.trace.sampling import ALWAYS_ON
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Link as SdkLink
from opentelemetry.trace import (
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    set_span_in_context,
)

from contracts import subjects
from contracts.services import Service
from infra.runtime import clock
from infra.runtime.telemetry import metrics
from infra.runtime.telemetry.context import Place, root_span
from infra.runtime.telemetry.spans import Attributes, Kind, Link, Span

logger = logging.getLogger(__name__)

SCOPE = "agentic-connectors"
SEND_EVERY_S = 1.0
KEPT_SPANS = 4096
"""While the bus is away; what comes then is dropped."""

BATCH_SPANS = 256
ROOM_BYTES = 4096
"""Of the bus's payload limit, for what is around a message."""

_LIMITS = SpanLimits(max_span_attributes=32, max_span_attribute_length=256, max_links=4)
_RECORDED = TraceFlags(TraceFlags.SAMPLED)


class _Recorded:
    """A span of the SDK, as `infra.runtime.telemetry.spans.Span`."""

    def __init__(self, sdk: SdkSpan) -> None:
        self._sdk = sdk
        self._open = True

    @property
    def id(self) -> str:
        return f"{self._sdk.get_span_context().span_id:016x}"

    def set(self, attributes: Attributes) -> None:
        self._sdk.set_attributes(_readable(attributes))

    def rename(self, name: str) -> None:
        self._sdk.update_name(name)

    def fail(self, kind: str) -> None:
        if self._open:
            self._sdk.set_attribute("error.type", kind)
            self._sdk.set_status(Status(StatusCode.ERROR, kind))

    def end(self) -> None:
        if self._open:
            self._open = False
            self._sdk.end()

    def drop(self) -> None:
        self._open = False


class _Kept(SpanProcessor):
    """The spans that ended and were not sent yet."""

    def __init__(self) -> None:
        self._spans: deque[ReadableSpan] = deque()

    def on_end(self, span: ReadableSpan) -> None:
        if len(self._spans) < KEPT_SPANS:
            self._spans.append(span)
        else:
            metrics.SPANS_DROPPED.labels("queue_full").inc()

    def take(self) -> list[ReadableSpan]:
        """The oldest ones, at most a batch."""
        return [self._spans.popleft() for _ in range(min(BATCH_SPANS, len(self._spans)))]


class BusRecorder:
    """Records the spans of one process, and publishes them while `run` runs."""

    def __init__(self, nc: Client, service: Service) -> None:
        self._nc = nc
        self._resource = Resource.create(
            {
                "service.namespace": SCOPE,
                "service.name": service.value,
                "service.version": version(SCOPE),
                "service.instance.id": clock.new_id(),
            }
        )
        self._scope = InstrumentationScope(SCOPE, version(SCOPE))
        self._kept = _Kept()
        for reason in ("queue_full", "too_large", "bus"):
            metrics.SPANS_DROPPED.labels(reason)
        provider = TracerProvider(ALWAYS_ON, self._resource, shutdown_on_exit=False, span_limits=_LIMITS)
        provider.add_span_processor(self._kept)
        self._tracer = provider.get_tracer(SCOPE, version(SCOPE))

    def begin(
        self,
        place: Place,
        name: str,
        kind: Kind,
        attributes: Attributes,
        links: Sequence[Link],
        start: datetime | None,
    ) -> Span:
        sdk = self._tracer.start_span(
            name,
            context=set_span_in_context(NonRecordingSpan(_context(place.pipeline, place.span))),
            kind=SpanKind[kind.upper()],
            attributes=_readable(attributes),
            links=[SdkLink(_context(*link)) for link in links],
            start_time=_ns(start) if start else None,
        )
        assert isinstance(sdk, SdkSpan)
        return _Recorded(sdk)

    def whole(
        self, pipeline: str, name: str, began: datetime, attributes: Attributes, links: Sequence[Link], error: str
    ) -> None:
        self._kept.on_end(
            ReadableSpan(
                name,
                _context(pipeline, root_span(pipeline)),
                resource=self._resource,
                attributes=_readable(attributes) | ({"error.type": error} if error else {}),
                links=[SdkLink(_context(*link)) for link in links],
                kind=SpanKind.INTERNAL,
                instrumentation_scope=self._scope,
                status=Status(StatusCode.ERROR, error) if error else Status(),
                start_time=_ns(began),
                end_time=_ns(clock.now()),
            )
        )

    async def run(self) -> None:
        """Send what has ended, again and again, until cancelled."""
        while True:
            await asyncio.sleep(SEND_EVERY_S)
            await self._send()

    async def close(self) -> None:
        await self._send()

    async def _send(self) -> None:
        """While the bus is away spans wait here: its client's buffer is for work."""
        while self._nc.is_connected and (batch := self._kept.take()):
            room = self._nc.max_payload - ROOM_BYTES
            for payload in await asyncio.to_thread(lambda taken, most: list(_encoded(taken, most)), batch, room):
                try:
                    await self._nc.publish(subjects.SPANS, payload)
                except nats.errors.Error as error:
                    metrics.SPANS_DROPPED.labels("bus").inc(len(batch))
                    logger.debug("spans were not sent: %r", error)


def _encoded(batch: Sequence[ReadableSpan], most_bytes: int) -> Iterator[bytes]:
    """``batch`` in as few messages as fit."""
    payload = encode_spans(batch).SerializeToString()
    if len(payload) <= most_bytes:
        yield payload
    elif len(batch) == 1:
        metrics.SPANS_DROPPED.labels("too_large").inc()
    else:
        half = len(batch) // 2
        yield from _encoded(batch[:half], most_bytes)
        yield from _encoded(batch[half:], most_bytes)


def _context(trace: str, span: str) -> SpanContext:
    return SpanContext(int(trace, 16), int(span, 16), is_remote=True, trace_flags=_RECORDED)


def _readable(attributes: Attributes) -> dict[str, str | int | float | bool]:
    """Without lone surrogates, which a model's server may send and which no encoder takes."""
    return {
        name: value.encode("utf-8", "replace").decode() if isinstance(value, str) else value
        for name, value in attributes.items()
    }


def _ns(time: datetime) -> int:
    return int(time.timestamp()) * 1_000_000_000 + time.microsecond * 1000
