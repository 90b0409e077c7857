"""Copies the streams beside the log: model turns with accounts and the notes of attempts, and dead letters."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from typing import Any, TypeVar

from infra.runtime.bus import Bus
from services.event_store.archive import Archive
from services.event_store.database.ledger import Ledger

POLL_S = 0.05

T = TypeVar("T")


class Beside:
    """All writing goes through ``writer``, a single thread."""

    def __init__(self, bus: Bus, ledgers: Sequence[Ledger], archive: Archive, writer: Executor) -> None:
        self._bus = bus
        self._ledgers = ledgers
        self._archive = archive
        self._writer = writer
        self._last: dict[str, int] = {}
        self._alone = asyncio.Lock()

    async def catch_up(self) -> None:
        """Copy what these streams have now, and the artifacts that it names.

        Raises:
            Gap: a stream lacks a message.
            Transient: the bus did not answer.
        """
        async with self._alone:
            await asyncio.gather(*(self._follow(ledger) for ledger in self._ledgers))

    async def _follow(self, ledger: Ledger) -> None:
        end = (await self._bus.js.stream_info(ledger.stream)).state.last_seq
        last = self._last.get(ledger.stream)
        if last is None:
            last = await self._run(ledger.last_sequence)
        while last < end:
            page, _ = await self._bus.reader.page(ledger.stream, ">", last + 1)
            await self._archive.take((0, data_of(message.data)) for message in page)
            last = await self._run(ledger.append, page)
            if not page:
                await asyncio.sleep(POLL_S)  # a replica that lags behind answered
        self._last[ledger.stream] = last

    async def _run(self, function: Callable[..., T], *args: Any) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._writer, function, *args)


def data_of(payload: bytes) -> Any:
    """What of a message may name artifacts: turns and facts are JSON, a dead letter may be anything."""
    try:
        return json.loads(payload)
    except (ValueError, RecursionError):
        return None
