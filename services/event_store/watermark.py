"""How far the copy has come, and what is in its way; who asks with ``min_seq`` waits here."""

from __future__ import annotations

import asyncio
import contextlib


class Watermark:
    """Lives on one event loop. ``problem`` says why the copy does not go on, ``None`` if it does."""

    def __init__(self) -> None:
        self.last = 0
        self.problem: str | None = "the copy has not been compared with the log yet"
        self._moved = asyncio.Condition()
        self._waiting = 0
        self._asked = asyncio.Event()

    async def advance(self, last: int) -> None:
        """The copy holds everything up to sequence ``last``."""
        async with self._moved:
            self.last = last
            self._moved.notify_all()

    async def reached(self, sequence: int, timeout_s: float) -> bool:
        """Whether the copy holds ``sequence``, waiting at most ``timeout_s`` for it."""
        if self.last >= sequence:
            return True
        self._waiting += 1
        self._asked.set()
        try:
            async with asyncio.timeout(timeout_s), self._moved:
                await self._moved.wait_for(lambda: self.last >= sequence)
        except TimeoutError:
            return False
        finally:
            self._waiting -= 1
        return True

    async def wanted(self, timeout_s: float) -> None:
        """Until somebody waits for the copy to come on, at most ``timeout_s``."""
        if not self._waiting:
            self._asked.clear()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                await self._asked.wait()
