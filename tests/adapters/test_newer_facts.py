"""Facts of a newer version reach older services: nothing is lost, buried or misread, nothing else is held up."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

from contracts import subjects
from contracts.events import FACTS, PipelineForked, PipelineSubmitted, ResearchCompleted
from contracts.pipeline import Status
from contracts.policy import Policy
from contracts.services import Service
from infra.runtime import clock
from infra.runtime.agent import Agent, Job, Tools
from infra.runtime.bus import Bus
from infra.runtime.nats_server import NatsServer
from infra.runtime.provision import provision
from infra.runtime.service import Runtime, running
from infra.runtime.settings import BusSettings
from tests.adapters.test_gateway import gateway, problem
from tests.support.facts import pipeline_id
from tests.support.gateway import sent_events
from tests.support.graph import stage
from tests.support.nats import append, fact_of, submit
from tests.support.newer import NOTED, say
from tests.support.scripted import Scenario, ref
from tests.support.stack import connectors
from tests.support.store import copied, running_store

NEWER = 1100
AGAIN_S = 0.3
"""`unknown_retry_s` of the tests."""


async def warnings(runtime: Runtime) -> dict[str, str]:
    _, report = await runtime.health.report()
    assert set(report["problems"]) <= {"event_store"}, report  # type: ignore[call-overload]
    return report["warnings"]  # type: ignore[return-value]


async def nothing_is_dead(bus: Bus) -> bool:
    return not (await bus.js.stream_info(subjects.DEAD_STREAM)).state.messages


async def test_more_newer_facts_than_ever_wait_hold_up_no_other_pipeline(
    nats_server: NatsServer, bus: Bus, bus_settings: BusSettings
) -> None:
    """With one slot, and more of them than the server's own bound for what is not acknowledged (1,000)."""

    async def research(job: Job, workspace: Path, tools: Tools) -> ResearchCompleted:
        return ResearchCompleted(blueprint=ref("blueprint"), streams=1)

    def message(id: str) -> bytes:
        fact = {"id": id, "source": "gateway", "type": PipelineSubmitted.TYPE, "dataversion": 99, "subject": id}
        return json.dumps({**fact, "time": clock.now().isoformat(), "data": {}}).encode()

    for start in range(0, NEWER, 100):
        ids = [pipeline_id(number) for number in range(start, start + 100)]
        await asyncio.gather(*(bus.js.publish(subjects.event(id, PipelineSubmitted), message(id)) for id in ids))
    settings = nats_server.settings(Service.RESEARCH, bus_settings.model_copy(update={"unknown_retry_s": 60}))
    async with running(Agent(Service.RESEARCH, research), settings) as runtime:
        await fact_of(bus, await submit(bus), ResearchCompleted, timeout_s=20)
        assert (
            f"{NEWER} times work is left to a newer version of this service" in (await warnings(runtime))["newer"]
        )
    assert await nothing_is_dead(bus)


async def test_router_leaves_alone_what_it_cannot_read_and_goes_on_with_the_rest(
    nats_server: NatsServer, bus: Bus, bus_settings: BusSettings
) -> None:
    held = Scenario("held", "", hold=(Service.TESTER, NOTED))
    async with stage(nats_server, bus, bus_settings) as theatre:
        (pipeline,) = await theatre.held(held, 1)
        await say(bus, pipeline, NOTED, 1, {}, source=Service.ROUTER)  # a decision of a newer router
        other = await theatre.submit(Scenario("other", ""))
        assert (await theatre.end(other)).status is Status.SUCCESS
        await asyncio.sleep(2 * AGAIN_S)
        facts = [fact.type for fact in await theatre.facts(pipeline)]
        assert facts[-1] == NOTED  # the tester's answer is not said: whether it is still wanted, nobody here knows
        told = {runtime.service: await warnings(runtime) for runtime in theatre.services}
        assert {service for service, found in told.items() if "newer" in found} == {Service.TESTER}
        await append(bus, pipeline, FACTS["agent.failed"](service="tester", kind="permanent", what="x", attempt=1))
        await asyncio.sleep(2 * AGAIN_S)
        assert NOTED in (await warnings(theatre.services[-1]))["newer"]
    assert await nothing_is_dead(bus)


async def test_more_fields_than_this_code_knows_are_passed_over(
    nats_server: NatsServer, bus: Bus, bus_settings: BusSettings
) -> None:
    policy = {**Policy().model_dump(mode="json"), "patience": "endless"}
    data = {**PipelineSubmitted(name="more").model_dump(mode="json"), "policy": policy, "colour": "red"}
    async with stage(nats_server, bus, bus_settings) as theatre:
        pipeline = clock.new_id()
        theatre.casts[pipeline] = theatre.casts[await theatre.submit(Scenario("more", ""))]
        await say(bus, pipeline, PipelineSubmitted.TYPE, PipelineSubmitted.VERSION, data, source=Service.GATEWAY)
        assert (await theatre.end(pipeline)).status is Status.SUCCESS


async def test_store_and_gateway_and_command_line_are_honest_about_what_they_cannot_read(
    nats_server: NatsServer, bus: Bus, bus_settings: BusSettings, tmp_path: Path
) -> None:
    pipeline = await submit(bus, name="newer")
    raw = await say(bus, pipeline, NOTED, 1, {"note": "hello"}, source=Service.ROUTER)
    fork = clock.new_id()
    await say(bus, fork, PipelineForked.TYPE, 99, {"parent": pipeline, "how": "?"}, source=Service.GATEWAY)
    child = clock.new_id()
    await append(bus, child, PipelineForked(parent=fork, at=1))
    plain = await submit(bus, name="plain")
    async with (
        running_store(nats_server, tmp_path) as store,
        gateway(nats_server, bus_settings) as client,
    ):
        assert (await copied(bus)).facts == 5  # the copy goes on over all of them
        for id in (pipeline, fork, child):
            for method, path in (
                ("GET", ""),
                ("GET", "/state"),
                ("GET", "/costs"),
                ("GET", "/package"),
                ("GET", "/export"),
                ("POST", "/cancel"),
                ("POST", "/pause"),
            ):
                told = problem(await client.request(method, f"/pipelines/{id}{path}"), 503)
                assert told["type"].endswith("newer-facts"), told
                assert "has to be updated" in told["detail"]
        problem(await client.post(f"/pipelines/{pipeline}/fork", json={"at": 2}), 503)
        for id in (pipeline, fork):
            await bus.js.publish(subjects.dead("research", id), raw.model_copy(update={"subject": id}).encode())
        for letter in (1, 2):
            problem(await client.post(f"/dead/{letter}/retry"), 503)
        assert (await client.get("/histories")).status_code == 200
        facts = (await client.get(f"/pipelines/{pipeline}/events")).json()["events"]
        assert facts[-1]["event"]["data"] == raw.data
        lines = (await client.get("/pipelines")).json()["pipelines"]
        assert {line["pipeline"]["id"]: line["pipeline"]["readable"] for line in lines} == {
            pipeline: False,
            fork: False,
            child: False,
            plain: True,
        }
        assert (await client.get(f"/pipelines/{plain}")).status_code == 200
        assert (await client.get(f"/pipelines/{pipeline}/state?at=1")).status_code == 200
        async with client.stream("GET", f"/pipelines/{pipeline}/live") as response:
            assert response.status_code == 200
            seen = sent_events(response)
            assert [(await anext(seen)).data["type"] for _ in range(2)] == [PipelineSubmitted.TYPE, NOTED]
        ready = (await client.get("/readyz")).json()
        assert (ready["ready"], await warnings(store)) == (True, {})

        told = await asyncio.to_thread(connectors, "state", pipeline, "--url", str(client.base_url))
        assert told.returncode == 1
        assert f"{NOTED} version 1 is newer than this code" in told.stderr + told.stdout
        assert "Traceback" not in told.stderr


async def test_an_older_process_that_starts_later_narrows_nothing(
    nats_server: NatsServer, bus: Bus, bus_settings: BusSettings
) -> None:
    """Of the durable of its service: what newer processes wait for would be passed over meanwhile."""
    newer = subjects.any_pipeline(PipelineSubmitted).replace("submitted", "noted")
    config = (await bus.js.consumer_info(subjects.EVENTS_STREAM, Service.RESEARCH)).config
    await bus.js.add_consumer(
        subjects.EVENTS_STREAM, config.evolve(filter_subjects=[*(config.filter_subjects or ()), newer])
    )
    await provision(bus.js, Service.RESEARCH, bus_settings)
    after = (await bus.js.consumer_info(subjects.EVENTS_STREAM, Service.RESEARCH)).config.filter_subjects or ()
    assert set(after) == {*(config.filter_subjects or ()), newer}
