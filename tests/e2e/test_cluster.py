"""Three nodes with the deployed configuration: keys, TLS, three replicas, and a leader that dies under load."""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path

import pytest

from contracts import events as e
from contracts import subjects
from contracts.envelope import Envelope
from contracts.pipeline import Status
from infra.runtime.bus import Bus, connect
from infra.runtime.bus_users import ADMIN, USERS
from infra.runtime.log import Conflict
from tests.support.cluster import cluster
from tests.support.graph import Stage, stage
from tests.support.nats import fast, provision_all
from tests.support.scripted import GRAPH

SCENARIO = GRAPH[0]
WRITERS = 2


async def test_killed_leader_costs_no_acknowledged_fact_and_repeats_none(tmp_path: Path) -> None:
    await _killed_leaders(tmp_path, kills=1, load_s=0.7)


@pytest.mark.slow
async def test_leaders_killed_one_after_the_other_cost_no_acknowledged_fact(tmp_path: Path) -> None:
    await _killed_leaders(tmp_path, kills=6, load_s=3.0)


async def _killed_leaders(folder: Path, *, kills: int, load_s: float) -> None:
    async with cluster(folder) as servers:
        settings = fast(folder / "data")
        admin = servers.settings(ADMIN, settings)
        async with connect(admin, ADMIN) as bus:
            await provision_all(bus, admin)
            for user in USERS:
                async with connect(servers.settings(user, settings), user) as own:
                    assert (await own.js.stream_info(subjects.EVENTS_STREAM)).config.num_replicas == 3
            async with stage(servers, bus, settings, slots=4) as theatre:
                accepted: list[str] = []
                writers = [asyncio.create_task(_submit(theatre, accepted)) for _ in range(WRITERS)]
                for _ in range(kills):
                    await asyncio.sleep(load_s)
                    leader = servers.node(await _leader(bus))
                    await leader.end()
                    await asyncio.sleep(load_s)
                    await leader.start("production.conf")
                    await servers.ready()
                for writer in writers:
                    writer.cancel()
                ends = [await theatre.end(pipeline) for pipeline in accepted]
            stored = await bus.reader.since(subjects.EVENTS_STREAM, subjects.ALL_EVENTS)
    assert {end.status for end in ends} == {Status.SUCCESS}
    facts = [Envelope.decode(message.data) for message in stored]
    submitted = [fact.pipeline for fact in facts if fact.type == e.PipelineSubmitted.TYPE]
    assert set(accepted) <= set(submitted)
    assert len(accepted) > 5 * kills
    assert [id for id, count in Counter(fact.id for fact in facts).items() if count > 1] == []


async def _submit(theatre: Stage, accepted: list[str]) -> None:
    """One after the other; what was not confirmed may be in the log, but nobody counts on it."""
    while True:
        try:
            accepted.append(await theatre.submit(SCENARIO))
        except Conflict:
            continue
        await asyncio.sleep(0.1)


async def _leader(bus: Bus) -> str:
    info = await bus.js.stream_info(subjects.EVENTS_STREAM)
    assert info.cluster is not None
    assert info.cluster.leader is not None
    return info.cluster.leader
