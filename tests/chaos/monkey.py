"""Kills random processes of a stack and holds its bus still, as a seed says."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from random import Random

from infra.runtime.stack import Stack

BUS, FORK_SERVER = "nats-server", "fork-server"
WEIGHTS = {BUS: 2.0, FORK_SERVER: 0.25}
"""Against 1 of every service: the bus is in everybody's way, and the fork server takes all services with it."""

PAUSES = 0.08
"""Of all blows, so many hold the bus still; a quarter of those for longer than anybody waits for an answer."""


@dataclass(frozen=True)
class Blow:
    """``after_s`` from the blow before: kill ``target``, or hold it still for ``pause_s``."""

    after_s: float
    target: str
    pause_s: float = 0


def blows(seed: int, targets: list[str], every_s: float) -> Iterator[Blow]:
    """Without end; ``every_s`` on average. The same seed gives the same."""
    dice = Random(f"blows/{seed}")
    while True:
        after_s = dice.expovariate(1 / every_s)
        if dice.random() < PAUSES:
            pause_s = dice.uniform(6, 8) if dice.random() < 0.25 else dice.uniform(0.2, 3)
            yield Blow(after_s, BUS, pause_s)
        else:
            (target,) = dice.choices(targets, [WEIGHTS.get(name, 1) for name in targets])
            yield Blow(after_s, target)


@dataclass
class Monkey:
    """``kills`` per process so far, and how often the bus was held still."""

    stack: Stack
    kills: Counter[str] = field(default_factory=Counter)
    pauses: int = 0

    async def rage(self, seed: int, every_s: float) -> None:
        """Until cancelled; the bus is let go in any case. What does not run at its moment is spared."""
        targets = [row.service for row in self.stack.processes()]
        for blow in blows(seed, targets, every_s):
            await asyncio.sleep(blow.after_s)
            pid = next(row.pid for row in self.stack.processes() if row.service == blow.target)
            if not pid:
                continue
            if blow.pause_s:
                await self._hold(pid, blow.pause_s)
            else:
                self.kills[blow.target] += 1
                _send(pid, signal.SIGKILL)

    async def _hold(self, pid: int, pause_s: float) -> None:
        self.pauses += 1
        _send(pid, signal.SIGSTOP)
        try:
            await asyncio.sleep(pause_s)
        finally:
            _send(pid, signal.SIGCONT)


def _send(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)
