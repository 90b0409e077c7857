"""What a router finds when it starts: nothing that was decided, scheduled or said before may be lost."""

from __future__ import annotations

import asyncio

from contracts import events as e
from contracts import subjects
from contracts.pipeline import Status
from contracts.services import Service
from infra.runtime.bus import Bus
from infra.runtime.nats_server import NatsServer
from infra.runtime.newer import WARNING
from infra.runtime.settings import BusSettings
from services.router.open_pipelines import open_pipelines
from tests.support.graph import routing, stage
from tests.support.scripted import Scenario, decided, transient

STEPS = ["tests:GENERATE", "review", "publish:success", "completed:success"]


async def test_start_decides_about_pipelines_whose_wake_ups_were_lost(
    nats_server: NatsServer, bus: Bus, bus_settings: BusSettings
) -> None:
    async with stage(nats_server, bus, bus_settings, routers=0) as theatre:
        pipelines = [await theatre.submit(Scenario("lost", "")) for _ in range(5)]
        for pipeline in pipelines:
            await theatre.until(pipeline, lambda state: state.choice is not None)
        await _forget_all_wake_ups(bus)

        async with routing(nats_server, bus_settings):
            states = [await theatre.end(pipeline) for pipeline in pipelines]

    assert {state.status for state in states} == {Status.SUCCESS}
    assert await open_pipelines(bus.nc) == []


async def test_start_sets_timers_that_were_lost(
    nats_server: NatsServer, bus: Bus, bus_settings: BusSettings
) -> None:
    scenario = Scenario("lost", "", script={Service.RESEARCH: [transient]}, policy={"retry_backoff_s": 0.5})
    async with stage(nats_server, bus, bus_settings, routers=0) as theatre:
        pipeline = await theatre.submit(scenario)
        await theatre.until(pipeline, lambda state: bool(state.failures))
        await _forget_all_wake_ups(bus)

        async with routing(nats_server, bus_settings):
            await theatre.end(pipeline)

    facts = await theatre.facts(pipeline)
    assert decided(facts) == ["timer", "research#2", *STEPS]
    failed, over = (next(f for f in facts if f.type == kind.TYPE) for kind in (e.AgentFailed, e.TimerElapsed))
    assert (over.time - failed.time).total_seconds() >= 0.5


async def test_back_off_holds_up_no_message(nats_server: NatsServer, bus: Bus, bus_settings: BusSettings) -> None:
    """A delayed NAK would: it stays pending, and so many of them block the consumer."""
    scenario = Scenario("waits", "", script={Service.RESEARCH: [transient]}, policy={"retry_backoff_s": 600})
    async with stage(nats_server, bus, bus_settings) as theatre:
        pipeline = await theatre.submit(scenario)
        await theatre.until(pipeline, lambda state: bool(state.failures))
        async with asyncio.timeout(10):
            while any([await _unacknowledged(bus, service) for service in (Service.RESEARCH, Service.ROUTER)]):
                await asyncio.sleep(0.02)
        assert (await bus.js.stream_info(subjects.TIMERS_STREAM)).state.messages == 1


async def _unacknowledged(bus: Bus, service: Service) -> int:
    info = await bus.js.consumer_info(subjects.EVENTS_STREAM, service.value)
    return (info.num_ack_pending or 0) + (info.num_pending or 0)


async def test_router_that_stops_at_any_moment_is_replaced(
    nats_server: NatsServer, bus: Bus, bus_settings: BusSettings
) -> None:
    """Each router lives until the pipeline has moved on a little; the last one finds it finished or finishes it."""
    scenario = Scenario("restarts", "", script={Service.TESTER: [transient]})
    async with stage(nats_server, bus, bus_settings, routers=0) as theatre:
        pipeline = await theatre.submit(scenario)
        while not (state := await theatre.state(pipeline)).status.final:
            position = state.position
            async with routing(nats_server, bus_settings):
                await theatre.until(pipeline, lambda state, seen=position: state.position > seen)  # type: ignore[misc]

    assert decided(await theatre.facts(pipeline)) == [STEPS[0], "timer", "tests:GENERATE#2", *STEPS[1:]]


async def test_message_that_is_no_fact_blocks_nobody(
    nats_server: NatsServer, bus: Bus, bus_settings: BusSettings
) -> None:
    async with stage(nats_server, bus, bus_settings) as theatre:
        pipeline = await theatre.submit(
            Scenario("noise", "", hold=(Service.RESEARCH, e.PipelinePauseRequested.TYPE))
        )
        for kind, payload in ((e.ConnectorGenerated, b"noise"), (e.FixturesCreated, b'{"specversion": "1.0"}')):
            await bus.js.publish(subjects.event(pipeline, kind), payload, stream=subjects.EVENTS_STREAM)
        await theatre.tell(pipeline, e.PipelinePauseRequested())
        await theatre.tell(pipeline, e.PipelineResumeRequested())

        assert (await theatre.end(pipeline)).status is Status.SUCCESS


async def test_fact_of_a_newer_version_waits_and_is_reported(
    nats_server: NatsServer, bus: Bus, bus_settings: BusSettings
) -> None:
    async with (
        stage(nats_server, bus, bus_settings, routers=0) as theatre,
        routing(nats_server, bus_settings) as runtime,
    ):
        pipeline = await theatre.submit(Scenario("newer", "", hold=(Service.RESEARCH, "never.said")))
        newer = (await theatre.facts(pipeline))[0].model_copy(
            update={"id": "newer", "type": e.PipelinePauseRequested.TYPE, "dataversion": 99, "data": {}}
        )
        _, last = await bus.log.read(pipeline)
        await bus.log.append(newer, expected_last=last)
        told = runtime.health.warnings[WARNING]
        async with asyncio.timeout(10):
            while await told() is None:
                await asyncio.sleep(0.01)

        other = await theatre.submit(Scenario("other", ""))
        assert (await theatre.end(other)).status is Status.SUCCESS
        assert "version 99" in (await told() or "")
    info = await bus.js.consumer_info(subjects.EVENTS_STREAM, Service.ROUTER.value)
    assert (info.num_ack_pending or 0) + (info.num_pending or 0) > 0


async def _forget_all_wake_ups(bus: Bus) -> None:
    """As if a router had read and acknowledged everything and died then."""
    name = Service.ROUTER.value
    reader = await bus.js.pull_subscribe_bind(name, stream=subjects.EVENTS_STREAM)
    while (await bus.js.consumer_info(subjects.EVENTS_STREAM, name)).num_pending:
        for message in await reader.fetch(100):
            await message.ack_sync()
