"""Hands spans on from the bus to a collector (OTLP over HTTP). Of several gateways one takes each batch.

Whatever happens to the collector, nothing waits for it: what there is no room for is dropped and counted.
https://opentelemetry.io/docs/specs/otlp/#otlphttp
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from contextlib import suppress
from urllib.parse import unquote

import httpx2
import nats.errors
from nats.aio.client import Client
from nats.aio.msg import Msg

from contracts.subjects import SPANS
from infra.runtime.telemetry import metrics

logger = logging.getLogger(__name__)

QUEUE = "gateway-spans"
MAX_WAITING_BYTES = 16 * 1024 * 1024
TIMEOUT_S = 10.0
RETRY_S = (0.5, 2.0, 5.0)
LATER = frozenset({429, 502, 503, 504})
"""Answers after which OTLP tries again; after any other it does not."""


class Forwarder:
    """``endpoint`` is without ``/v1/traces``; for ``headers`` see `parsed`."""

    def __init__(self, nc: Client, endpoint: str, headers: str = "") -> None:
        self._nc = nc
        self._url = f"{endpoint.rstrip('/')}/v1/traces"
        self._headers = {"Content-Type": "application/x-protobuf", **parsed(headers)}
        self._waiting: deque[bytes] = deque()
        self._bytes = 0
        self._news = asyncio.Event()

    async def run(self) -> None:
        """Until cancelled."""
        logging.getLogger("httpx2").setLevel(logging.WARNING)  # it says a line for each batch
        subscription = await self._nc.subscribe(SPANS, queue=QUEUE, cb=self._take)
        try:
            async with httpx2.AsyncClient(timeout=TIMEOUT_S, follow_redirects=False) as client:
                while True:
                    await self._news.wait()
                    while self._waiting:
                        batch = self._waiting[0]
                        outcome = await self._sent(client, batch)
                        metrics.SPAN_BATCHES.labels(outcome).inc()
                        self._bytes -= len(self._waiting.popleft())
                    self._news.clear()
        finally:
            if self._nc.is_connected:
                await subscription.unsubscribe()

    async def drained(self, timeout_s: float) -> None:
        """Wait until what was published so far is handed on, at most ``timeout_s``."""
        with suppress(TimeoutError, nats.errors.Error):
            async with asyncio.timeout(timeout_s):
                await self._nc.flush()
                while self._waiting:
                    await asyncio.sleep(0.01)

    async def _take(self, msg: Msg) -> None:
        if self._bytes + len(msg.data) > MAX_WAITING_BYTES:
            metrics.SPAN_BATCHES.labels("dropped").inc()
            return
        self._waiting.append(msg.data)
        self._bytes += len(msg.data)
        self._news.set()

    async def _sent(self, client: httpx2.AsyncClient, batch: bytes) -> str:
        """How it ended: sent, refused, or dropped after some tries."""
        for wait_s in (*RETRY_S, None):
            try:
                status = (await client.post(self._url, content=batch, headers=self._headers)).status_code
            except httpx2.TransportError as error:
                logger.debug("the collector at %s does not answer: %r", self._url, error)
            else:
                if status not in LATER:
                    return "sent" if status < 400 else self._refused(status)
            if wait_s is not None:
                await asyncio.sleep(wait_s)
        logger.warning("the collector at %s takes no spans: some are dropped", self._url)
        return "dropped"

    def _refused(self, status: int) -> str:
        logger.warning("the collector at %s refuses spans with %d: see OTEL_EXPORTER_OTLP_*", self._url, status)
        return "refused"


def parsed(headers: str) -> dict[str, str]:
    """``a=b,c=d`` with percent-encoded values
    (https://opentelemetry.io/docs/specs/otel/protocol/exporter/#specifying-headers-via-environment-variables)."""
    pairs = (pair.partition("=") for pair in headers.split(",") if "=" in pair)
    return {name.strip(): unquote(value.strip()) for name, _, value in pairs}
