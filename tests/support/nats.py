"""A real bus for tests. Fixtures are in ``tests/conftest.py``; a server starts in 50 ms, so each test has its own.

async def test_research_answers(nats_server, bus):
    agent = Agent(Service.RESEARCH, run)                      # any ``async def run(job, workspace, tools) -> Fact``
    async with running(agent, nats_server.settings(Service.RESEARCH, FAST)):
        pipeline = await submit(bus)
        answer = await fact_of(bus, pipeline, ResearchCompleted)

``bus`` is connected as the admin: it may publish any fact (``append``), read every stream, and break things.
A service with its own setup runs the same way: ``async with serving(Service.ROUTER, setup, settings)``.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

from contracts.envelope import Envelope, wrap
from contracts.events import Fact, PipelineSubmitted
from contracts.services import Service
from infra.runtime import clock
from infra.runtime.bus import Bus
from infra.runtime.provision import provision
from infra.runtime.settings import MIB, BusSettings


def fast(folder: Path) -> BusSettings:
    """Settings for tests: small streams, short waits, ``folder`` for data."""
    return BusSettings(
        data_dir=folder,
        events_max_bytes=256 * MIB,
        turns_max_bytes=64 * MIB,
        dead_max_bytes=16 * MIB,
        artifacts_max_bytes=512 * MIB,
        ack_wait_s=2,
        unknown_retry_s=0.3,
    )


async def provision_all(bus: Bus, settings: BusSettings) -> None:
    """What the event store and then every service makes at its start, all gates open; ``bus`` is the admin's."""
    for service in sorted(Service, key=lambda service: service is not Service.EVENT_STORE):
        await provision(bus.js, service, settings)


async def append(
    bus: Bus,
    pipeline: str,
    fact: Fact,
    *,
    source: str = "test",
    causation: str | None = None,
    id: str | None = None,
) -> Envelope:
    """Append ``fact`` behind whatever the pipeline has now."""
    envelope = wrap(
        fact,
        id=id or clock.new_id(),
        pipeline=pipeline,
        source=source,
        time=clock.now(),
        causation=causation,
    )
    _, last = await bus.log.read(pipeline)
    await bus.log.append(envelope, expected_last=last)
    return envelope


async def submit(bus: Bus, *, name: str = "sample", pipeline: str | None = None) -> str:
    """Submit a pipeline as the gateway would; returns its id."""
    pipeline = pipeline or clock.new_id()
    await append(bus, pipeline, PipelineSubmitted(name=name), source="gateway")
    return pipeline


async def fact_of(bus: Bus, pipeline: str, kind: type[Fact], *, timeout_s: float = 10.0) -> Envelope:
    """The first fact of this kind in the pipeline, as soon as it is there.

    Raises:
        AssertionError: it did not come in time; the text shows what did.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + timeout_s
    while True:
        facts = [envelope for _, envelope in await bus.log.history(pipeline)]
        found = next((envelope for envelope in facts if envelope.type == kind.TYPE), None)
        if found is not None:
            return found
        if loop.time() > deadline:
            raise AssertionError(f"no {kind.TYPE} within {timeout_s} s; there is {[e.type for e in facts]}")
        await asyncio.sleep(0.02)
