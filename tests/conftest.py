"""Fixtures that all tests share. How to use the bus: see ``tests/support/nats.py``."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from contracts.services import Service
from infra.runtime.bus import Bus, connect
from infra.runtime.log import EventLog
from infra.runtime.nats_server import NatsServer
from infra.runtime.permissions import ADMIN
from infra.runtime.provision import provision
from infra.runtime.settings import BusSettings
from tests.support.nats import fast


@pytest.fixture
def bus_settings(tmp_path: Path) -> BusSettings:
    """Base settings with short waits; ``nats_server.settings(service, bus_settings)`` points them at a server."""
    return fast(tmp_path / "data")


@pytest.fixture
async def nats_server(tmp_path: Path) -> AsyncIterator[NatsServer]:
    """A real nats-server on a free port with an empty store, for this test alone."""
    server = NatsServer(tmp_path / "nats")
    await server.start()
    yield server
    await server.kill()


@pytest.fixture
async def bus(nats_server: NatsServer, bus_settings: BusSettings) -> AsyncIterator[Bus]:
    """A connection as the admin, with all streams and the durables of all services provisioned."""
    settings = nats_server.settings(ADMIN, bus_settings)
    async with connect(settings, ADMIN) as bus:
        for service in Service:
            await provision(bus.js, service, settings)
        yield bus


@pytest.fixture
def log(bus: Bus) -> EventLog:
    return bus.log
