"""Streams, the artifact bucket and the durable consumers: made or brought up to date at every start.

The event store makes the streams and the bucket, everybody else waits for them and makes its own durables, so
services start in any order. An existing durable is bound silently whatever its configuration, so every start
compares and updates. What may not change in place (subjects of another layout) is an error that says so, never a
silent delete.
"""

from __future__ import annotations

import asyncio
import logging
from functools import partial
from typing import Any

import nats.errors
from nats.js import JetStreamContext, api
from nats.js.errors import APIError, NotFoundError

from contracts import subjects
from contracts.errors import Permanent
from contracts.services import FACES, Service
from infra.runtime.durables import durables
from infra.runtime.gate import GATED, as_closed, is_closed, until_open
from infra.runtime.health import Health
from infra.runtime.object_store import OBJECT_STREAM
from infra.runtime.settings import BusSettings

logger = logging.getLogger(__name__)

DUPLICATE_WINDOW_S = 120.0
MAX_ACK_PENDING = 50_000
"""Messages that are with a process, or wait after it gave them back. Work is bounded by slots; this must only be
more than the facts of a newer version that wait for newer processes, or these would let nothing else through."""

_ALREADY_THERE = {10058, 10148}


class Misconfigured(Permanent):
    """The server has, or wants, another layout than this code."""


def streams(settings: BusSettings) -> tuple[api.StreamConfig, ...]:
    """Every stream: kept in files, without age, with an explicit size, refusing new messages when full."""
    kept: dict[str, Any] = {
        "retention": api.RetentionPolicy.LIMITS,
        "storage": api.StorageType.FILE,
        "discard": api.DiscardPolicy.NEW,
        "max_age": 0,
        "num_replicas": settings.replicas,
        "duplicate_window": DUPLICATE_WINDOW_S,
        "allow_direct": True,
    }
    final: dict[str, Any] = {**kept, "deny_delete": True, "deny_purge": True}
    return (
        api.StreamConfig(
            name=subjects.EVENTS_STREAM,
            subjects=[subjects.ALL_EVENTS],
            max_bytes=settings.events_max_bytes,
            **final,
        ),
        api.StreamConfig(
            name=subjects.TURNS_STREAM,
            subjects=[subjects.ALL_TURNS, subjects.ALL_ACCOUNTS, subjects.ALL_ATTEMPTS],
            max_bytes=settings.turns_max_bytes,
            **final,
        ),
        api.StreamConfig(
            name=subjects.TIMERS_STREAM,
            subjects=[subjects.ALL_TIMERS],
            max_bytes=settings.timers_max_bytes,
            allow_msg_schedules=True,
            allow_msg_ttl=True,
            allow_rollup_hdrs=True,  # the server adds it to a stream with schedules
            # The server refuses "discard new" with schedules; what is oldest here has fired long ago.
            **{**kept, "discard": api.DiscardPolicy.OLD},
        ),
        api.StreamConfig(
            name=subjects.DEAD_STREAM, subjects=[subjects.ALL_DEAD], max_bytes=settings.dead_max_bytes, **final
        ),
        api.StreamConfig(
            name=OBJECT_STREAM,
            subjects=[f"$O.{subjects.ARTIFACTS_BUCKET}.C.>", f"$O.{subjects.ARTIFACTS_BUCKET}.M.>"],
            max_bytes=settings.artifacts_max_bytes,
            # Other than nats-py's: who may put an artifact could purge them all by a header (Nats-Rollup).
            allow_rollup_hdrs=False,
            **kept,
        ),
    )


def filters(service: Service, stream: str = subjects.EVENTS_STREAM) -> list[str]:
    """What the durable of a service on a stream receives."""
    if stream == subjects.TIMERS_STREAM:
        return [subjects.TIMERS_FIRED]
    return [subjects.any_pipeline(fact) for fact in FACES[service].consumes]


def consumers(service: Service, settings: BusSettings) -> dict[str, api.ConsumerConfig]:
    """The durables of one service: stream -> configuration. Deliveries are never limited: we count strikes."""

    def durable(name: str, filter_subjects: list[str]) -> api.ConsumerConfig:
        return api.ConsumerConfig(
            name=name,  # with it nats-py asks on a subject that one grant covers
            durable_name=name,
            deliver_policy=api.DeliverPolicy.ALL,
            ack_policy=api.AckPolicy.EXPLICIT,
            ack_wait=settings.ack_wait_s,
            max_deliver=-1,
            filter_subjects=filter_subjects,
            max_ack_pending=MAX_ACK_PENDING,
        )

    return {stream: durable(name, filters(service, stream)) for stream, name in durables(service).items()}


async def provision(js: JetStreamContext, service: Service, settings: BusSettings, *, closed: bool = False) -> None:
    """Make or update the durables of ``service``; if it is the event store: all streams and the bucket. Safe when
    several of its processes start at once.

    ``closed``: streams that the event store keeps a copy of are made with a closed gate, for it to refill and open.

    Raises:
        Misconfigured: the server refuses the layout (for example a replica count that it cannot give).
        nats.errors.Error, TimeoutError: the bus did not answer; try again.
    """
    if service is Service.EVENT_STORE:
        await asyncio.gather(*(_stream(js, config, closed=closed) for config in streams(settings)))
    for stream, config in consumers(service, settings).items():
        await _consumer(js, stream, config)


async def provisioned(js: JetStreamContext, service: Service, settings: BusSettings, health: Health) -> None:
    """Provision as soon as all streams are there and the log is open, and try again while the bus has trouble (a
    cluster elects a leader, JetStream recovers). What is waited for is a problem in ``health``.

    The event store waits for nobody: it makes the log, closed, and opens it when it has compared its copy.
    """
    is_store = service is Service.EVENT_STORE
    while True:
        if not is_store:
            await until_open(js, [str(config.name) for config in streams(settings)], partial(_tell, health))
        try:
            return await provision(js, service, settings, closed=is_store)
        except (TimeoutError, nats.errors.Error) as error:
            logger.warning("the bus is not ready for provisioning: %r", error)
            await asyncio.sleep(0.5)


def _tell(health: Health, problem: str | None) -> None:
    if problem is None:
        health.problems.pop("log", None)
    elif health.problems.get("log") != problem:
        logger.info("waiting: %s", problem)
        health.problems["log"] = problem


async def _stream(js: JetStreamContext, wanted: api.StreamConfig, *, closed: bool) -> None:
    name = str(wanted.name)
    try:
        try:
            found = (await js.stream_info(name)).config
        except NotFoundError:
            try:
                await js.add_stream(as_closed(wanted) if closed and name in GATED else wanted)
                logger.info("created stream %s", name)
                return
            except APIError as error:
                if error.err_code not in _ALREADY_THERE:
                    raise
                found = (await js.stream_info(name)).config
        wanted = as_closed(wanted) if is_closed(found) else wanted  # opening it is the event store's
        if changes := _differences(found, wanted):
            logger.info("updating stream %s: %s", name, ", ".join(changes))
            await js.update_stream(found.evolve(**{key: getattr(wanted, key) for key in changes}))
    except APIError as error:
        raise Misconfigured(f"the server refuses stream {name}: {error.description}") from error


async def _consumer(js: JetStreamContext, stream: str, wanted: api.ConsumerConfig) -> None:
    name = str(wanted.durable_name)
    try:
        try:
            found = (await js.consumer_info(stream, name)).config
            wanted = _widened(wanted, found)
            changes = _differences(found, wanted)
        except NotFoundError:
            changes = ["everything"]
        if changes:
            logger.info("creating or updating consumer %s of %s: %s", name, stream, ", ".join(changes))
            await js.add_consumer(stream, wanted)
    except APIError as error:
        raise Misconfigured(f"the server refuses consumer {name} of {stream}: {error.description}") from error


def _widened(wanted: api.ConsumerConfig, found: api.ConsumerConfig) -> api.ConsumerConfig:
    """``wanted`` with the subjects that ``found`` has besides. In a rolling change an older process may be started
    after a newer one: what that one waits for must not be passed over meanwhile."""
    have = found.filter_subjects or ([found.filter_subject] if found.filter_subject else [])
    return wanted.evolve(filter_subjects=sorted({*(wanted.filter_subjects or ()), *have}))


def _differences(found: Any, wanted: Any) -> list[str]:
    """Names of the fields that ``wanted`` sets and that differ. One filter may come back in the singular form."""
    have = found.as_dict()
    if have.get("filter_subject") and not have.get("filter_subjects"):
        have["filter_subjects"] = [have["filter_subject"]]
    ignored = {"filter_subject", "name"}
    return sorted(
        key
        for key, value in wanted.as_dict().items()
        if key not in ignored and _plain(have.get(key)) != _plain(value) and not (not value and not have.get(key))
    )


def _plain(value: Any) -> Any:
    """Sets of subjects compare without order; enumerations by their value."""
    if isinstance(value, list):
        return sorted(str(item) for item in value)
    return getattr(value, "value", value)
