"""The event store as a service, on a real bus: copying, restarting, refilling, answering."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from contracts import subjects
from contracts.artifacts import ArtifactRef
from contracts.envelope import Envelope
from contracts.pipeline import Status, fold
from contracts.queries import (
    Answer,
    ArtifactChunk,
    ArtifactQuery,
    Counts,
    CountsQuery,
    HistoryPage,
    HistoryQuery,
    PipelinesPage,
    PipelinesQuery,
    StateAnswer,
    StateQuery,
)
from contracts.services import Service
from infra.runtime.bus import Bus
from infra.runtime.bus_users import ADMIN
from infra.runtime.nats_server import NatsServer
from infra.runtime.provision import provision
from tests.support.facts import interleaved, life, pipeline_id
from tests.support.nats import fast
from tests.support.store import ask, problems, running_store


async def refused(bus: Bus, name: str, payload: bytes) -> str:
    reply = await bus.nc.request(subjects.query(name), payload, timeout=10)
    answer = Answer[dict[str, Any]].model_validate_json(reply.data)
    assert answer.refusal is not None
    return answer.refusal.kind


async def append(bus: Bus, events: Sequence[Envelope]) -> int:
    """Through the real log, with its compare-and-set; returns the last sequence."""
    last: dict[str, int] = {}
    sequence = 0
    for event in events:
        if event.pipeline not in last:
            last[event.pipeline] = (await bus.log.read(event.pipeline))[1]
        sequence = last[event.pipeline] = await bus.log.append(event, expected_last=last[event.pipeline])
    return sequence


async def some_artifact(bus: Bus) -> ArtifactRef:
    return await bus.artifacts.put(b"{}", "application/json")


async def test_the_copy_answers_what_the_log_holds(nats_server: NatsServer, bus: Bus, tmp_path: Path) -> None:
    ref = await some_artifact(bus)
    lives = [life(pipeline_id(n), name=f"acme-{n}", artifact=ref) for n in range(4)]
    async with running_store(nats_server, tmp_path) as runtime:
        last = await append(bus, list(interleaved(lives)))
        for number, events in enumerate(lives):
            pipeline = pipeline_id(number)
            page = await ask(bus, "history", HistoryQuery(pipeline=pipeline, min_seq=last, limit=5), HistoryPage)
            assert ([fact.event for fact in page.events], page.next, page.position) == (events[:5], 5, 12)
            query = StateQuery(pipeline=pipeline, at=6, min_seq=last)
            assert (await ask(bus, "state", query, StateAnswer)).state == fold(events[:6])
        lines = await ask(bus, "pipelines", PipelinesQuery(name="acme-2"), PipelinesPage)
        assert [(line.id, line.status) for line in lines.pipelines] == [(pipeline_id(2), Status.SUCCESS)]
        assert await problems(runtime) == {}


async def test_a_restarted_store_goes_on_after_its_last_sequence(
    nats_server: NatsServer, bus: Bus, tmp_path: Path
) -> None:
    events = life(pipeline_id(1), artifact=await some_artifact(bus))
    async with running_store(nats_server, tmp_path):
        last = await append(bus, events[:5])
        await ask(bus, "counts", CountsQuery(min_seq=last), Counts)
    last = await append(bus, events[5:])
    async with running_store(nats_server, tmp_path):
        page = await ask(bus, "history", HistoryQuery(pipeline=pipeline_id(1), min_seq=last), HistoryPage)
    assert [(fact.sequence, fact.event.id) for fact in page.events] == list(
        enumerate((event.id for event in events), start=1)
    )


async def test_the_copy_goes_on_after_the_server_was_killed(
    nats_server: NatsServer, bus: Bus, tmp_path: Path
) -> None:
    events = life(pipeline_id(1), artifact=await some_artifact(bus))
    async with running_store(nats_server, tmp_path):
        await ask(bus, "counts", CountsQuery(min_seq=await append(bus, events[:5])), Counts)
        await nats_server.kill()
        await nats_server.start()
        while not bus.nc.is_connected:
            await asyncio.sleep(0.02)
        last = await append(bus, events[5:])
        async with asyncio.timeout(20):
            while (await ask(bus, "counts", CountsQuery(), Counts)).last_sequence < last:
                await asyncio.sleep(0.1)


async def test_a_gap_in_the_log_stops_the_copy_and_readiness_says_so(
    nats_server: NatsServer, bus: Bus, tmp_path: Path
) -> None:
    await _allow_delete(bus)
    last = await append(bus, life(pipeline_id(1), artifact=await some_artifact(bus)))
    await bus.js.delete_msg(subjects.EVENTS_STREAM, 4)
    async with running_store(nats_server, tmp_path) as runtime:
        async with asyncio.timeout(10):
            while "copy" not in (found := await problems(runtime)) or "gap" not in found["copy"]:
                await asyncio.sleep(0.05)
        assert "needs sequence 4" in found["copy"]
        counts = await ask(bus, "counts", CountsQuery(), Counts)
        assert counts.last_sequence == 0
        assert "sequence 4" in (counts.problem or "")
        assert await refused(bus, "counts", CountsQuery(min_seq=last).model_dump_json().encode()) == "behind"


async def _allow_delete(bus: Bus) -> None:
    """The stream as an operator might have made it; ours denies deletes for ever."""
    config = (await bus.js.stream_info(subjects.EVENTS_STREAM)).config
    await bus.js.delete_stream(subjects.EVENTS_STREAM)
    await bus.js.add_stream(config.evolve(deny_delete=False))


async def test_another_log_under_the_same_copy_is_noticed(
    nats_server: NatsServer, bus: Bus, tmp_path: Path
) -> None:
    ref = await some_artifact(bus)
    async with running_store(nats_server, tmp_path):
        last = await append(bus, life(pipeline_id(1), artifact=ref)[:3])
        await ask(bus, "counts", CountsQuery(min_seq=last), Counts)
    await bus.js.delete_stream(subjects.EVENTS_STREAM)
    await provision(bus.js, Service.EVENT_STORE, nats_server.settings(ADMIN, fast(tmp_path)))
    await append(bus, life(pipeline_id(2), artifact=ref)[:5])
    async with running_store(nats_server, tmp_path) as runtime:
        async with asyncio.timeout(10):
            while "differ at sequence 3" not in (await problems(runtime)).get("copy", ""):
                await asyncio.sleep(0.05)
        assert (await ask(bus, "counts", CountsQuery(), Counts)).last_sequence == 3


async def test_a_log_that_lost_its_end_is_refilled_at_the_same_sequences(
    nats_server: NatsServer, bus: Bus, tmp_path: Path
) -> None:
    tree = {"a.py": b"print()", "b.py": b"# b" * 1000}
    ref = await bus.artifacts.put_tree(tree)
    lives = [life(pipeline_id(n), artifact=ref) for n in range(30)]
    everything = list(interleaved(lives))
    async with running_store(nats_server, tmp_path):
        last = await append(bus, everything)
        await ask(bus, "counts", CountsQuery(min_seq=last), Counts)
    for stream in (subjects.EVENTS_STREAM, f"OBJ_{subjects.ARTIFACTS_BUCKET}"):
        await bus.js.delete_stream(stream)
    await provision(bus.js, Service.EVENT_STORE, nats_server.settings(ADMIN, fast(tmp_path)))
    await append(bus, everything[:7])  # a backup from long ago
    async with running_store(nats_server, tmp_path) as runtime:
        async with asyncio.timeout(20):
            while await problems(runtime):
                await asyncio.sleep(0.05)
        for number, events in enumerate(lives):
            assert [event for _, event in await bus.log.history(pipeline_id(number))] == events
        assert (await bus.js.stream_info(subjects.EVENTS_STREAM)).state.last_seq == last
        assert await bus.artifacts.get_tree(ref) == tree
        more = life(pipeline_id(99), artifact=ref)
        newest = await append(bus, more)
        page = await ask(bus, "history", HistoryQuery(pipeline=pipeline_id(99), min_seq=newest), HistoryPage)
        assert [fact.event for fact in page.events] == more


async def test_artifacts_are_in_the_copy_before_the_fact_that_names_them(
    nats_server: NatsServer, bus: Bus, tmp_path: Path
) -> None:
    tree = {"src/a.py": b"a" * 300_000, "src/b.py": b"b", "src/empty.py": b""}
    ref = await bus.artifacts.put_tree(tree)
    async with running_store(nats_server, tmp_path):
        last = await append(bus, life(pipeline_id(1), artifact=ref)[:3])
        for sha256 in (ref.sha256, *(ArtifactRef.of(content, "x").sha256 for content in tree.values())):
            chunk = await ask(bus, "artifact", ArtifactQuery(sha256=sha256, min_seq=last), ArtifactChunk)
            assert len(chunk.content) == chunk.size
        assert (await ask(bus, "counts", CountsQuery(), Counts)).artifacts == 4


async def test_a_missing_artifact_is_reported_and_found_later(
    nats_server: NatsServer, bus: Bus, tmp_path: Path
) -> None:
    content = b'{"late": true}'
    ref = ArtifactRef.of(content, "application/json")
    async with running_store(nats_server, tmp_path, missing_retry_s=0.2) as runtime:
        last = await append(bus, life(pipeline_id(1), artifact=ref)[:3])
        counts = await ask(bus, "counts", CountsQuery(min_seq=last), Counts)
        assert [(lost.sha256, lost.sequence) for lost in counts.missing] == [(ref.sha256, 2)]
        _, report = await runtime.health.report()
        assert "1 artifacts" in json.dumps(report["warnings"])
        await bus.artifacts.put(content, "application/json")
        async with asyncio.timeout(10):
            while (await ask(bus, "counts", CountsQuery(), Counts)).missing:
                await asyncio.sleep(0.05)
        chunk = await ask(bus, "artifact", ArtifactQuery(sha256=ref.sha256), ArtifactChunk)
        assert chunk.content == content


async def test_an_artifact_that_comes_in_time_is_waited_for(
    nats_server: NatsServer, bus: Bus, tmp_path: Path
) -> None:
    ref = ArtifactRef.of(b"[]", "application/json")
    async with running_store(nats_server, tmp_path, artifact_patience_s=5):
        last = await append(bus, life(pipeline_id(1), artifact=ref)[:3])
        await asyncio.sleep(0.2)
        assert (await ask(bus, "counts", CountsQuery(), Counts)).last_sequence < 2  # the first fact that names it
        await bus.artifacts.put(b"[]", "application/json")
        counts = await ask(bus, "counts", CountsQuery(min_seq=last), Counts)
        assert counts.missing == ()


@pytest.mark.parametrize(
    ("name", "payload", "kind"),
    [
        ("history", b"not json", "invalid"),
        ("history", b'{"pipeline": "../../etc"}', "invalid"),
        ("history", HistoryQuery(pipeline=pipeline_id(404)).model_dump_json().encode(), "not_found"),
        ("state", StateQuery(pipeline=pipeline_id(404)).model_dump_json().encode(), "not_found"),
        ("artifact", ArtifactQuery(sha256="0" * 64).model_dump_json().encode(), "not_found"),
        ("drop-tables", b"{}", "invalid"),
        ("counts", b'{"min_seq": 1000000}', "behind"),
    ],
)
async def test_a_question_without_an_answer_says_why(
    nats_server: NatsServer, bus: Bus, tmp_path: Path, name: str, payload: bytes, kind: str
) -> None:
    async with running_store(nats_server, tmp_path, min_seq_timeout_s=0.2):
        assert await refused(bus, name, payload) == kind
