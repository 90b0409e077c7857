"""The live stream of a pipeline: its facts in order, and what agents say meanwhile.

One consumer for the whole process says which pipeline has something new (headers only); each client then reads the
facts at its own pace. So a slow client is a position and a handful of messages, and one that left is nothing.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections import deque
from collections.abc import AsyncIterator, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import anyio
import nats.errors
from nats.aio.msg import Msg
from nats.js import api
from sse_starlette import ServerSentEvent

from contracts.envelope import UnknownFact
from contracts.errors import Transient
from contracts.events import FINAL
from contracts.subjects import ALL_EVENTS, EVENTS_STREAM, PROGRESS
from gateway.problems import Problem
from gateway.reads import Reads
from infra.runtime import clock
from infra.runtime.bus import Bus

logger = logging.getLogger(__name__)

PAGE = 100
KEPT_PROGRESS = 20
MAX_PROGRESS_BYTES = 16 * 1024
BATCH = 512
IDLE_S = 2.0
FORGET_CONSUMER_S = 30.0
LISTEN_TIMEOUT_S = 2.0
RETRY_S = 0.5
RECONNECT_MS = 200

T = TypeVar("T")


class Watch:
    """One client's view: how far the log is known to be, and what was said lately (the oldest is dropped)."""

    def __init__(self, sequence: int) -> None:
        self.sequence = sequence
        self._progress: deque[str] = deque(maxlen=KEPT_PROGRESS)
        self._news = asyncio.Event()

    def fact(self, sequence: int) -> None:
        """The log has a new fact at ``sequence``."""
        self.sequence = sequence
        self._news.set()

    def progress(self, said: str) -> None:
        """An agent said something (JSON)."""
        self._progress.append(said)
        self._news.set()

    async def wait(self, timeout_s: float) -> None:
        """Until there is news, at most ``timeout_s``."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._news.wait()
        except TimeoutError:
            return
        self._news.clear()

    def take_progress(self) -> Iterator[str]:
        while self._progress:
            yield self._progress.popleft()


class Hub:
    """Tells the watches of this process what is new; listens to the bus only while there are any."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._watches: dict[str, set[Watch]] = {}
        self._listener: asyncio.Task[None] | None = None
        self._listening = asyncio.Event()
        self._newest = 0
        """The log has a fact at this sequence: who watches from now on is shown all up to there, however far the
        event store's copy has come."""

    @contextmanager
    def watching(self, pipeline: str) -> Iterator[Watch]:
        """A watch of ``pipeline``, for as long as the context lasts."""
        watch = Watch(self._newest)
        self._watches.setdefault(pipeline, set()).add(watch)
        try:
            yield watch
        finally:
            watches = self._watches[pipeline]
            watches.discard(watch)
            if not watches:
                del self._watches[pipeline]

    async def listen(self) -> None:
        """What is said after this returns reaches every watch (unless the bus is away: then they poll)."""
        if self._listener is None:
            self._listening.clear()
            self._listener = asyncio.create_task(self._listen(), name="live")
        try:
            async with asyncio.timeout(LISTEN_TIMEOUT_S):
                await self._listening.wait()
        except TimeoutError:
            logger.warning("the bus does not let us listen; live streams poll")

    async def close(self) -> None:
        """Stop listening."""
        listener, self._listener = self._listener, None
        if listener is not None:
            listener.cancel()
            await asyncio.gather(listener, return_exceptions=True)

    @property
    def clients(self) -> int:
        """How many live streams are open."""
        return sum(len(watches) for watches in self._watches.values())

    async def _listen(self) -> None:
        """Until nobody watches. An ephemeral consumer that the server forgot is made anew."""
        while self._watches:
            try:
                said = await self._bus.nc.subscribe(PROGRESS, cb=self._said)
                try:
                    await self._notice_facts()
                finally:
                    await said.unsubscribe()
            except nats.errors.ConnectionClosedError:
                break
            except (nats.errors.Error, TimeoutError) as error:
                logger.warning("listening for live streams: %r", error)
                await asyncio.sleep(RETRY_S)
        self._listener = None

    async def _notice_facts(self) -> None:
        config = api.ConsumerConfig(
            name=f"gateway-{clock.new_id()}",
            description="gateway: live streams",
            deliver_policy=api.DeliverPolicy.NEW,
            ack_policy=api.AckPolicy.NONE,
            filter_subject=ALL_EVENTS,
            headers_only=True,
            inactive_threshold=FORGET_CONSUMER_S,
            mem_storage=True,
        )
        consumer = await self._bus.js.add_consumer(EVENTS_STREAM, config)
        facts = await self._bus.js.pull_subscribe_bind(consumer=consumer.name, stream=EVENTS_STREAM)
        self._listening.set()
        self._newest = consumer.delivered.stream_seq if consumer.delivered else self._newest
        for watches in self._watches.values():  # what came before the consumer was there
            for watch in watches:
                watch.fact(self._newest)
        try:
            while self._watches:
                try:
                    messages = await facts.fetch(BATCH, timeout=IDLE_S)
                except nats.errors.TimeoutError:
                    await facts.consumer_info()
                    continue
                for msg in messages:
                    self._newest = msg.metadata.sequence.stream
                    for watch in self._watches.get(msg.subject.split(".", 2)[1], ()):
                        watch.fact(self._newest)
        finally:
            await facts.unsubscribe()

    async def _said(self, msg: Msg) -> None:
        watches = self._watches.get(msg.subject.split(".", 2)[1])
        if not watches or len(msg.data) > MAX_PROGRESS_BYTES:
            return
        try:
            said = json.dumps(json.loads(msg.data))
        except (ValueError, RecursionError):
            logger.warning("progress on %s is no JSON", msg.subject)
            return
        for watch in watches:
            watch.progress(said)


async def follow(
    hub: Hub, reads: Reads, pipeline: str, *, after: int, poll_s: float, leaving: anyio.Event
) -> AsyncIterator[ServerSentEvent]:
    """The pipeline's facts after position ``after``, live, until the final one; the position is the event's id.

    ``poll_s``: the log is looked at this often even if the bus says nothing, in case a notice got lost.
    ``leaving``: this process ends, and its client is to go on elsewhere after the last event that it saw.
    """
    with hub.watching(pipeline) as watch:
        await hub.listen()
        while not leaving.is_set():
            try:
                asked = reads.history(pipeline, after=after, limit=PAGE, min_seq=watch.sequence)
                if (page := await _before(leaving, asked)) is None:
                    break
            except (Problem, UnknownFact, Transient) as error:  # nobody can tell right now: the stream stays open
                logger.warning("live stream of %s: %s", pipeline, error)
                await asyncio.sleep(RETRY_S)
                continue
            for fact in page.events:
                after = fact.position
                yield ServerSentEvent(fact.event.encode().decode(), event="fact", id=str(after))
                if fact.event.type in FINAL:
                    return
            for said in watch.take_progress():
                yield ServerSentEvent(said, event="progress")
            if page.next is None:
                await _before(leaving, watch.wait(poll_s))
        yield ServerSentEvent(comment="this gateway ends; go on with another", retry=RECONNECT_MS)


async def _before(leaving: anyio.Event, wait: Coroutine[Any, Any, T]) -> T | None:
    """What is waited for, or ``None``: this process is to leave before it is there."""
    waiting, left = asyncio.ensure_future(wait), asyncio.ensure_future(leaving.wait())
    try:
        await asyncio.wait({waiting, left}, return_when=asyncio.FIRST_COMPLETED)
        return waiting.result() if waiting.done() else None
    finally:
        waiting.cancel()
        left.cancel()
