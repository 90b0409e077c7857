"""A cancel over HTTP stops what an agent runs within two seconds, whatever that is, and frees its slot."""

from __future__ import annotations

import asyncio
import os
import secrets
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from contracts import events as e
from contracts import subjects
from contracts.services import Service
from gateway.settings import Settings
from infra.runtime.agent import Agent, Job, Tools
from infra.runtime.bus import Bus
from infra.runtime.isolated import run_isolated
from infra.runtime.nats_server import NatsServer
from infra.runtime.sandbox import Limits, Request, run
from infra.runtime.sandbox.usage import processes
from infra.runtime.service import running
from infra.runtime.settings import BusSettings
from tests.support.gateway import running_gateway
from tests.support.graph import routing
from tests.support.nats import fact_of, submit
from tests.support.scripted import researched

LIMIT_S = 2.0
Work = Callable[[Path, str], Awaitable[object]]


async def sandboxed(workspace: Path, marker: str) -> object:
    """A test run that means to go on: its connector and a child of it do not listen to SIGTERM."""
    ignore = "signal.signal(signal.SIGTERM, signal.SIG_IGN)"
    code = f"import os, signal, time; {ignore}; os.fork(); time.sleep({marker})"
    argv = ("{python}", "-I", "-c", code)
    return await run(Request(workspace, argv, python=Path(sys.executable), limits=Limits(wall_s=600, cpu_s=600)))


async def isolated(workspace: Path, marker: str) -> object:
    """A hostile document that takes for ever to read."""
    return await run_isolated(time.sleep, float(marker), timeout_s=600)


async def waiting(workspace: Path, marker: str) -> object:
    """A model that thinks."""
    await asyncio.sleep(600)
    return None


async def deaf(workspace: Path, marker: str) -> object:
    """An agent with a bug: it does not let itself be cancelled. It is left behind."""
    for _ in range(3):
        try:
            await asyncio.sleep(600)
        except asyncio.CancelledError:
            continue
    return None


def asleep(marker: str) -> bool:
    """Whether a process lives whose command line holds the marker, or an isolated child of this one."""
    for process in processes(Path("/proc")):
        try:
            line = Path(f"/proc/{process.pid}/cmdline").read_bytes()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if marker.encode() in line or (process.parent == os.getpid() and b"infra.runtime.isolated" in line):
            return True
    return False


@pytest.mark.parametrize("work", [sandboxed, isolated, waiting, deaf])
async def test_a_cancel_stops_what_runs_within_two_seconds(
    nats_server: NatsServer, bus: Bus, bus_settings: BusSettings, work: Work
) -> None:
    """Measured until the log says cancelled, no process is left, and the agent has done another task."""
    marker = f"{600 + secrets.randbelow(10**8) / 10**6:.6f}"
    begun = asyncio.Event()

    async def research(job: Job, workspace: Path, tools: Tools) -> e.Fact:
        if job.state.name == "next":
            return researched(job.state, job.task)
        begun.set()
        await work(workspace, marker)
        raise AssertionError("the work ended by itself")

    agent = Agent(Service.RESEARCH, research)
    async with (
        running_gateway(Settings(), nats_server.settings(Service.GATEWAY, bus_settings)) as client,
        routing(nats_server, bus_settings),
        running(agent, nats_server.settings(Service.RESEARCH, bus_settings)),
    ):
        pipeline = await submit(bus)
        await asyncio.wait_for(begun.wait(), 10)
        async with asyncio.timeout(10):
            while work in (sandboxed, isolated) and not asleep(marker):
                await asyncio.sleep(0.02)
        following = await submit(bus, name="next")

        began = time.monotonic()
        assert (await client.post(f"/pipelines/{pipeline}/cancel")).status_code == 202
        await fact_of(bus, pipeline, e.PipelineCancelled)
        while asleep(marker):
            await asyncio.sleep(0.02)
        await fact_of(bus, following, e.ResearchCompleted)
        took_s = time.monotonic() - began

        print(f"{work.__name__}: {took_s:.2f} s")
        assert took_s < LIMIT_S
        async with asyncio.timeout(5):  # the last answer is in the log before its message is acknowledged
            while (await bus.js.consumer_info(subjects.EVENTS_STREAM, Service.RESEARCH.value)).num_ack_pending:
                await asyncio.sleep(0.02)
        assert [fact.type for _, fact in await bus.log.history(pipeline)][-1] == "pipeline.cancelled"
