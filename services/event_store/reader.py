"""Follows the log from last + 1 and writes it down, a batch at a time: the only way into the database."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from typing import Any, TypeVar

import nats.errors
from nats.aio.msg import Msg
from nats.js import JetStreamContext, api
from nats.js.errors import APIError
from sqlalchemy.exc import SQLAlchemyError

from contracts.errors import Permanent, Transient
from contracts.subjects import ALL_EVENTS, EVENTS_STREAM
from infra.runtime import clock
from infra.runtime.telemetry.context import Place, at, root_span
from services.event_store.archive import Archive
from services.event_store.beside import Beside
from services.event_store.database.copy import Copy
from services.event_store.database.engine import told
from services.event_store.database.folded import Message
from services.event_store.database.writer_lock import WriterLock
from services.event_store.errors import Gap
from services.event_store.refill import Refill
from services.event_store.watermark import Watermark

logger = logging.getLogger(__name__)

BATCH = 512
IDLE_S = 2.0
ANSWER_S = 1.0
"""In which a consumer says that it is there: nobody answers for one whose node is gone."""

GATHER_S = 0.015
"""Between two transactions: one a fact cost more processor time than all agents of an idle pipeline together."""

FORGET_CONSUMER_S = 60.0
RETRY_S = (0.2, 0.5, 1.0, 2.0, 5.0)

T = TypeVar("T")


class NotTheWriter(Exception):
    """Another store may write the copy now: this one must not go on."""


class Reader:
    """One ordered reader, for as long as ``lock`` is held; ``writer`` is the single thread in which the database is
    written."""

    def __init__(
        self,
        lock: WriterLock,
        js: JetStreamContext,
        copy: Copy,
        archive: Archive,
        refill: Refill,
        beside: Beside,
        writer: Executor,
        watermark: Watermark,
    ) -> None:
        self._lock = lock
        self._js = js
        self._copy = copy
        self._archive = archive
        self._refill = refill
        self._beside = beside
        self._writer = writer
        self._watermark = watermark

    async def run(self) -> None:
        """Until cancelled, or the connection is closed for good. Whatever else stops the copy is shown as the
        watermark's problem and tried again: the bus or the database may come back, an operator may put the right
        one in place.

        Raises:
            NotTheWriter: the lock is lost.
        """
        failures = 0
        while True:
            last = self._watermark.last
            try:
                await self._follow()
            except nats.errors.ConnectionClosedError:
                return  # nats-py says so even when it is this task that was cancelled, so trying again could hang
            except (Permanent, Transient, nats.errors.Error, SQLAlchemyError, TimeoutError, OSError) as error:
                failures = 0 if self._watermark.last > last else failures
                self._stopped(error)
                await asyncio.sleep(RETRY_S[min(failures, len(RETRY_S) - 1)])
                failures += 1

    async def _follow(self) -> None:
        """Compare, then read until something is wrong; returns when the consumer has to be made anew."""
        await self._run(self._hold)
        await self._run(self._copy.forget_milestones)
        await self._run(self._copy.refold_unreadable)
        await self._refill.run()
        await self._beside.catch_up()
        last = await self._run(self._copy.last_sequence)
        await self._watermark.advance(last)
        log = await self._js.stream_info(EVENTS_STREAM)
        subscription = await self._consume(last + 1, replicas=log.config.num_replicas or 1)
        if log.state.last_seq <= last:
            self._watermark.problem = None  # else when something could be written
        try:
            while True:
                try:
                    messages = await subscription.fetch(BATCH, timeout=IDLE_S)
                except nats.errors.TimeoutError:
                    async with asyncio.timeout(ANSWER_S):
                        await subscription.consumer_info()  # NotFoundError: the server restarted and forgot it
                    await self._run(self._hold)
                    await self._beside.catch_up()
                    continue
                await self._record(messages)
                await asyncio.sleep(GATHER_S)
        finally:
            await _unsubscribe(subscription)

    async def _record(self, messages: Sequence[Msg]) -> None:
        batch = await self._run(_decode, messages)
        for message in batch:
            if message.event is None:
                pipeline = message.subject.split(".")[1]
                with at(Place(pipeline, root_span(pipeline))):
                    logger.error("the message at sequence %d (%s) is no fact", message.sequence, message.subject)
        if batch[0].sequence != self._watermark.last + 1:
            raise Gap(self._watermark.last + 1, batch[0].sequence)
        await self._beside.catch_up()  # before the facts that came of it
        await self._archive.take((message.sequence, message.event.data) for message in batch if message.event)
        await self._watermark.advance(await self._run(self._append, batch))
        self._watermark.problem = None

    def _append(self, batch: Sequence[Message]) -> int:
        self._hold()
        return self._copy.append(batch)

    def _hold(self) -> None:
        if not self._lock.held():
            raise NotTheWriter

    async def _consume(self, start: int, *, replicas: int) -> JetStreamContext.PullSubscription:
        """An ephemeral consumer: the database alone knows where to start, no durable can disagree with it. It is on
        as many nodes as the log: the only one would go with its node, which takes seconds to see."""
        config = api.ConsumerConfig(
            name=f"event_store-{clock.new_id()}",
            description="event_store: the SQL copy",
            deliver_policy=api.DeliverPolicy.BY_START_SEQUENCE,
            opt_start_seq=start,
            ack_policy=api.AckPolicy.NONE,
            filter_subject=ALL_EVENTS,
            inactive_threshold=FORGET_CONSUMER_S,
            mem_storage=True,
            num_replicas=replicas,
        )
        info = await self._js.add_consumer(EVENTS_STREAM, config)
        return await self._js.pull_subscribe_bind(consumer=info.name, stream=EVENTS_STREAM)

    def _stopped(self, error: Exception) -> None:
        if isinstance(error, SQLAlchemyError):
            text = told(error)
        elif isinstance(error, (Permanent, Transient)):
            text = error.what
        else:
            text = f"the bus does not answer: {str(error) or type(error).__name__}"
        if text != self._watermark.problem:
            logger.warning("the copy does not go on: %s", text)
        self._watermark.problem = text

    async def _run(self, function: Callable[..., T], *args: Any) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._writer, function, *args)


def _decode(messages: Sequence[Msg]) -> list[Message]:
    return [Message.decode(msg.metadata.sequence.stream, msg.subject, msg.data) for msg in messages]


async def _unsubscribe(subscription: JetStreamContext.PullSubscription) -> None:
    """The server forgets the consumer by itself; this is only politeness."""
    try:
        await subscription.unsubscribe()
    except (nats.errors.Error, APIError) as error:
        logger.debug("unsubscribing: %s", error)
