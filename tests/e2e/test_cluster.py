"""Three nodes with the deployed configuration: keys, TLS, three replicas, and a leader that dies under load."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import TypeVar

import pytest

from contracts import events as e
from contracts import subjects
from contracts.envelope import Envelope
from contracts.errors import Transient
from contracts.pipeline import Status
from contracts.services import Service
from infra.runtime.bus import Bus, connect
from infra.runtime.bus_users import ADMIN
from infra.runtime.direct import Stored
from infra.runtime.gate import GATED
from infra.runtime.object_store import OBJECT_STREAM
from infra.runtime.patience import insist
from infra.runtime.service import serving
from services.event_store.handler import store
from services.event_store.settings import Settings as StoreSettings
from tests.support.cluster import cluster
from tests.support.graph import Stage, stage
from tests.support.nats import fast
from tests.support.scripted import GRAPH
from tests.support.store import copied

SCENARIO = GRAPH[0]
WRITERS = 2
T = TypeVar("T")
STREAMS = (*GATED, subjects.TIMERS_STREAM, OBJECT_STREAM)


async def test_pipelines_run_on_three_nodes_with_keys_and_tls(tmp_path: Path) -> None:
    await _killed_leaders(tmp_path, kills=0, load_s=0.7)


@pytest.mark.slow
@pytest.mark.parametrize(("kills", "load_s"), [(1, 0.7), (6, 3.0)])
async def test_killed_leaders_cost_no_acknowledged_fact_and_repeat_none(
    tmp_path: Path, kills: int, load_s: float
) -> None:
    await _killed_leaders(tmp_path, kills=kills, load_s=load_s)


async def _killed_leaders(folder: Path, *, kills: int, load_s: float) -> None:
    async with cluster(folder) as servers:
        settings = fast(folder / "data")
        keeper = servers.settings(Service.EVENT_STORE, settings)
        async with (
            connect(servers.settings(ADMIN, settings), ADMIN) as bus,
            serving(Service.EVENT_STORE, store(StoreSettings(artifact_patience_s=0)), keeper),
            connect(servers.settings(Service.GATEWAY, settings), Service.GATEWAY) as gateway,
            stage(servers, gateway, settings, slots=4) as theatre,
        ):
            for stream in STREAMS:
                assert (await bus.js.stream_info(stream)).config.num_replicas == 3
            readers = [found.config for found in await bus.js.consumers_info(subjects.EVENTS_STREAM)]
            copying = [found.num_replicas for found in readers if (found.name or "").startswith("event_store-")]
            assert copying == [3]  # the only one would go with its node
            accepted: list[str] = []
            enough = asyncio.Event()
            writers = [asyncio.create_task(_submit(theatre, accepted, enough)) for _ in range(WRITERS)]
            await asyncio.sleep(load_s)
            for _ in range(kills):
                leader = servers.node(await _patiently(partial(_leader, bus)))
                await leader.end()
                await asyncio.sleep(load_s)
                await leader.start("production.conf")
                await servers.ready()
                await asyncio.sleep(load_s)
            enough.set()  # a cancellation could get lost (see `service._cancelled`)
            await asyncio.gather(*writers)
            ends = [await _patiently(partial(theatre.end, pipeline)) for pipeline in accepted]
            copy = await _patiently(partial(copied, bus))
            stored = await _patiently(partial(_all_of, bus))
    assert {end.status for end in ends} == {Status.SUCCESS}
    assert len(accepted) > 5 * kills + 1
    facts = [Envelope.decode(message.data) for message in stored]
    submitted = [fact.pipeline for fact in facts if fact.type == e.PipelineSubmitted.TYPE]
    assert set(accepted) <= set(submitted)
    assert [id for id, count in Counter(fact.id for fact in facts).items() if count > 1] == []
    assert copy.facts == len(facts)


async def _submit(theatre: Stage, accepted: list[str], enough: asyncio.Event) -> None:
    """One after the other; what was not confirmed may be in the log, but nobody counts on it."""
    while not enough.is_set():
        try:
            accepted.append(await theatre.submit(SCENARIO))
        except Transient:  # also what a node that has gone did not answer
            continue
        await asyncio.sleep(0.1)


async def _patiently(question: Callable[[], Awaitable[T]]) -> T:
    return await insist(question, lambda error: None)


async def _all_of(bus: Bus) -> list[Stored]:
    """Of the log as its leader knows it; any node may answer the read, also one that has just come back."""
    end = (await bus.js.stream_info(subjects.EVENTS_STREAM)).state.last_seq
    while True:
        stored = await bus.reader.since(subjects.EVENTS_STREAM, subjects.ALL_EVENTS)
        if stored[-1].sequence >= end:
            return stored
        await asyncio.sleep(0.05)


async def _leader(bus: Bus) -> str:
    info = await bus.js.stream_info(subjects.EVENTS_STREAM)
    assert info.cluster is not None
    assert info.cluster.leader is not None
    return info.cluster.leader
