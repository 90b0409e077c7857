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
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import nats.errors
from faststream import AckPolicy, FastStream
from faststream.nats import JStream, NatsBroker, NatsMessage, PullSub
from faststream.security import SASLPlaintext
from nats.aio.msg import Msg
from nats.js.api import ConsumerConfig
from nats.js.errors import NotFoundError

from contracts import subjects
from contracts.errors import ConnectorsError
from contracts.pipeline import evolve
from contracts.services import FACES, Service
from infra.runtime import bus as buses
from infra.runtime import logs
from infra.runtime.agent import Agent
from infra.runtime.bus import Bus
from infra.runtime.health import Health, served
from infra.runtime.log import States
from infra.runtime.provision import TIMERS_CONSUMER, filters, provision
from infra.runtime.settings import BusSettings

logger = logging.getLogger(__name__)

PULL_TIMEOUT_S = 5.0
STOP_TIMEOUT_S = 8.0
FULL_AT = 0.8
_WATCH_S = 10.0

Handler = Callable[[Msg], Awaitable[None]]
"""Gets the raw message and must ``ack``, ``ack_sync``, ``nak`` or leave it; must not raise."""


@dataclass
class Runtime:
    """What a running service has. ``on_stop`` runs first at the end, while the bus is still there."""

    service: Service
    settings: BusSettings
    broker: NatsBroker
    bus: Bus
    states: States
    health: Health = field(default_factory=Health)
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    failed: bool = False
    on_stop: list[Callable[[], Awaitable[None]]] = field(default_factory=list)
    jobs: set[asyncio.Task[None]] = field(default_factory=set)

    def subscribe(
        self, handler: Handler, *, stream: str = subjects.EVENTS_STREAM, durable: str | None = None, slots: int = 1
    ) -> None:
        """Let FastStream pull from a durable (default: this service's own) and hand over each message.

        Each of the ``slots`` fetches one message, handles it, and fetches the next: a slow one holds up no other,
        and nothing waits in this process without a heartbeat.
        """
        name = durable or self.service.value
        wanted = filters(FACES[self.service]) if stream == subjects.EVENTS_STREAM else [subjects.TIMERS_FIRED]
        for _ in range(slots):
            self.broker.subscriber(
                stream=JStream(stream, declare=False),
                durable=name,
                config=ConsumerConfig(durable_name=name, filter_subjects=wanted),
                pull_sub=PullSub(batch_size=1, timeout=PULL_TIMEOUT_S),
                ack_policy=AckPolicy.MANUAL,
                inbox_prefix=_inbox(self.settings, name=self.service.value),
            )(_raw(handler))

    def subscribe_timers(self, handler: Handler) -> None:
        """Hand over each message of a timer whose time has come (router only)."""
        self.subscribe(handler, stream=subjects.TIMERS_STREAM, durable=TIMERS_CONSUMER)

    def listen(self, subject: str, handler: Handler) -> None:
        """Plain subscription: what is said while nobody listens is lost. Answer with ``msg.respond``."""
        self.broker.subscriber(subject)(_raw(handler))

    def spawn(self, job: Coroutine[Any, Any, None], name: str) -> None:
        """Run ``job`` beside the subscriptions; if it raises, the process ends with an error."""
        task = asyncio.create_task(job, name=name)
        self.jobs.add(task)
        task.add_done_callback(self._job_ended)

    def _job_ended(self, task: asyncio.Task[None]) -> None:
        self.jobs.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self.fail(f"{task.get_name()} ended: {error!r}", error)

    def fail(self, what: str, error: BaseException | None = None) -> None:
        """Something this process cannot go on without is gone: end it, so that it is started anew."""
        if self.stopping.is_set():
            return
        logger.error("%s", what, exc_info=error)
        self.failed = True
        self.stopping.set()


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
        await stack.enter_async_context(
            served(health, host=settings.health_host, port=settings.health_port, socket=settings.health_socket)
        )
        runtime = await _connected(service, settings, health)
        stack.push_async_callback(_stopped, runtime)
        await _provisioned(runtime)
        await setup(runtime)
        app = FastStream(runtime.broker, logger=None)
        await app.start()
        for _ in range(2):  # nats-py's PING overtakes what is pending: only the second proves that SUBs arrived
            await runtime.bus.nc.flush()
        health.started = True
        logger.info("ready")
        yield runtime


async def _connected(service: Service, settings: BusSettings, health: Health) -> Runtime:
    """A runtime whose broker is connected, and a job that watches the connection."""
    ended, again = asyncio.Event(), asyncio.Event()
    login = buses.credentials(settings, service.value)

    async def closed() -> None:
        ended.set()

    async def reconnected() -> None:
        again.set()

    broker = NatsBroker(
        settings.servers,
        security=SASLPlaintext(*login) if login else None,
        logger=None,
        apply_types=False,
        decoder=_whole,
        error_cb=buses.report_error,
        closed_cb=closed,
        reconnected_cb=reconnected,
        graceful_timeout=STOP_TIMEOUT_S / 2,
        **buses.options(settings, service.value),
    )
    nc = await broker.connect()
    bus = await Bus.on(nc, settings)
    states = States(bus.log, evolve, capacity=settings.cached_pipelines)
    runtime = Runtime(service, settings, broker, bus, states, health)

    async def connection() -> str | None:
        return None if nc.is_connected else "not connected to the bus"

    async def space() -> str | None:
        info = await bus.js.stream_info(subjects.EVENTS_STREAM)
        used = info.state.bytes / (info.config.max_bytes or 1)
        return f"stream {subjects.EVENTS_STREAM} is {used:.0%} full" if used >= FULL_AT else None

    runtime.spawn(_watch(runtime, ended, again), "bus-connection")
    health.checks["bus"] = connection
    health.warnings["space"] = space
    return runtime


async def _watch(runtime: Runtime, ended: asyncio.Event, again: asyncio.Event) -> None:
    """End the process when its connection is closed for good, or when the log it knew was replaced by another one.

    A stream that was deleted and made anew has other facts at the same sequences: nothing that is kept here is
    true any more, and an old acknowledgement could acknowledge an unhandled message (design.md, rule 14).
    """
    created = None
    while True:
        waits = {asyncio.create_task(event.wait()) for event in (ended, again)}
        _, rest = await asyncio.wait(waits, timeout=_WATCH_S, return_when=asyncio.FIRST_COMPLETED)
        for wait in rest:
            wait.cancel()
        if ended.is_set():
            runtime.fail("the connection to the bus is closed for good")
            return
        again.clear()
        if not runtime.bus.nc.is_connected or not runtime.health.started:
            continue
        try:
            info = await runtime.bus.js.stream_info(subjects.EVENTS_STREAM)
        except NotFoundError:
            runtime.fail(f"the stream {subjects.EVENTS_STREAM} is gone")
            return
        except (TimeoutError, nats.errors.Error) as error:
            logger.warning("cannot look at the stream %s: %r", subjects.EVENTS_STREAM, error)
            continue
        if created not in (None, info.created):
            runtime.fail(f"the stream {subjects.EVENTS_STREAM} was made anew")
            return
        created = info.created


async def _provisioned(runtime: Runtime) -> None:
    """Provision, and try again while the bus has trouble (a cluster elects a leader, JetStream recovers)."""
    while True:
        try:
            return await provision(runtime.bus.js, runtime.service, runtime.settings)
        except (TimeoutError, nats.errors.Error) as error:
            logger.warning("the bus is not ready for provisioning: %r", error)
            await asyncio.sleep(0.5)


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
            await _cancelled(runtime.jobs)
            await broker.stop()
    except (TimeoutError, nats.errors.Error) as error:
        logger.warning("the bus did not take a clean goodbye: %r", error)
    finally:
        await _cancelled(runtime.jobs)
        if not nc.is_closed:
            await nc.close()


async def _cancelled(jobs: set[asyncio.Task[None]]) -> None:
    for job in jobs:
        job.cancel()
    await asyncio.gather(*jobs, return_exceptions=True)


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


def _inbox(settings: BusSettings, *, name: str) -> bytes:
    return f"{buses.options(settings, name)['inbox_prefix']}.".encode()


async def _whole(message: NatsMessage) -> NatsMessage:
    """FastStream's decoder: handlers get the message itself, not its body."""
    return message


def _raw(handler: Handler) -> Callable[[NatsMessage], Awaitable[None]]:
    async def handle(message: NatsMessage) -> None:
        await handler(message.raw_message)

    return handle
