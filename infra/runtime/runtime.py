"""What a running service has: its connection, its subscriptions and its jobs."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

from faststream import AckPolicy
from faststream.nats import JStream, NatsBroker, NatsMessage, PullSub
from nats.aio.msg import Msg
from nats.js.api import ConsumerConfig

from contracts import subjects
from contracts.services import Service
from infra.runtime import bus as buses
from infra.runtime.bus import Bus
from infra.runtime.durables import TIMERS_CONSUMER
from infra.runtime.health import Health
from infra.runtime.log import States
from infra.runtime.provision import filters
from infra.runtime.settings import BusSettings
from infra.runtime.telemetry import context
from infra.runtime.telemetry.spans import Recorder

logger = logging.getLogger(__name__)

PULL_TIMEOUT_S = 5.0

Handler = Callable[[Msg], Awaitable[None]]
"""Gets the raw message and must ``ack``, ``ack_sync``, ``nak`` or leave it; must not raise."""


@dataclass
class Runtime:
    """What a running service has. ``on_stop`` runs first at the end, while the bus is still there. ``recorder`` is
    there where spans are recorded."""

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
    recorder: Recorder | None = None

    def subscribe(
        self, handler: Handler, *, stream: str = subjects.EVENTS_STREAM, durable: str | None = None, slots: int = 1
    ) -> None:
        """Let FastStream pull from a durable (default: this service's own) and hand over each message.

        Each of the ``slots`` fetches one message, handles it, and fetches the next: a slow one holds up no other,
        and nothing waits in this process without a heartbeat.
        """
        name = durable or self.service.value
        for _ in range(slots):
            self.broker.subscriber(
                stream=JStream(stream, declare=False),
                durable=name,
                config=ConsumerConfig(durable_name=name, filter_subjects=filters(self.service, stream)),
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

    def place(self, pipeline: str, msg: Msg | None = None, task: str | None = None) -> context.Place:
        """For `context.at`: at work for ``pipeline``, because ``msg`` came."""
        came = context.parent(msg.headers if msg is not None else None, pipeline)
        return context.Place(pipeline, came, task, self.recorder)

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


def _inbox(settings: BusSettings, *, name: str) -> bytes:
    return f"{buses.options(settings, name)['inbox_prefix']}.".encode()


def _raw(handler: Handler) -> Callable[[NatsMessage], Awaitable[None]]:
    async def handle(message: NatsMessage) -> None:
        await handler(message.raw_message)

    return handle
