"""Runs a service: connection, provisioning, subscriptions by FastStream, health, signals, a clean end.

    # services/tester/__main__.py
    run_agent(agent(Settings()))

    # services/router/__main__.py
    async def setup(runtime: Runtime) -> None:
        runtime.subscribe(handler, stream=EVENTS_STREAM, durable="router")
        runtime.spawn(sweep(runtime), "sweep")
    run_service(Service.ROUTER, setup)

Tests run the same in their own process: ``async with serving(Service.ROUTER, setup, settings)`` or
``async with running(agent, settings)``.
"""

from __future__ import annotations

import asyncio
import logging
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager

import nats.errors
from faststream import FastStream

from contracts.errors import ConnectorsError
from contracts.services import Service
from infra.runtime import logs
from infra.runtime.agent import Agent
from infra.runtime.connection import STOP_TIMEOUT_S, connected
from infra.runtime.health import Health, served
from infra.runtime.provision import provisioned
from infra.runtime.runtime import Runtime
from infra.runtime.settings import BusSettings
from infra.runtime.telemetry import scrape

__all__ = ["Runtime", "Setup", "run_agent", "run_service", "running", "serving"]

logger = logging.getLogger(__name__)

CANCEL_AGAIN_S = 0.2

Setup = Callable[[Runtime], Awaitable[None]]
"""Adds subscriptions and jobs; the bus is connected, nothing is consumed yet."""


def run_agent(agent: Agent, settings: BusSettings | None = None) -> None:
    """Run an agent's process until SIGTERM or SIGINT; exits with 0, or 1 after a failure."""
    run_service(agent.service, _agent_setup(agent), settings)


def run_service(service: Service, setup: Setup, settings: BusSettings | None = None) -> None:
    """Run a service's process until SIGTERM or SIGINT; exits with 0, or 1 after a failure."""
    settings = settings or BusSettings()
    logs.configure(settings, service.value)
    sys.exit(asyncio.run(_until_signal(service, setup, settings)))


@asynccontextmanager
async def running(agent: Agent, settings: BusSettings) -> AsyncIterator[Runtime]:
    """The loop of ``agent`` in this process, without signals: for tests and for several agents in one."""
    async with serving(agent.service, _agent_setup(agent), settings) as runtime:
        yield runtime


def _agent_setup(agent: Agent) -> Setup:
    async def setup(runtime: Runtime) -> None:
        from infra.runtime.agent_loop import AgentLoop

        AgentLoop(agent, runtime).subscribe()

    return setup


@asynccontextmanager
async def serving(service: Service, setup: Setup, settings: BusSettings) -> AsyncIterator[Runtime]:
    """Connect (waiting for the bus as long as it takes), provision, consume; hand work back at the end."""
    async with AsyncExitStack() as stack:
        health = Health()
        health.looks.append(scrape.process_look(service, health.report))
        await stack.enter_async_context(
            served(health, host=settings.health_host, port=settings.health_port, socket=settings.health_socket)
        )
        runtime = await connected(service, settings, health)
        stack.push_async_callback(_stopped, runtime)
        await provisioned(runtime.bus.js, service, settings, health)
        await setup(runtime)
        app = FastStream(runtime.broker, logger=None)
        await app.start()
        for _ in range(2):  # nats-py's PING overtakes what is pending: only the second proves that SUBs arrived
            await runtime.bus.nc.flush()
        health.started = True
        logger.info("ready")
        yield runtime


async def _stopped(runtime: Runtime) -> None:
    """Give work back while the bus is there, end the jobs, then close; never longer than `STOP_TIMEOUT_S`."""
    runtime.stopping.set()
    broker, nc = runtime.broker, runtime.bus.nc
    try:
        async with asyncio.timeout(STOP_TIMEOUT_S):
            # Nothing more is fetched from here on; the subscribers wait for the handlers that the hooks end.
            quiet = asyncio.gather(*(subscriber.stop() for subscriber in broker.subscribers))
            await asyncio.sleep(0)
            for hook in runtime.on_stop:
                await hook()
            await quiet
            if runtime.recorder is not None:
                await runtime.recorder.close()
            await _cancelled(runtime.jobs)
            await broker.stop()
    except (TimeoutError, nats.errors.Error) as error:
        logger.warning("the bus did not take a clean goodbye: %r", error)
    finally:
        await _cancelled(runtime.jobs)
        if not nc.is_closed:
            await nc.close()


async def _cancelled(jobs: set[asyncio.Task[None]]) -> None:
    """End all of ``jobs``. A cancellation that comes together with what a job waits for may get lost (`wait_for` of
    Python 3.11, https://github.com/python/cpython/issues/81839): who goes on is cancelled again."""
    while pending := {job for job in jobs if not job.done()}:
        for job in pending:
            job.cancel()
        await asyncio.wait(pending, timeout=CANCEL_AGAIN_S)


async def _until_signal(service: Service, setup: Setup, settings: BusSettings) -> int:
    """The exit code: 0 after a signal, 1 after a failure."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)

    started = False

    async def serve() -> int:
        nonlocal started
        async with serving(service, setup, settings) as runtime:
            started = True
            waits = {asyncio.create_task(event.wait()) for event in (stop, runtime.stopping)}
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
            for wait in waits:
                wait.cancel()
        return 1 if runtime.failed else 0

    work = asyncio.create_task(serve())
    signalled = asyncio.create_task(stop.wait())
    await asyncio.wait({work, signalled}, return_when=asyncio.FIRST_COMPLETED)
    signalled.cancel()
    if not started:  # still waiting for the bus: there is nothing to hand back
        work.cancel()
    try:
        return await work
    except asyncio.CancelledError:
        return 0
    except (ConnectorsError, nats.errors.Error, OSError) as error:
        logger.error("%s cannot run: %s", service, error)
        return 1
