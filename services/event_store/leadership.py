"""One store writes the copy; the others stand by: they answer questions, and one goes on when the writer ends."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Any, TypeVar

import nats.errors
from nats.js import JetStreamContext
from nats.js.errors import NotFoundError
from sqlalchemy.exc import SQLAlchemyError

from contracts.subjects import EVENTS_STREAM
from services.event_store.archive import Archive
from services.event_store.database.copy import Copy
from services.event_store.database.engine import told
from services.event_store.database.writer_lock import WriterLock
from services.event_store.reader import NotTheWriter, Reader
from services.event_store.watermark import Watermark

logger = logging.getLogger(__name__)

LOOK_S = 0.5
"""Between two looks of a store that stands by: so long nobody writes after the writer is gone."""

WAITED_FOR_LOOK_S = 0.02
"""The same while somebody waits for the copy to come on."""

COMPARE_S = 2.0
STALLED_S = 10.0
"""A copy that stands still behind the log for so long does not go on by itself."""

T = TypeVar("T")


@dataclass(frozen=True)
class Term:
    """What a store works with while it is the writer: made anew each time, for what it remembers ages meanwhile."""

    reader: Reader
    archive: Archive


@dataclass
class Lag:
    """Since when the copy stands at ``last`` though the log goes on."""

    last: int = -1
    since_s: float = 0.0

    def judge(self, now_s: float, last: int, end: int) -> str | None:
        """What is wrong when the copy is at ``last`` and the log at ``end``, if anything."""
        if last != self.last or last >= end:
            self.last, self.since_s = last, now_s
        if now_s - self.since_s < STALLED_S:
            return None
        return f"the copy does not go on: it is at sequence {last} of {end}, and another store is its writer"


class Leadership:
    """``writer`` is the single thread in which the database is written."""

    def __init__(
        self,
        lock: WriterLock,
        term: Callable[[], Term],
        copy: Copy,
        js: JetStreamContext,
        writer: Executor,
        watermark: Watermark,
    ) -> None:
        self._lock = lock
        self._begin = term
        self._copy = copy
        self._js = js
        self._writer = writer
        self._watermark = watermark
        self._lag = Lag()
        self._end = (0, -COMPARE_S)
        self.term: Term | None = None
        """``None``: this store stands by."""

    async def run(self) -> None:
        """Until cancelled, or the connection is closed for good."""
        while True:
            try:
                await self._until_chosen()
                logger.info("this store is the copy's writer")
                self.term = self._begin()
                return await self.term.reader.run()
            except NotTheWriter:
                logger.warning("the session with the database ended, and with it the lock of the copy's writer")
            except nats.errors.ConnectionClosedError:
                return None
            finally:
                self.term = None

    async def _until_chosen(self) -> None:
        while not await self._looked():
            await asyncio.sleep(WAITED_FOR_LOOK_S)
            await self._watermark.wanted(LOOK_S)

    async def _looked(self) -> bool:
        """Whether it is this store's turn to write; if not, how far the other one has come."""
        try:
            if await self._run(self._lock.take):
                return True
            last = await self._run(self._copy.last_sequence)
        except (SQLAlchemyError, OSError) as error:
            self._watermark.problem = told(error) if isinstance(error, SQLAlchemyError) else str(error)
            return False
        if last != self._watermark.last:
            await self._watermark.advance(last)
        self._watermark.problem = self._lag.judge(self._now(), last, await self._log_end())
        return False

    async def _log_end(self) -> int:
        """Asked for now and then only. A bus that does not answer is told by others."""
        end, asked_s = self._end
        if self._now() - asked_s >= COMPARE_S:
            try:
                end = (await self._js.stream_info(EVENTS_STREAM)).state.last_seq
            except nats.errors.ConnectionClosedError:
                raise
            except (TimeoutError, NotFoundError, nats.errors.Error) as error:
                logger.debug("the log's end is not known: %r", error)
            self._end = end, self._now()
        return end

    @staticmethod
    def _now() -> float:
        return asyncio.get_running_loop().time()

    async def _run(self, function: Callable[..., T], *args: Any) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._writer, function, *args)
