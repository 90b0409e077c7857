"""Traces over a real bus: services that record nothing, forks, replicas, processes, and the way to a collector."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from pathlib import Path

from nats.aio.client import Client
from nats.aio.msg import Msg

from contracts import subjects
from contracts.events import Fact, PipelineCancelled, ResearchCompleted
from contracts.pipeline import PipelineState, Status
from contracts.services import Service
from gateway.forwarding import Forwarder, parsed
from infra.runtime import clock
from infra.runtime.agent import Agent, Job, Tools
from infra.runtime.bus import Bus, connect
from infra.runtime.nats_server import NatsServer
from infra.runtime.service import running
from infra.runtime.settings import BusSettings
from infra.runtime.telemetry import metrics
from infra.runtime.telemetry.context import Place, at
from infra.runtime.telemetry.export import BusRecorder
from services.router.whole import tell_whole
from tests.support.collector import SpanSeen, collecting, decoded
from tests.support.graph import stage
from tests.support.nats import append, fact_of, submit
from tests.support.process import get, tiny_agent
from tests.support.scripted import GRAPH, researched

SPAN = "b7ad6b7169203331"
QUIET_S = 0.3


@asynccontextmanager
async def heard(server: NatsServer) -> AsyncIterator[list[SpanSeen]]:
    """The spans that services tell meanwhile: only the gateway hears them."""
    spans: list[SpanSeen] = []

    async def take(msg: Msg) -> None:
        spans.extend(decoded(msg.data))

    async with connect(server.settings(Service.GATEWAY), Service.GATEWAY) as gateway:
        await gateway.nc.subscribe(subjects.SPANS, cb=take)
        await gateway.nc.flush()
        yield spans
        before = -1
        while before < len(spans):  # the last ones are sent as their services end, and come from account to account
            before = len(spans)
            await asyncio.sleep(QUIET_S)


async def header_of(bus: Bus, pipeline: str, fact: str) -> str:
    stored = await bus.reader.last(subjects.EVENTS_STREAM, subjects.event(pipeline, fact))
    assert stored is not None
    return stored.headers["traceparent"]


async def test_a_service_that_records_nothing_passes_the_trace_on(
    bus: Bus, nats_server: NatsServer, bus_settings: BusSettings
) -> None:
    async def run(job: Job, workspace: Path, tools: Tools) -> Fact:
        return researched(job.state, job.task)

    pipeline = clock.new_id()
    settings = nats_server.settings(Service.RESEARCH, bus_settings)
    async with heard(nats_server) as spans, running(Agent(Service.RESEARCH, run), settings):
        with at(Place(pipeline, SPAN)):
            await submit(bus, pipeline=pipeline)
        await fact_of(bus, pipeline, ResearchCompleted)
    assert await header_of(bus, pipeline, ResearchCompleted.TYPE) == f"00-{pipeline}-{SPAN}-01"
    assert spans == []


async def test_a_fork_is_a_trace_of_its_own_with_a_link_and_replicas_tell_each_end_once(
    bus: Bus, nats_server: NatsServer, bus_settings: BusSettings
) -> None:
    tracing = bus_settings.model_copy(update={"tracing": True})
    happy = next(scenario for scenario in GRAPH if scenario.name == "happy")
    async with heard(nats_server) as spans, stage(nats_server, bus, tracing, routers=2) as theatre:
        pipelines = [await theatre.submit(happy) for _ in range(5)]
        for pipeline in pipelines:
            await theatre.end(pipeline)
        pipelines.append(await theatre.fork(pipelines[0], 3))
        await theatre.end(pipelines[-1])
    roots = [span for span in spans if not span.parent]
    assert sorted(root.trace for root in roots) == sorted(pipelines)
    links = {root.trace: root.links for root in roots if root.links}
    assert links == {pipelines[-1]: ((pipelines[0], pipelines[0][16:]),)}


async def test_the_whole_is_told_by_the_router_whose_word_was_stored(bus: Bus, nats_server: NatsServer) -> None:
    pipeline = await submit(bus)
    stored = await append(bus, pipeline, PipelineCancelled(), source=Service.ROUTER)
    late = stored.model_copy(update={"time": stored.time + timedelta(microseconds=1)})
    ended = PipelineState(id=pipeline, name="crm", status=Status.CANCELLED)
    own = nats_server.settings(Service.ROUTER)
    async with heard(nats_server) as spans, connect(own, Service.ROUTER) as router:
        recorder = BusRecorder(router.nc, Service.ROUTER)
        for final in (late, stored):
            await tell_whole(recorder, router.log, final, ended)
        await recorder.close()
    assert [(span.name, span.id, span.error) for span in spans] == [("pipeline crm", pipeline[16:], None)]


async def test_a_process_tells_its_spans_before_it_ends_and_its_metrics_while_it_runs(
    bus: Bus, nats_server: NatsServer, tmp_path: Path
) -> None:
    (tmp_path / "release").touch()
    environment = {"CONNECTORS_TRACING": "true", "CONNECTORS_HEALTH_SOCKET": str(tmp_path / "health.sock")}
    async with heard(nats_server) as spans, tiny_agent(tmp_path, nats_server, **environment) as agent:
        await agent.says(": ready")
        pipeline = await submit(bus)
        await fact_of(bus, pipeline, ResearchCompleted)
        status, text = await get(tmp_path / "health.sock", "/metrics")
        assert await agent.stop() == 0
    assert [(span.service, span.name, span.trace) for span in spans] == [("research", "research", pipeline)]
    lines = text.splitlines()
    assert status == 200
    assert 'connectors_facts_appended_total{type="research.completed"} 1.0' in lines
    assert 'connectors_ready{service="research"} 0.0' in lines  # no event store is there
    assert 'connectors_bus_connected{service="research"} 1.0' in lines
    assert 'connectors_consumer_pending_messages{consumer="research"} 0.0' in lines
    assert pipeline not in text


async def test_a_bus_that_is_away_is_told_and_lag_is_not_shown_as_it_was(
    bus: Bus, nats_server: NatsServer, tmp_path: Path
) -> None:
    socket = tmp_path / "health.sock"
    async with tiny_agent(tmp_path, nats_server, CONNECTORS_HEALTH_SOCKET=str(socket)) as agent:
        await agent.says(": ready")
        assert 'consumer_pending_messages{consumer="research"}' in (await get(socket, "/metrics"))[1]
        await nats_server.kill()
        text = ""
        async with asyncio.timeout(10):
            while 'connectors_bus_connected{service="research"} 0.0' not in text:
                _, text = await get(socket, "/metrics")
        assert 'connectors_ready{service="research"} 0.0' in text
        assert "consumer_pending_messages{" not in text


# --- the way to a collector -----------------------------------------------------------------------


def forwarded(outcome: str) -> float:
    labels = {"outcome": outcome}
    return metrics.REGISTRY.get_sample_value("connectors_span_batches_forwarded_total", labels) or 0


@asynccontextmanager
async def forwarding(server: NatsServer, url: str, count: int = 1, *, last_s: float = 5) -> AsyncIterator[Client]:
    """So many gateways that forward; what they are told by the tester, whose connection this yields, they hand on
    before the end."""
    async with AsyncExitStack() as stack:
        tester = await stack.enter_async_context(connect(server.settings(Service.TESTER), Service.TESTER))
        forwarders = []
        for _ in range(count):
            gateway = await stack.enter_async_context(connect(server.settings(Service.GATEWAY), Service.GATEWAY))
            forwarders.append(forwarder := Forwarder(gateway.nc, f"{url}/", "authorization=Bearer%20a"))
            job = asyncio.create_task(forwarder.run())
            stack.callback(job.cancel)
            await asyncio.sleep(0)
            await gateway.nc.flush()
        yield tester.nc
        await tester.nc.flush()
        await asyncio.sleep(0.05)  # from account to account
        for forwarder in forwarders:
            await forwarder.drained(last_s)


async def test_of_two_gateways_one_hands_a_batch_on(bus: Bus, nats_server: NatsServer) -> None:
    sent = forwarded("sent")
    async with collecting() as collector, forwarding(nats_server, collector.url, 2) as tester:
        for _ in range(20):
            await tester.publish(subjects.SPANS, b"")
    assert (len(collector.bodies), forwarded("sent")) == (20, sent + 20)
    assert {headers["content-type"] for headers in collector.headers} == {"application/x-protobuf"}
    assert {headers["authorization"] for headers in collector.headers} == {"Bearer a"}


async def test_what_a_collector_refuses_is_not_sent_again(bus: Bus, nats_server: NatsServer) -> None:
    refused = forwarded("refused")
    async with collecting(status=400) as collector, forwarding(nats_server, collector.url) as tester:
        await tester.publish(subjects.SPANS, b"x")
    assert (collector.bodies, forwarded("refused")) == ([b"x"], refused + 1)


async def test_what_there_is_no_room_for_is_dropped(bus: Bus, nats_server: NatsServer) -> None:
    dropped, batch = forwarded("dropped"), bytes(900_000)
    async with collecting(status=503) as collector, forwarding(nats_server, collector.url, last_s=0) as tester:
        for _ in range(25):
            await tester.publish(subjects.SPANS, batch)
            await tester.flush()
        async with asyncio.timeout(5):
            while forwarded("dropped") < dropped + 7:
                await asyncio.sleep(0.01)
    assert forwarded("dropped") == dropped + 7, "18 fit into 16 MiB"


def test_headers_are_read_as_the_specification_has_them() -> None:
    assert parsed("a=b%20c, d = e,nonsense,f=g=h") == {"a": "b c", "d": "e", "f": "g=h"}
