"""What a process says of facts that only newer code can read (design.md, rule 6): a warning, it stays ready.

In a rolling change, and above all when one is taken back, an older process meets facts of a newer one. It gives
them back, goes on with all else, and is no worse for it: were it unready, the change that helps would be stuck.
"""

from __future__ import annotations

import asyncio

from contracts.envelope import UnknownFact
from infra.runtime.health import Health

KEEP_RETRIES = 3
"""Several processes take turns in being asked: one waits longer than one retry for its turn."""

WARNING = "newer"
"""Its name in readiness."""


class NewerFacts:
    """Those that came up lately: what is met no more within ``keep_s``, another process has read."""

    def __init__(self, health: Health, *, keep_s: float) -> None:
        self._keep_s = keep_s
        self._met: dict[str, tuple[float, str]] = {}
        health.warnings[WARNING] = self._told

    def met(self, key: str, error: UnknownFact) -> None:
        """``key`` is what was woken by it: a task, or a pipeline."""
        self._forget()
        self._met[key] = (self._now(), error.what)

    def read(self, key: str) -> None:
        """It could be read after all."""
        self._met.pop(key, None)

    async def _told(self) -> str | None:
        self._forget()
        if not self._met:
            return None
        _, newest = max(self._met.values())
        return f"{len(self._met)} times work is left to a newer version of this service: {newest}"

    def _forget(self) -> None:
        too_old = self._now() - self._keep_s
        self._met = {key: met for key, met in self._met.items() if met[0] > too_old}

    @staticmethod
    def _now() -> float:
        return asyncio.get_running_loop().time()
