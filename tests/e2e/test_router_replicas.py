"""Two routers race over many pipelines, with users who cancel and pause in between: no log may show it."""

from __future__ import annotations

import asyncio
import random
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from contracts import events as e
from infra.runtime.bus import Bus
from infra.runtime.nats_server import NatsServer
from infra.runtime.settings import BusSettings
from services.router.handler import Router
from services.router.open_pipelines import open_pipelines
from services.router.settings import Settings
from tests.support.graph import Stage, routing, stage
from tests.support.legal import illegal
from tests.support.scripted import GRAPH, Scenario


@pytest.fixture
async def nats_server(tmp_path: Path, provisioned_store: Path) -> AsyncIterator[NatsServer]:
    server = NatsServer(tmp_path / "nats", sync_always=False)
    shutil.copytree(provisioned_store, server.store)
    await server.start()
    yield server
    await server.kill()


@pytest.mark.parametrize("pipelines", [100, pytest.param(1000, marks=[pytest.mark.slow, pytest.mark.timeout(600)])])
async def test_racing_routers_never_diverge(
    nats_server: NatsServer, bus: Bus, bus_settings: BusSettings, pipelines: int
) -> None:
    dice = random.Random(pipelines)
    bus_settings = bus_settings.model_copy(update={"cached_pipelines": pipelines // 2})
    async with (
        stage(nats_server, bus, bus_settings, routers=1, slots=4) as theatre,
        routing(nats_server, bus_settings) as other,
    ):
        rival = asyncio.create_task(_look_at_everything(Router(other, Settings(code_version="test"))))
        ids = [await theatre.submit(_scenario(dice)) for _ in range(pipelines)]
        await asyncio.gather(*(_disturb(theatre, pipeline, dice) for pipeline in ids))
        while await open_pipelines(bus.nc):
            await asyncio.sleep(0.05)
        rival.cancel()

    for pipeline in ids:
        facts = [envelope for _, envelope in await bus.log.history(pipeline)]
        assert sum(fact.type in e.FINAL for fact in facts) == 1
        assert list(illegal(facts)) == []


def _scenario(dice: random.Random) -> Scenario:
    return dice.choice([scenario for scenario in GRAPH if scenario.hold is None])


async def _look_at_everything(rival: Router) -> None:
    """A third, impolite router: with locks of its own, it decides about everything all the time."""
    while True:
        await rival.sweep()
        await asyncio.sleep(0.2)


async def _disturb(theatre: Stage, pipeline: str, dice: random.Random) -> None:
    kind = dice.choice(["leave", "leave", "cancel", "pause"])
    await asyncio.sleep(dice.uniform(0, 1))
    if kind == "cancel":
        await theatre.tell(pipeline, e.PipelineCancelRequested())
    elif kind == "pause":
        await theatre.tell(pipeline, e.PipelinePauseRequested())
        await asyncio.sleep(dice.uniform(0, 0.3))
        await theatre.tell(pipeline, e.PipelineResumeRequested())
