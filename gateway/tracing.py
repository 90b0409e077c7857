"""The gateway's part in tracing: its own spans, and those of all services on their way to a collector."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress

from nats.aio.client import Client

from gateway.settings import Settings
from infra.runtime.telemetry.spans import Recorder

LAST_WORDS_S = 1.0
"""How long a stop may wait for the collector."""


@asynccontextmanager
async def spans_travel(nc: Client, settings: Settings, recorder: Recorder | None) -> AsyncIterator[None]:
    """Send this process's spans, and hand all on where there is a collector, while inside."""
    async with AsyncExitStack() as stack:
        if settings.otlp_endpoint is not None:
            from gateway.forwarding import Forwarder  # an HTTP client: 150 ms, only when used

            headers = settings.otlp_headers.get_secret_value()
            forwarder = Forwarder(nc, str(settings.otlp_endpoint), headers)
            await stack.enter_async_context(_beside(asyncio.create_task(forwarder.run(), name="forwarder")))
            stack.push_async_callback(forwarder.drained, LAST_WORDS_S)
        if recorder is not None:
            await stack.enter_async_context(_beside(asyncio.create_task(recorder.run(), name="spans")))
            stack.push_async_callback(recorder.close)
        yield


@asynccontextmanager
async def _beside(job: asyncio.Task[None]) -> AsyncIterator[None]:
    try:
        yield
    finally:
        job.cancel()
        with suppress(asyncio.CancelledError):
            await job
