"""A step that nobody takes is visible: waiting since, for which service, and why."""

from __future__ import annotations

import asyncio
import io
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx2
import pytest
from rich.console import Console

from contracts import events as e
from contracts.artifacts import ArtifactRef
from contracts.services import Service
from gateway.settings import Settings
from infra.cli import generate
from infra.cli.client import Gateway
from infra.runtime.agent import Agent, Job, Tools
from infra.runtime.bus import Bus
from infra.runtime.nats_server import NatsServer
from infra.runtime.service import running
from infra.runtime.settings import BusSettings
from tests.support.gateway import running_gateway
from tests.support.nats import append, fact_of, submit

ANSWER = e.ResearchCompleted(blueprint=ArtifactRef.of(b"{}", "application/json"), streams=1)


async def waiting(client: httpx2.AsyncClient, pipeline: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (await client.get(f"/pipelines/{pipeline}")).json()["waiting"]
    return found


async def test_step_that_nobody_takes_says_since_when_and_for_which_service(
    nats_server: NatsServer, bus: Bus, bus_settings: BusSettings
) -> None:
    release, started = asyncio.Event(), asyncio.Event()

    async def work(job: Job, workspace: Path, tools: Tools) -> e.Fact:
        started.set()
        await release.wait()
        return ANSWER

    research = nats_server.settings(Service.RESEARCH, bus_settings)
    own = nats_server.settings(Service.GATEWAY, bus_settings)
    async with running_gateway(Settings(store_timeout_s=0.2), own) as client:
        first = await submit(bus)
        (step,) = await waiting(client, first)
        assert (step["service"], step["why"]) == ("research", "no process of research is running")
        (_, submitted), *_ = await bus.log.history(first)
        assert (step["task"], datetime.fromisoformat(step["since"])) == (submitted.id, submitted.time)

        async with running(Agent(Service.RESEARCH, work), research):
            await started.wait()
            assert await waiting(client, first) == []  # it is worked on
            second = await submit(bus)
            (step,) = await waiting(client, second)
            assert step["why"] == "research is busy with other pipelines (1 running)"
            release.set()
            for pipeline in (first, second):
                await fact_of(bus, pipeline, e.ResearchCompleted)
        assert {step["service"] for step in await waiting(client, second)} == {"generator", "fixtures"}


async def test_watch_of_generate_says_what_waits(
    nats_server: NatsServer, bus: Bus, bus_settings: BusSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(generate, "LOOK_EVERY_S", 0.1)
    shown = Console(file=io.StringIO(), width=200)
    own = nats_server.settings(Service.GATEWAY, bus_settings)
    async with (
        running_gateway(Settings(store_timeout_s=0.2, heartbeat_s=0.2), own) as client,
        Gateway(str(client.base_url)) as gateway,
    ):
        pipeline = await submit(bus)
        watching = asyncio.create_task(generate.watch(gateway, f"/pipelines/{pipeline}/live", shown))
        async with asyncio.timeout(15):
            while "research      waits: no process of research is running" not in shown.file.getvalue():  # type: ignore[attr-defined]
                await asyncio.sleep(0.05)
        cancel = await append(bus, pipeline, e.PipelineCancelRequested())
        await append(bus, pipeline, e.PipelineCancelled(), causation=cancel.id)
        await asyncio.wait_for(watching, 10)
    assert shown.file.getvalue().count("waits:") == 1  # type: ignore[attr-defined]
