"""A service's connection to the bus: made, provisioned and watched, however long the bus takes."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from typing import Any

import nats.errors
from faststream.nats import NatsBroker, NatsMessage
from faststream.nats.security import NatsNKey, NatsSecurity, NatsUserPassword
from nats.js.errors import NotFoundError

from contracts import subjects
from contracts.pipeline import evolve
from contracts.services import Service
from infra.runtime import bus as buses
from infra.runtime import clock
from infra.runtime.bus import Bus, Troubles, until_connected
from infra.runtime.durables import durables
from infra.runtime.health import Check, Health
from infra.runtime.log import States
from infra.runtime.readiness import watch_bus, watch_store
from infra.runtime.runtime import Runtime
from infra.runtime.settings import BusSettings
from infra.runtime.telemetry import scrape
from infra.runtime.telemetry.spans import Recorder, recording

logger = logging.getLogger(__name__)

STOP_TIMEOUT_S = 8.0
_CLOCK_STEP_S = 1.0
_WATCH_S = 10.0
_FIRST_LOOK_S = 0.2


async def connected(service: Service, settings: BusSettings, health: Health) -> Runtime:
    """A runtime whose broker is connected, and a job that watches the connection. What is in the way meanwhile is a
    problem in ``health``.

    Raises:
        CredentialsUnusable: a file cannot be read, or holds something else.
        nats.errors.Error: the bus does not know this user, or its password or key is another one.
    """
    ended, again = asyncio.Event(), asyncio.Event()
    troubles = Troubles()

    async def closed() -> None:
        ended.set()

    async def reconnected() -> None:
        again.set()

    def tell(problem: str) -> None:
        health.problems["bus"] = problem

    broker = NatsBroker(
        settings.servers,
        security=_security(buses.credentials(settings, service.value)),
        logger=None,
        apply_types=False,
        decoder=_whole,
        js_options={"prefix": subjects.API},
        error_cb=troubles.hear,
        closed_cb=closed,
        reconnected_cb=reconnected,
        graceful_timeout=STOP_TIMEOUT_S / 2,
        **buses.options(settings, service.value),
    )
    nc = await until_connected(broker.connect, troubles, tell)
    health.problems.pop("bus", None)
    bus = await Bus.on(nc, settings)
    states = States(bus.log, evolve, capacity=settings.cached_pipelines)
    runtime = Runtime(service, settings, broker, bus, states, health)
    if (recorder_on := recording(settings)) is not None:
        _record_spans(runtime, recorder_on(nc, service))

    runtime.spawn(_watch(runtime, ended, again), "bus-connection")
    watch_bus(health, bus)
    if service is not Service.EVENT_STORE:
        watch_store(health, nc)
    health.warnings["clock"] = _clock_check()
    health.looks += [scrape.bus_look(service, nc), scrape.consumers_look(bus.js, durables(service))]
    return runtime


def _security(given: Mapping[str, Any]) -> NatsSecurity:
    """FastStream's spelling of `infra.runtime.bus.credentials`."""
    tls = {"ssl_context": given.get("tls"), "tls_handshake_first": given.get("tls_handshake_first", False)}
    if "nkeys_seed_str" in given:
        return NatsNKey.from_seed(given["nkeys_seed_str"], **tls)
    return NatsUserPassword(given["user"], given["password"], **tls) if "user" in given else NatsSecurity(**tls)


def _record_spans(runtime: Runtime, recorder: Recorder) -> None:
    runtime.recorder = recorder
    runtime.spawn(recorder.run(), "spans")


def _clock_check() -> Check:
    began = clock.offset_s()

    async def set_back() -> str | None:
        back_s = began - clock.offset_s()
        if back_s < _CLOCK_STEP_S:
            return None
        return f"the clock was set back by {back_s:.0f} s since this process started; order and waits do not use it"

    return set_back


async def _watch(runtime: Runtime, ended: asyncio.Event, again: asyncio.Event) -> None:
    """End the process when its connection is closed for good, or when the log it knew was replaced by another one.

    A stream that was deleted and made anew has other facts at the same sequences: nothing that is kept here is
    true any more, and an old acknowledgement could acknowledge an unhandled message (design.md, rule 14).
    """
    created = None
    while True:
        waits = {asyncio.create_task(event.wait()) for event in (ended, again)}
        wait_s = _WATCH_S if created else _FIRST_LOOK_S  # which log it is must be known before that can change
        try:
            await asyncio.wait(waits, timeout=wait_s, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
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


async def _whole(message: NatsMessage) -> NatsMessage:
    """FastStream's decoder: handlers get the message itself, not its body."""
    return message
