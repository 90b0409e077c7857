"""A whole stack in the test's own process: bus, event store, gateway, and agents that follow a script."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx2

from contracts.services import Service
from gateway.settings import Settings
from infra.runtime.bus import Bus, connect
from infra.runtime.bus_users import ADMIN
from infra.runtime.nats_server import NatsServer
from infra.runtime.service import serving
from services.event_store.handler import store
from services.event_store.settings import Settings as StoreSettings
from tests.support.gateway import running_gateway
from tests.support.graph import Stage, stage
from tests.support.nats import fast, provision_all


@dataclass
class Site:
    """``stage`` has the agents and the router, if they are at work."""

    server: NatsServer
    bus: Bus
    client: httpx2.AsyncClient
    stage: Stage


@asynccontextmanager
async def site(folder: Path, *, at_work: bool = True, gateway: Settings | None = None) -> AsyncIterator[Site]:
    """A stack with its data in ``folder``; not ``at_work``: what is submitted stays as it is."""
    server, settings = NatsServer(folder / "nats", sync_always=False), fast(folder / "data")
    async with AsyncExitStack() as resources:
        resources.push_async_callback(server.kill)
        await server.start()
        admin = server.settings(ADMIN, settings)
        bus = await resources.enter_async_context(connect(admin, ADMIN))
        await provision_all(bus, admin)
        copy = store(StoreSettings(artifact_patience_s=0))
        own = server.settings(Service.EVENT_STORE, settings)
        await resources.enter_async_context(serving(Service.EVENT_STORE, copy, own))
        served = running_gateway(gateway or Settings(), server.settings(Service.GATEWAY, settings))
        client = await resources.enter_async_context(served)
        theatre = Stage(bus, {})
        if at_work:
            theatre = await resources.enter_async_context(stage(server, bus, settings))
        yield Site(server, bus, client, theatre)
