"""What agents count when something goes wrong, on a real bus."""

from __future__ import annotations

from pathlib import Path

from contracts import subjects
from contracts.events import Fact, PipelineSubmitted, ResearchCompleted
from contracts.services import Service
from infra.runtime import clock
from infra.runtime.agent import Agent, Job, Tools
from infra.runtime.bus import Bus
from infra.runtime.nats_server import NatsServer
from infra.runtime.service import running
from infra.runtime.settings import BusSettings
from infra.runtime.telemetry import metrics
from tests.support.nats import fact_of, submit
from tests.support.process import until
from tests.support.scripted import researched


async def research(job: Job, workspace: Path, tools: Tools) -> Fact:
    return researched(job.state, job.task)


def counted(name: str) -> float:
    return metrics.REGISTRY.get_sample_value(f"connectors_{name}_total", {"service": "research"}) or 0


async def test_a_lost_attempt_is_a_strike_and_a_first_one_is_not(
    bus: Bus, nats_server: NatsServer, bus_settings: BusSettings
) -> None:
    strikes = counted("task_strikes")
    settings = nats_server.settings(Service.RESEARCH, bus_settings.model_copy(update={"ack_wait_s": 0.5}))
    lost = await submit(bus)
    taking = await bus.js.pull_subscribe_bind(consumer="research", stream=subjects.EVENTS_STREAM)
    await taking.fetch(1)  # somebody takes it, and is never heard of again
    async with running(Agent(Service.RESEARCH, research), settings):
        await fact_of(bus, await submit(bus), ResearchCompleted)
        assert counted("task_strikes") == strikes
        await fact_of(bus, lost, ResearchCompleted)
    assert counted("task_strikes") == strikes + 1


async def test_what_nobody_can_read_is_a_dead_letter(
    bus: Bus, nats_server: NatsServer, bus_settings: BusSettings
) -> None:
    letters = counted("dead_letters")
    async with running(Agent(Service.RESEARCH, research), nats_server.settings(Service.RESEARCH, bus_settings)):
        await bus.js.publish(subjects.event(clock.new_id(), PipelineSubmitted), b"no envelope")
        await until(lambda: counted("dead_letters") == letters + 1)
