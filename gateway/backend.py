"""Everything behind the routes, made once the bus is there."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from contracts.services import Service
from gateway.capabilities import Capabilities
from gateway.catalogue import Catalogue
from gateway.dead import Dead
from gateway.live import Hub
from gateway.problems import unavailable
from gateway.reads import Reads
from gateway.settings import Settings
from gateway.store import Store
from gateway.tracing import spans_travel
from gateway.writes import Writes
from infra.runtime.bus import Bus, connect
from infra.runtime.health import Health
from infra.runtime.provision import provisioned
from infra.runtime.readiness import watch_bus, watch_store
from infra.runtime.settings import BusSettings
from infra.runtime.telemetry import scrape
from infra.runtime.telemetry.spans import recording

logger = logging.getLogger(__name__)

UPLOADS_AT_A_TIME = 4
"""A document is in memory while it is hashed and stored."""


@dataclass(frozen=True)
class Parts:
    """What a request may use."""

    bus: Bus
    reads: Reads
    writes: Writes
    dead: Dead
    hub: Hub
    capabilities: Capabilities


class Backend:
    """Connects in the background: the gateway answers from its first moment, if only that it is not ready."""

    def __init__(self, settings: Settings, bus_settings: BusSettings) -> None:
        self.settings = settings
        self.catalogue = Catalogue(settings.output_dir)
        self.health = Health()
        self.health.started = True
        self.health.checks = {"bus": self._bus_problem}
        self.health.looks.append(scrape.process_look(Service.GATEWAY, self.health.report))
        self.uploads = asyncio.Semaphore(UPLOADS_AT_A_TIME)
        self.imports = asyncio.Lock()
        self._bus_settings = bus_settings
        self._recorder_on = recording(bus_settings)
        self._parts: Parts | None = None

    @property
    def parts(self) -> Parts:
        """
        Raises:
            Problem: 503: the bus is not there yet.
        """
        if self._parts is None:
            raise unavailable(self.health.problems.get("log", "the gateway is not connected to the bus yet"))
        return self._parts

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Connected, or trying to be, while inside."""
        ended = asyncio.Event()
        connection = asyncio.create_task(self._connected(ended), name="bus")
        connection.add_done_callback(self._lost)
        try:
            yield
        finally:
            ended.set()
            if self._parts is None:
                connection.cancel()
            await asyncio.gather(connection, return_exceptions=True)

    async def _connected(self, ended: asyncio.Event) -> None:
        async with connect(self._bus_settings, Service.GATEWAY, tell=self._tell) as bus:
            self.health.problems.pop("connection", None)
            await provisioned(bus.js, Service.GATEWAY, self._bus_settings, self.health)
            settings = self.settings
            reads = Reads(Store(bus.nc, timeout_s=settings.store_timeout_s), bus.log)
            recorder = self._recorder_on(bus.nc, Service.GATEWAY) if self._recorder_on else None
            writes = Writes(bus, reads, submit_timeout_s=settings.submit_timeout_s, recorder=recorder)
            capabilities = Capabilities(
                bus.nc, timeout_s=settings.capability_timeout_s, cache_s=settings.capability_cache_s
            )
            hub = Hub(bus)
            watch_bus(self.health, bus)
            watch_store(self.health, bus.nc)
            self.health.looks.append(scrape.bus_look(Service.GATEWAY, bus.nc))
            self._parts = Parts(bus, reads, writes, Dead(bus, writes), hub, capabilities)
            logger.info("connected")
            async with spans_travel(bus.nc, settings, recorder):
                await ended.wait()
            await hub.close()

    def _lost(self, connection: asyncio.Task[None]) -> None:
        """Nobody waits for it, and it does not begin again: what ended it must be seen."""
        if not connection.cancelled() and (error := connection.exception()) is not None:
            logger.error("the gateway has no bus: %s; correct it and restart the gateway", error)
            self.health.problems["connection"] = str(error)

    def _tell(self, problem: str) -> None:
        self.health.problems["connection"] = problem

    async def _bus_problem(self) -> str | None:
        """Until there is a bus to ask."""
        return None if "log" in self.health.problems else "not connected to the bus"
