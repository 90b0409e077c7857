"""One chaos run: a real stack with scripted agents, users, a monkey, and the judgement afterwards."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Any

import httpx2

from contracts.services import AGENTS
from infra.runtime.bus import connect
from infra.runtime.bus_users import ADMIN
from infra.runtime.stack import Stack, StackConfig, running_stack
from infra.runtime.supervisor import Backoff
from tests.chaos.judge import Verdict, judge
from tests.chaos.left import look
from tests.chaos.monkey import Monkey
from tests.chaos.plays import Play
from tests.chaos.users import Users

SETTLE_S = 90
PROGRESS_S = 5
BACKOFF = Backoff(waits_s=(0.1, 0.2, 0.5, 1), steady_s=1)
"""Processes die here all the time; what waits does not live to be killed."""

ENVIRONMENT = {"CONNECTORS_ACK_WAIT_S": "3"}

Say = Callable[[str], None]


@dataclass(frozen=True)
class Chaos:
    """``every_s``: between two blows on average; ``limit_s``: after that the blows end, and what has not ended
    within `SETTLE_S` more is lost."""

    seed: int
    pipelines: int
    folder: Path
    every_s: float = 0.8
    at_a_time: int = 24
    limit_s: float = 900

    def plays(self) -> list[Play]:
        return [Play.of(f"chaos-{self.seed}-{number}") for number in range(self.pipelines)]

    def stack(self) -> StackConfig:
        return StackConfig(
            self.folder / "data",
            self.folder / "output",
            port=0,
            modules=dict.fromkeys(AGENTS, "tests.chaos.agents"),
            environment=ENVIRONMENT,
            backoff=BACKOFF,
        )


@dataclass(frozen=True)
class Outcome:
    """What was done, and what came of it; ``seconds`` until the last pipeline ended."""

    verdict: Verdict
    kills: Counter[str]
    pauses: int
    seconds: float
    facts: int
    attempts: int


async def run(chaos: Chaos, say: Say) -> Outcome:
    """
    Raises:
        ConnectorsError: the stack did not start, or its bus did not answer in the end.
    """
    config = chaos.stack()
    began = monotonic()
    async with (
        running_stack(config) as stack,
        connect(stack.nats.settings(ADMIN), ADMIN) as bus,
        _client(stack) as http,
    ):
        monkey, users = Monkey(stack), Users(http, bus)
        await _rage(chaos, monkey, users, lambda line: say(f"{monotonic() - began:5.0f} s  {line}"))
        seconds = monotonic() - began
        seen = await look(config.data, users.accepted, bus, http)
    return Outcome(judge(seen), monkey.kills, monkey.pauses, seconds, len(seen.stream), len(seen.begun))


def _client(stack: Stack) -> httpx2.AsyncClient:
    """Without connections that are kept: a gateway that was killed leaves them half open."""
    limits = httpx2.Limits(max_keepalive_connections=0)
    return httpx2.AsyncClient(base_url=stack.url, limits=limits, trust_env=False)


async def _rage(chaos: Chaos, monkey: Monkey, users: Users, say: Say) -> None:
    """Until every pipeline has ended, or time is up and `SETTLE_S` of peace did not help."""
    slots = asyncio.Semaphore(chaos.at_a_time)

    async def one(play: Play) -> None:
        async with slots:
            await users.run(play)

    async with (
        _beside(monkey.rage(chaos.seed, chaos.every_s)) as raging,
        _beside(_progress(chaos, monkey, users, say)),
        asyncio.TaskGroup() as group,
    ):
        work = [group.create_task(one(play)) for play in chaos.plays()]
        await asyncio.wait(work, timeout=chaos.limit_s)
        raging.cancel()
        _, late = await asyncio.wait(work, timeout=SETTLE_S)
        for task in late:
            task.cancel()


@asynccontextmanager
async def _beside(job: Coroutine[Any, Any, None]) -> AsyncIterator[asyncio.Task[None]]:
    """Run ``job`` while inside; its error, if it has one, is raised at the end."""
    task = asyncio.create_task(job)
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.wait({task})
    if not task.cancelled():
        task.result()


async def _progress(chaos: Chaos, monkey: Monkey, users: Users, say: Say) -> None:
    while True:
        await asyncio.sleep(PROGRESS_S)
        ended, open_now = len(users.ended), len(users.accepted) - len(users.ended)
        blows = f"{sum(monkey.kills.values())} kills, {monkey.pauses} pauses of the bus"
        say(f"{ended} of {chaos.pipelines} ended, {open_now} open; {blows}")
