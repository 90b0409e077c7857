"""What is only looked at when somebody asks for ``/metrics``: so it costs nothing while nobody does.

What cannot be read is left out, never shown as it was.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from typing import TypeVar

import nats.errors
from nats.aio.client import Client
from nats.js import JetStreamContext
from prometheus_client import generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from contracts.services import Service
from infra.runtime.telemetry import metrics

CONTENT_TYPE = CONTENT_TYPE_LATEST
LOOK_TIMEOUT_S = 2.0

Look = Callable[[], Awaitable[None]]
"""Sets gauges to what is true now, within `LOOK_TIMEOUT_S`; raises nothing."""

Report = Callable[[], Awaitable[tuple[bool, dict[str, object]]]]
"""`infra.runtime.health.Health.report`"""

T = TypeVar("T")


async def scraped(looks: list[Look]) -> bytes:
    """All metrics of this process as text, after all ``looks``."""
    await asyncio.gather(*(look() for look in looks))
    return generate_latest(metrics.REGISTRY)


def process_look(service: Service, report: Report) -> Look:
    """Which code runs, and whether it is ready."""
    metrics.begin_at_zero(service)
    try:
        metrics.BUILD.labels(service, version("agentic-connectors")).set(1)
    except PackageNotFoundError:  # a source tree that was never installed
        metrics.BUILD.labels(service, "source").set(1)

    async def look() -> None:
        ready, body = await report()
        metrics.READY.labels(service).set(ready)
        warnings = body["warnings"]
        metrics.WARNINGS.labels(service).set(len(warnings) if isinstance(warnings, dict) else 0)

    return look


def bus_look(service: Service, nc: Client) -> Look:
    """Whether the bus is there, and how often it came back."""
    seen = 0

    async def look() -> None:
        nonlocal seen
        metrics.BUS_CONNECTED.labels(service).set(nc.is_connected)
        now = nc.stats["reconnects"]
        metrics.BUS_RECONNECTS.labels(service).inc(now - seen)
        seen = now

    return look


def consumers_look(js: JetStreamContext, durables: Mapping[str, str]) -> Look:
    """How far the durables (stream -> name) of a service are behind."""

    async def one(stream: str, consumer: str) -> None:
        if (info := await answered(js.consumer_info(stream, consumer))) is None:
            metrics.PENDING.remove(consumer)
            metrics.ACK_PENDING.remove(consumer)
        else:
            metrics.PENDING.labels(consumer).set(info.num_pending or 0)
            metrics.ACK_PENDING.labels(consumer).set(info.num_ack_pending or 0)

    async def look() -> None:
        await asyncio.gather(*(one(stream, name) for stream, name in durables.items()))

    return look


async def answered(question: Awaitable[T]) -> T | None:
    """The bus's answer, or None if there is none in time."""
    with suppress(TimeoutError, nats.errors.Error):
        async with asyncio.timeout(LOOK_TIMEOUT_S):
            return await question
    return None
