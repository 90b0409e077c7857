"""One of the two copies of the log is lost in the middle of pipelines: the other one makes it whole again."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from contracts import events as e
from contracts import subjects
from contracts.artifacts import ArtifactRef, TreeManifest
from contracts.services import Service
from contracts.turns import Account, Effect, Reply, Usage
from infra.runtime.bus import Bus
from infra.runtime.bus_users import ADMIN
from infra.runtime.gate import GATED
from infra.runtime.nats_server import NatsServer
from infra.runtime.object_store import OBJECT_STREAM
from infra.runtime.provision import provision
from infra.runtime.settings import BusSettings
from tests.support.facts import life, pipeline_id
from tests.support.graph import Stage, stage
from tests.support.scripted import Scenario, decided
from tests.support.store import copied, problems, running_store

HELD = Scenario("held", "", hold=(Service.TESTER, e.PipelineResumeRequested.TYPE))
TREE = {"src/a.py": b"a" * 300_000, "src/b.py": b"b"}
LEFT = {"left/by/a/turn.txt": b"turn"}
REPLY, RESULT = b"event: message_stop", b"[]"
EVERYTHING = [TREE, LEFT, REPLY, RESULT]
REQUEST = "0" * 64
TURN = subjects.turn("some-task", REQUEST)


async def messages(bus: Bus, stream: str) -> list[tuple[int, str, bytes]]:
    return [(message.sequence, message.subject, message.data) for message in await bus.reader.since(stream, ">")]


async def whole_log(bus: Bus) -> dict[str, list[tuple[int, str, bytes]]]:
    return {stream: await messages(bus, stream) for stream in GATED}


async def artifacts(bus: Bus) -> list[dict[str, bytes] | bytes]:
    """What a fact names, and what only a turn and its effect name; each is read and hashed."""
    trees = [await bus.artifacts.get_tree(TreeManifest.of(tree).ref) for tree in (TREE, LEFT)]
    return [
        *trees,
        *[await bus.artifacts.get(ArtifactRef.of(content, "text/plain")) for content in (REPLY, RESULT)],
    ]


async def a_turn(bus: Bus) -> None:
    """A reply, what a tool call did after it, and what was spent, each of which may be all that names a content."""
    pipeline = pipeline_id(1)
    body, result = [await bus.artifacts.put(content, "text/plain") for content in (REPLY, RESULT)]
    reply = Reply(
        pipeline=pipeline,
        task="some-task",
        service="generator",
        model="some-model",
        turn=1,
        request=REQUEST,
        body=body,
        usage=Usage(output_tokens=5),
        cost_usd=0.1,
    )
    workspace = await bus.artifacts.put_tree(LEFT)
    effect = Effect(request=REQUEST, call=1, tool="write", content=result, workspace=workspace)
    account = Account().reserve(REQUEST, 0.2, 1)
    assert account is not None
    for subject, value in (
        (subjects.account(pipeline), account),
        (TURN, reply),
        (subjects.effect("some-task", REQUEST, 1), effect),
        (subjects.account(pipeline), account.settle(reply)),
    ):
        assert value is not None
        await bus.js.publish(subject, value.model_dump_json().encode(), headers={"Kind": "turn"})


async def something_of_everything(bus: Bus) -> None:
    """A turn that names artifacts, a dead letter, facts that name a tree."""
    await a_turn(bus)
    await bus.js.publish(subjects.dead("tester", pipeline_id(1)), b"\xff", headers={"Connectors-Cause": "why"})
    for event in life(pipeline_id(1), artifact=await bus.artifacts.put_tree(TREE)):
        _, last = await bus.log.read(event.pipeline)
        await bus.log.append(event, expected_last=last)


async def lose(server: NatsServer, bus: Bus, *streams: str) -> None:
    """The folders of ``streams`` are gone from the server's disk; none named: its whole store."""
    await server.kill()
    for stream in streams:
        (folder,) = server.store.rglob(f"streams/{stream}")
        shutil.rmtree(folder)
    if not streams:
        shutil.rmtree(server.store)
    await server.start()
    while not bus.nc.is_connected:
        await asyncio.sleep(0.01)


@asynccontextmanager
async def late_store(server: NatsServer, folder: Path, after_s: float) -> AsyncIterator[None]:
    """The event store comes up when the others wait already."""
    stop = asyncio.Event()

    async def run() -> None:
        await asyncio.sleep(after_s)
        async with running_store(server, folder):
            await stop.wait()

    task = asyncio.create_task(run())
    try:
        yield
    finally:
        stop.set()
        await task


async def finish(theatre: Stage, pipelines: list[str]) -> None:
    """Let the testers go on; each pipeline must end as if nothing had happened."""
    for pipeline in pipelines:
        await theatre.tell(pipeline, e.PipelineResumeRequested())
    for pipeline in pipelines:
        await theatre.end(pipeline)
        facts = await theatre.facts(pipeline)
        assert decided(facts) == ["tests:GENERATE", "review", "publish:success", "completed:success"]
        assert len({fact.id for fact in facts}) == len(facts)


async def test_lost_streams_are_whole_again_before_anybody_decides_and_pipelines_go_on(
    nats_server: NatsServer, bus: Bus, bus_settings: BusSettings, tmp_path: Path
) -> None:
    await something_of_everything(bus)
    async with running_store(nats_server, tmp_path):
        async with stage(nats_server, bus, bus_settings, slots=5) as theatre:
            pipelines = await theatre.held(HELD, 5)
        await copied(bus)
    before = await whole_log(bus)

    await lose(nats_server, bus)
    async with (
        late_store(nats_server, tmp_path, after_s=0.5),
        stage(nats_server, bus, bus_settings, slots=5, before=theatre) as again,  # they want to work at once
    ):
        after = await whole_log(bus)
        assert {stream: found[: len(before[stream])] for stream, found in after.items()} == before
        turn = await bus.reader.last(subjects.TURNS_STREAM, TURN)
        assert turn is not None
        assert turn.headers["Kind"] == "turn"
        account = await bus.reader.last(subjects.TURNS_STREAM, subjects.account(pipeline_id(1)))
        assert account is not None
        assert Account.model_validate_json(account.data).total.cost_usd == 0.1
        assert await artifacts(bus) == EVERYTHING
        await finish(again, pipelines)
        await copied(bus)


async def test_lost_bucket_is_filled_again_though_no_fact_is_missing(
    nats_server: NatsServer, bus: Bus, bus_settings: BusSettings, tmp_path: Path
) -> None:
    async with running_store(nats_server, tmp_path):
        await something_of_everything(bus)
        counts = await copied(bus)
    await lose(nats_server, bus, OBJECT_STREAM)
    async with running_store(nats_server, tmp_path) as runtime:
        async with asyncio.timeout(20):
            while await problems(runtime):
                await asyncio.sleep(0.05)
        bucket = await bus.js.stream_info(OBJECT_STREAM, subjects_filter="$O.*.M.>")
        assert len(bucket.state.subjects or {}) == counts.artifacts == 7
        assert await artifacts(bus) == EVERYTHING


async def test_lost_database_is_filled_again_from_the_streams(
    nats_server: NatsServer, bus: Bus, bus_settings: BusSettings, tmp_path: Path
) -> None:
    await something_of_everything(bus)
    async with running_store(nats_server, tmp_path), stage(nats_server, bus, bus_settings, slots=5) as theatre:
        pipelines = await theatre.held(HELD, 5)
        counts = await copied(bus)
    for file in tmp_path.glob("events.db*"):
        file.unlink()

    async with (
        running_store(nats_server, tmp_path),
        stage(nats_server, bus, bus_settings, slots=5, before=theatre) as again,
    ):
        refilled = await copied(bus)
        assert (refilled.facts, refilled.artifacts) == (counts.facts, counts.artifacts)
        await finish(again, pipelines)
        await copied(bus)

    before = await whole_log(bus)
    await lose(nats_server, bus)  # what it was filled with is good enough to fill the streams
    async with running_store(nats_server, tmp_path) as runtime:
        async with asyncio.timeout(20):
            while await problems(runtime):
                await asyncio.sleep(0.05)
        events = subjects.EVENTS_STREAM
        assert (await messages(bus, events)) == before[events]
        assert await artifacts(bus) == EVERYTHING


async def test_copy_that_holds_a_fact_twice_refills_it_twice(
    nats_server: NatsServer, bus: Bus, bus_settings: BusSettings, tmp_path: Path
) -> None:
    """As after the bus's duplicate window: the refill is faster than that."""
    events = life(pipeline_id(1), artifact=await bus.artifacts.put(b"{}", "application/json"))[:3]
    async with running_store(nats_server, tmp_path):
        for event in (*events, events[2]):
            await bus.js.publish(subjects.event(event.pipeline, event.type), event.encode())
        await copied(bus)
    before = await whole_log(bus)
    await bus.js.delete_stream(subjects.EVENTS_STREAM)
    await provision(bus.js, Service.EVENT_STORE, nats_server.settings(ADMIN, bus_settings))
    async with running_store(nats_server, tmp_path) as runtime:
        async with asyncio.timeout(20):
            while await problems(runtime):
                await asyncio.sleep(0.05)
    assert await whole_log(bus) == before
