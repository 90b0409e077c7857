"""``python -m gateway``"""

from __future__ import annotations

import asyncio
import logging
import signal
import sys

import uvicorn

from contracts.services import Service
from gateway.app import create_app
from gateway.settings import Settings
from infra.runtime import logs
from infra.runtime.bus import CredentialsUnusable, credentials
from infra.runtime.health import served
from infra.runtime.settings import BusSettings

GOODBYE_S = 3
KEEP_ALIVE_S = 30


async def serve(settings: Settings, bus_settings: BusSettings) -> None:
    """Until SIGTERM or SIGINT; uvicorn raises them once more after its clean end, which must not kill us then."""
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, lambda: None)
    app = create_app(settings, bus_settings)
    config = uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port,
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=GOODBYE_S,
    )
    health = app.state.backend.health
    async with served(
        health, host=bus_settings.health_host, port=bus_settings.health_port, socket=bus_settings.health_socket
    ):
        await uvicorn.Server(config).serve()


if __name__ == "__main__":
    bus_settings = BusSettings()
    logs.configure(bus_settings, Service.GATEWAY.value)
    try:
        credentials(bus_settings, Service.GATEWAY)  # it connects in the background, and what is of no use stays so
    except CredentialsUnusable as error:
        logging.getLogger(__name__).error("gateway cannot run: %s", error)
        sys.exit(1)
    asyncio.run(serve(Settings(), bus_settings))
