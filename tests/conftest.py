"""Fixtures that all tests share. How to use the bus: see ``tests/support/nats.py``."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from infra.runtime.bus import Bus, connect
from infra.runtime.bus_users import ADMIN
from infra.runtime.log import EventLog
from infra.runtime.nats_server import NatsServer
from infra.runtime.settings import BusSettings
from tests.support.nats import fast, provision_all
from tests.support.postgres import NoPostgres, fresh_database, postgres


@pytest.fixture
def bus_settings(tmp_path: Path) -> BusSettings:
    """Base settings with short waits; ``nats_server.settings(service, bus_settings)`` points them at a server."""
    return fast(tmp_path / "data")


@pytest.fixture(scope="session")
def provisioned_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The store of a bus with all streams and the durables of all services, to be copied: to make them takes four
    times as long."""
    folder = tmp_path_factory.mktemp("provisioned")

    async def make() -> Path:
        async with NatsServer(folder / "nats").running() as server:
            settings = server.settings(ADMIN, fast(folder / "data"))
            async with connect(settings, ADMIN) as bus:
                await provision_all(bus, settings)
        return server.store

    return asyncio.run(make())


@pytest.fixture
async def nats_server(
    request: pytest.FixtureRequest, tmp_path: Path, provisioned_store: Path
) -> AsyncIterator[NatsServer]:
    """A real nats-server on a free port, for this test alone; its store is empty, or provisioned for a ``bus``."""
    server = NatsServer(tmp_path / "nats")
    if "bus" in request.fixturenames:
        shutil.copytree(provisioned_store, server.store)
    await server.start()
    yield server
    await server.kill()


@pytest.fixture
async def bus(nats_server: NatsServer, bus_settings: BusSettings) -> AsyncIterator[Bus]:
    """A connection as the admin, with all streams and the durables of all services provisioned."""
    async with connect(nats_server.settings(ADMIN, bus_settings), ADMIN) as bus:
        yield bus


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    try:
        with postgres() as url:
            yield url
    except NoPostgres as error:
        pytest.skip(str(error))


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Of an empty database of each kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'deep' / 'events.db'}"
    server: str = request.getfixturevalue("postgres_server")
    return fresh_database(server, f"t{abs(hash(request.node.nodeid))}")


@pytest.fixture
def log(bus: Bus) -> EventLog:
    return bus.log
