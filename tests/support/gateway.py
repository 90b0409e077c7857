"""The gateway on a real port, in the test's own process."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx2

from gateway.app import create_app
from gateway.settings import Settings
from infra.runtime.settings import BusSettings
from tests.support.asgi import listening


@asynccontextmanager
async def running_gateway(settings: Settings, bus_settings: BusSettings) -> AsyncIterator[httpx2.AsyncClient]:
    """A client of a gateway that is connected to the bus."""
    app = create_app(settings, bus_settings)
    async with (
        listening(app) as url,
        httpx2.AsyncClient(base_url=url, timeout=20, trust_env=False) as client,
    ):
        async with asyncio.timeout(10):
            while app.state.backend._parts is None:
                await asyncio.sleep(0.005)
        yield client


@dataclass(frozen=True)
class Sent:
    """One server-sent event."""

    event: str
    id: str | None
    data: Any


async def sent_events(response: httpx2.Response) -> AsyncIterator[Sent]:
    """The events of a live stream, until it ends."""
    fields: dict[str, str] = {}
    async for line in response.aiter_lines():
        if line.startswith(":"):
            continue
        if line:
            name, _, value = line.partition(": ")
            fields[name] = value
        elif "data" in fields:
            yield Sent(fields.get("event", "message"), fields.get("id"), json.loads(fields["data"]))
            fields = {}
