"""What a pipeline costs when its agents do nothing, beside a bare FastStream skeleton on the same server.

Nine services as processes of their own (seven agents, router, event store), every write of the log synced to disk,
every fact in SQL; measured from submit to `pipeline.completed`. The skeleton: see ``skeleton.py``. Rounds of both
alternate, because the speed of a machine drifts. Targets: p50 at most 1.5 times, runs a second at least 0.7 times.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
from nats.aio.client import Client
from nats.aio.msg import Msg

from contracts import subjects
from contracts.envelope import wrap
from contracts.events import PipelineCompleted, PipelineSubmitted
from contracts.queries import Answer, PipelinesQuery
from contracts.services import AGENTS, Service
from infra.runtime import clock
from infra.runtime.bus import Bus, connect
from infra.runtime.bus_users import ADMIN
from infra.runtime.nats_server import NatsServer
from tests.benchmarks import skeleton
from tests.benchmarks.noop_agents import CONTENT
from tests.benchmarks.report import Cell, Report, Table, goal

ROUNDS = 3
WARM_UP = 20
SINGLE = 40
CONCURRENT = 150
IN_FLIGHT = 32
READY_TIMEOUT_S = 180.0

Start = Callable[[str], Awaitable[None]]
"""Starts the run with this id; its last message ends it."""


@dataclass
class Runs:
    """Starts runs and waits for their last message, which a plain subscription hears."""

    nc: Client
    start: Start
    ends: dict[str, asyncio.Future[None]] = field(default_factory=dict)

    async def listen(self, subject: str) -> None:
        await self.nc.subscribe(subject, cb=self._ended)

    async def _ended(self, msg: Msg) -> None:
        end = self.ends.pop(msg.subject.split(".")[1], None)
        if end is not None and not end.done():
            end.set_result(None)

    async def run(self) -> float:
        """Milliseconds of one run."""
        run = clock.new_id()
        end = self.ends[run] = asyncio.get_running_loop().create_future()
        began = time.perf_counter()
        await self.start(run)
        await asyncio.wait_for(end, 60)
        return (time.perf_counter() - began) * 1000

    async def singles(self, count: int) -> list[float]:
        return [await self.run() for _ in range(count)]

    async def per_second(self, count: int) -> float:
        slots = asyncio.Semaphore(IN_FLIGHT)

        async def one() -> None:
            async with slots:
                await self.run()

        began = time.perf_counter()
        await asyncio.gather(*(one() for _ in range(count)))
        return count / (time.perf_counter() - began)


@dataclass
class Figures:
    """Of one side, over all rounds."""

    singles_ms: list[float] = field(default_factory=list)
    per_second: list[float] = field(default_factory=list)

    @property
    def p50_ms(self) -> float:
        return statistics.median(self.singles_ms)

    @property
    def rate(self) -> float:
        return statistics.median(self.per_second)


def run(report: Report) -> None:
    asyncio.run(_run(report))


async def _run(report: Report) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        async with NatsServer(folder / "nats").running() as server:
            ours, bare = Figures(), Figures()
            began = time.perf_counter()
            async with product(folder, server) as (our_runs, bus):
                ready_s = time.perf_counter() - began
                memory = resident_mib()
                async with bare_skeleton(folder, server) as bare_runs:
                    for runs in (our_runs, bare_runs):
                        await runs.singles(WARM_UP)
                    for _ in range(ROUNDS):
                        for runs, figures in ((bare_runs, bare), (our_runs, ours)):
                            figures.singles_ms += await runs.singles(SINGLE)
                            figures.per_second.append(await runs.per_second(CONCURRENT))
                    lag_s = await copied(bus)
    notes = [
        goal("p50 beside the skeleton", ours.p50_ms / bare.p50_ms, 1.5, at_most=True),
        goal("runs/s beside the skeleton", ours.rate / bare.rate, 0.7),
        f"nine services ready after {ready_s:.1f} s, {memory:.0f} MiB resident",
        f"the SQL copy was complete {lag_s:.2f} s after the last run; {report.conditions()}",
    ]
    rows = [row("bare skeleton", bare), row("pipeline, idle agents", ours)]
    report.add(Table("overhead of a pipeline", ("", "p50 ms", "p95 ms", "runs/s"), rows, notes))


def row(name: str, figures: Figures) -> list[Cell]:
    p95 = statistics.quantiles(figures.singles_ms, n=20)[-1]
    return [name, figures.p50_ms, p95, figures.rate]


@asynccontextmanager
async def product(folder: Path, server: NatsServer) -> AsyncIterator[tuple[Runs, Bus]]:
    commands = {service: ["tests.benchmarks.noop_agents", service.value] for service in AGENTS}
    commands |= {service: [f"services.{service.value}"] for service in (Service.ROUTER, Service.EVENT_STORE)}
    async with connect(server.settings(ADMIN), ADMIN) as bus, contextlib.AsyncExitStack() as stack:
        started = [
            await stack.enter_async_context(process(folder, service.value, command, server.environment(service)))
            for service, command in commands.items()
        ]
        await asyncio.gather(*(ready() for ready in started))
        await bus.artifacts.put(CONTENT, "application/json")

        async def start(pipeline: str) -> None:
            envelope = wrap(
                PipelineSubmitted(name="noop"),
                id=clock.new_id(),
                pipeline=pipeline,
                source="gateway",
                time=clock.now(),
                causation=None,
            )
            await bus.log.append(envelope, expected_last=0)

        runs = Runs(bus.nc, start)
        await runs.listen(subjects.any_pipeline(PipelineCompleted))
        yield runs, bus


@asynccontextmanager
async def bare_skeleton(folder: Path, server: NatsServer) -> AsyncIterator[Runs]:
    body = wrap(
        PipelineSubmitted(name="noop"),
        id=clock.new_id(),
        pipeline=clock.new_id(),
        source="gateway",
        time=clock.now(),
        causation=None,
    ).encode()
    async with connect(server.settings(ADMIN), ADMIN) as bus, contextlib.AsyncExitStack() as stack:
        await bus.js.add_stream(name=skeleton.STREAM, subjects=["skeleton.>"])
        started = [
            await stack.enter_async_context(
                process(folder, f"bare-{role}", ["tests.benchmarks.skeleton", role], server.environment(ADMIN))
            )
            for role in (*skeleton.STEPS, skeleton.RECORDER)
        ]
        await asyncio.gather(*(ready() for ready in started))

        async def start(run: str) -> None:
            headers = {"content-type": "application/json"}
            await bus.js.publish(skeleton.subject(run, "submitted"), body, stream=skeleton.STREAM, headers=headers)

        runs = Runs(bus.nc, start)
        await runs.listen(skeleton.subject("*", "completed"))
        yield runs


@asynccontextmanager
async def process(
    folder: Path, name: str, command: Sequence[str], environment: dict[str, str]
) -> AsyncIterator[Callable[[], Awaitable[None]]]:
    """A child process; what is yielded waits until it has logged ``ready``."""
    log = folder / f"{name}.log"
    with log.open("wb") as file:
        child = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            *command,
            env={**os.environ, **environment, "CONNECTORS_DATA_DIR": str(folder)},
            stderr=file,
        )

    async def ready() -> None:
        async with asyncio.timeout(READY_TIMEOUT_S):
            while "ready" not in log.read_text():
                if child.returncode is not None:
                    raise RuntimeError(f"{name} ended with {child.returncode}: {log.read_text()[-2000:]}")
                await asyncio.sleep(0.02)

    try:
        yield ready
    finally:
        if child.returncode is None:
            child.terminate()
            try:
                await asyncio.wait_for(child.wait(), 15)
            except TimeoutError:
                child.kill()
                await child.wait()


async def copied(bus: Bus) -> float:
    """Seconds until the event store has every fact that the log has now."""
    began = time.perf_counter()
    last = (await bus.js.stream_info(subjects.EVENTS_STREAM)).state.last_seq
    question = PipelinesQuery(min_seq=last, limit=1).model_dump_json().encode()
    while time.perf_counter() - began < READY_TIMEOUT_S:
        reply = await bus.nc.request(subjects.query("pipelines"), question, timeout=READY_TIMEOUT_S)
        if Answer[dict[str, Any]].model_validate_json(reply.data).refusal is None:
            return time.perf_counter() - began
    raise RuntimeError(f"the event store did not reach {last}: {reply.data[:500]!r}")


def resident_mib() -> float:
    """Of all processes that this one started."""
    return float(sum(child.memory_info().rss for child in psutil.Process().children(recursive=True))) / 2**20
