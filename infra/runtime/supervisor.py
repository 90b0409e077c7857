"""Keeps processes running: what dies is started again, after a wait that grows while it keeps dying."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from contracts.errors import Transient
from infra.runtime.processes import told

POLL_S = 0.05

Say = Callable[[str], None]


class Process(Protocol):
    """Something that can be started again. ``pid`` is None while it does not run."""

    @property
    def name(self) -> str: ...

    @property
    def pid(self) -> int | None: ...

    async def start(self) -> None:
        """
        Raises:
            Transient, OSError: it did not start; it may the next time.
        """

    async def wait(self) -> int:
        """The return code of what was started last, once it has ended."""

    async def ready(self) -> bool:
        """Whether it answers that it is ready."""


@dataclass(frozen=True)
class Backoff:
    """How long what died waits for its next start: ``waits_s[n]`` after n + 1 deaths in a row, then the last of
    them for ever. Who lived for ``steady_s`` begins a new row."""

    waits_s: tuple[float, ...] = (0.5, 1, 2, 5, 10, 30)
    steady_s: float = 60

    def deaths(self, before: int, lived_s: float) -> int:
        """How many in a row, after ``before`` ones and a life of ``lived_s``."""
        return 1 if lived_s >= self.steady_s else before + 1

    def wait_s(self, deaths: int) -> float:
        return self.waits_s[min(deaths, len(self.waits_s)) - 1]


@dataclass(frozen=True)
class ProcessInfo:
    """A row of ``connectors ps``; ``state`` is starting, ready or exited (it is started again soon). ``ended`` is
    how it ended the last time, empty if it never did."""

    service: str
    pid: int
    state: str
    restarts: int = 0
    ended: str = ""


class Kept:
    """A process that is started again when it dies."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self._ready = False
        self._restarts = 0
        self._ended = ""

    @property
    def name(self) -> str:
        return self._process.name

    @property
    def info(self) -> ProcessInfo:
        pid = self._process.pid
        state = "exited" if pid is None else "ready" if self._ready else "starting"
        return ProcessInfo(self.name, pid or 0, state, self._restarts, self._ended)

    async def start(self) -> None:
        self._ready = False
        await self._process.start()

    async def probe(self) -> bool:
        """Ask the process whether it is ready; remembers a yes."""
        self._ready = self._ready or await self._process.ready()
        return self._ready

    async def keep(self, backoff: Backoff, say: Say, changed: Callable[[], None]) -> None:
        """Start it again whenever it ends, and say so; ``changed`` is called when `info` has. Until cancelled."""
        clock, deaths = asyncio.get_running_loop(), 0
        while True:
            began = clock.time()
            seen = asyncio.create_task(self._until_ready(changed))
            try:
                self._ended = told(await self._process.wait())
            finally:
                seen.cancel()
            deaths = backoff.deaths(deaths, clock.time() - began)
            what: str | None = f"ended with {self._ended}"
            while what is not None:
                wait_s = backoff.wait_s(deaths)
                say(f"{self.name} {what}; starting it again in {wait_s:g} s")
                changed()
                await asyncio.sleep(wait_s)
                what = await self._try_to_start()
                deaths += what is not None
            changed()

    async def _try_to_start(self) -> str | None:
        """None, or why it could not be started."""
        self._restarts += 1
        try:
            await self.start()
        except (Transient, OSError) as error:  # no room for a process or for its files: later there may be
            return f"could not be started ({error})"
        return None

    async def _until_ready(self, changed: Callable[[], None]) -> None:
        if self._ready:
            return
        while not await self.probe():
            await asyncio.sleep(POLL_S)
        changed()
