"""Every service in one, two and four processes, killed at random under load; and each rolled under load.

Counted each time: pipelines lost or ended otherwise, facts or answers that are there twice, copies that differ,
decisions that the policy does not make, facts that a live stream did not show once and in order.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Awaitable, Callable
from itertools import count, takewhile
from pathlib import Path
from random import Random

import pytest

from contracts.services import AGENTS, Service
from infra.runtime.bus import connect
from infra.runtime.bus_users import ADMIN
from tests.chaos.crowd import Crowd, Left, scripted, what_is_left
from tests.chaos.plays import Play
from tests.support.fleet import ROOT, STOP_LIMIT_S, Fleet, Replica, running_fleet
from tests.support.newer import newer_release
from tests.support.postgres import fresh_database
from tests.support.stack import connectors

TAKEOVER_S = 5.0
WRITER = "this store is the copy's writer"

Disturb = Callable[[Fleet], Awaitable[None]]


async def loaded(fleet: Fleet, pipelines: int, disturb: Disturb, *, url: str | None = None) -> tuple[Left, Crowd]:
    """Play at least so many pipelines, and as many as come until ``disturb`` has done its work."""
    async with connect(fleet.nats.settings(ADMIN), ADMIN) as bus, fleet.client() as http:
        crowd = Crowd(http, bus)
        async with asyncio.TaskGroup() as group:
            disturbing = group.create_task(disturb(fleet))
            numbers = takewhile(lambda number: number < pipelines or not disturbing.done(), count())
            group.create_task(crowd.play(Play.of(f"fleet-{number}") for number in numbers))
        left = await what_is_left(fleet, crowd, bus, url=url)
        verified = await asyncio.to_thread(connectors, "verify", "--url", fleet.of(Service.GATEWAY)[0].url)
        assert verified.returncode == 0, verified.stdout + verified.stderr
    return left, crowd


def writers(fleet: Fleet) -> list[Replica]:
    return [one for one in fleet.of(Service.EVENT_STORE) if WRITER in one.child.last_words(1000)]


async def kill_one_of_each(fleet: Fleet) -> None:
    """In some order, while the others go on; nobody takes its place. Of the event stores, the one that writes."""
    dice = Random("kills")
    for service in dice.sample(list(Service), len(Service)):
        await asyncio.sleep(dice.uniform(0.05, 0.25))
        if service is not Service.EVENT_STORE:
            await fleet.kill(dice.choice(fleet.of(service)))
            continue
        (writer,) = writers(fleet)
        await fleet.kill(writer)
        async with asyncio.timeout(TAKEOVER_S):
            while not writers(fleet):
                await asyncio.sleep(0.05)


async def kill_at_random(fleet: Fleet) -> None:
    """As a cluster does, another one takes the place of each."""
    dice = Random("kills")
    for _ in range(15):
        await asyncio.sleep(dice.uniform(0.2, 0.8))
        victim = dice.choice(fleet.replicas)
        await fleet.kill(victim)
        await fleet.start(victim.service)


async def test_two_of_every_service_lose_nothing_when_one_of_each_is_killed(tmp_path: Path) -> None:
    async with running_fleet(scripted(tmp_path)) as fleet:
        await fleet.scale(2)
        left, _ = await loaded(fleet, 16, kill_one_of_each)
        assert len(fleet.replicas) == len(Service)
    assert left.findings == ()


@pytest.mark.slow
@pytest.mark.timeout(400)
@pytest.mark.parametrize(
    ("replicas", "database"), [(1, "sqlite"), (2, "postgresql"), (4, "sqlite"), (4, "postgresql")]
)
async def test_replicas_of_every_service_lose_nothing_while_they_are_killed(
    tmp_path: Path, request: pytest.FixtureRequest, replicas: int, database: str
) -> None:
    url = (
        fresh_database(request.getfixturevalue("postgres_server"), f"fleet{replicas}")
        if database == "postgresql"
        else None
    )
    environment = {"CONNECTORS_EVENT_STORE_URL": url} if url else {}
    async with running_fleet(scripted(tmp_path, environment)) as fleet:
        await fleet.scale(replicas)
        left, crowd = await loaded(fleet, 80, kill_at_random, url=url)
        assert len(fleet.replicas) == replicas * len(Service)
    assert left.findings == ()
    print(f"{replicas} {database}: {len(crowd.accepted)} pipelines, {left}")


async def test_every_service_is_rolled_under_load_and_nothing_is_done_in_vain(tmp_path: Path) -> None:
    async def roll(fleet: Fleet) -> None:
        for services in (tuple(AGENTS), (Service.ROUTER,), (Service.EVENT_STORE,), (Service.GATEWAY,)):
            await asyncio.sleep(0.2)
            await fleet.roll(*services)

    async with running_fleet(scripted(tmp_path)) as fleet:
        await fleet.scale(1)
        left, crowd = await loaded(fleet, 16, roll)
        assert max(one.stop_s or 0 for one in fleet.stopped) < STOP_LIMIT_S
        assert len(fleet.stopped) == len(Service)
    assert left.findings == ()
    assert left.strikes == 0  # whoever began a task again had been given it by a process that ended
    assert crowd.broken == 0
    assert crowd.handed_over >= 1


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_every_service_is_rolled_to_a_newer_version_whose_facts_older_ones_meet(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.chaos.rolling", str(ROOT), str(tmp_path / "run")]
    newer = newer_release(tmp_path / "newer")
    ended = subprocess.run(command, cwd=newer, capture_output=True, text=True, timeout=380, check=False)
    assert ended.returncode == 0, ended.stdout[-3000:] + ended.stderr[-3000:]
    told = json.loads(ended.stdout)
    assert told["of_older"] == {
        "": 503,
        "/state": 503,
        "/costs": 503,
        "/events?limit=1000": 200,
        "/live": 200,
        "list": 200,
    }
    assert set(told["of_newer"].values()) == {200}
    assert told["ready_of_older"]
    assert told["ready_of_taken_back"]
    assert (told["strikes"], told["broken"]) == (0, 0)
    assert told["stop_s"] < STOP_LIMIT_S
