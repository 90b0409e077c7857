"""Tasks that kill their worker, which is a process: given up, told, and tried once more."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx2

from contracts import events as e
from contracts import subjects
from contracts.pipeline import Status, fold
from contracts.services import Service
from gateway.settings import Settings
from infra.runtime import clock
from infra.runtime.bus import Bus
from infra.runtime.nats_server import NatsServer
from infra.runtime.settings import BusSettings
from tests.support.gateway import running_gateway
from tests.support.graph import routing
from tests.support.nats import fact_of, submit
from tests.support.process import tiny_agent
from tests.support.stack import CONNECTORS, REPO
from tests.support.store import running_store

GIVEN_UP = "research was started 3 times on this task and never answered: it died or hung"
QUICK = {"CONNECTORS_ACK_WAIT_S": "0.5"}


@asynccontextmanager
async def gateway(server: NatsServer, settings: BusSettings, folder: Path) -> AsyncIterator[httpx2.AsyncClient]:
    own = server.settings(Service.GATEWAY, settings)
    async with running_store(server, folder), running_gateway(Settings(), own) as client:
        yield client


async def kill_three_workers(server: NatsServer, folder: Path) -> None:
    """Each takes the task after the one before, and dies of it."""
    (folder / "kill").touch()
    for _ in range(3):
        async with tiny_agent(folder, server, **QUICK) as worker:
            assert await asyncio.wait_for(worker.process.wait(), 20) == -9


async def connectors(*argv: str) -> tuple[int, str]:
    process = await asyncio.create_subprocess_exec(
        *CONNECTORS, *argv, cwd=REPO, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    said, _ = await process.communicate()
    return process.returncode or 0, said.decode()


async def test_task_that_kills_its_worker_three_times_is_given_up_and_can_be_tried_once_more(
    nats_server: NatsServer, bus: Bus, bus_settings: BusSettings, tmp_path: Path
) -> None:
    """The router is away at first, so that the pipeline still waits when a person asks for another attempt."""
    pipeline = await submit(bus)
    async with gateway(nats_server, bus_settings, tmp_path) as client:
        await kill_three_workers(nats_server, tmp_path)
        (tmp_path / "kill").unlink()
        (tmp_path / "release").touch()
        async with tiny_agent(tmp_path, nats_server, **QUICK):
            failed = await fact_of(bus, pipeline, e.AgentFailed)
            assert failed.data["what"] == GIVEN_UP
            code, said = await connectors("dead", "list", "--url", str(client.base_url))
            assert (code, GIVEN_UP in " ".join(said.split())) == (0, True)

            for _ in range(2):  # asking twice is asking once
                assert (await client.post("/dead/1/retry")).status_code == 202
            async with routing(nats_server, bus_settings):
                again = await fact_of(bus, pipeline, e.ResearchRequested)
                await fact_of(bus, pipeline, e.ResearchCompleted)
    assert (again.data["attempt"], again.causation) == (2, failed.id)
    facts = [fact.type for _, fact in await bus.log.history(pipeline)]
    assert facts.count(e.PipelineRetryRequested.TYPE) == 1


async def test_dead_letter_of_a_pipeline_that_has_failed_is_tried_in_a_fork_from_before_the_failure(
    nats_server: NatsServer, bus: Bus, bus_settings: BusSettings, tmp_path: Path
) -> None:
    async with gateway(nats_server, bus_settings, tmp_path) as client, routing(nats_server, bus_settings):
        pipeline = await submit(bus)
        sub = await bus.js.pull_subscribe_bind(durable="research", stream=subjects.EVENTS_STREAM)
        for _ in range(3):  # three workers that take the task and die
            (msg,) = await sub.fetch(1, timeout=5)
            await msg.nak()
        async with tiny_agent(tmp_path, nats_server, **QUICK):
            await fact_of(bus, pipeline, e.PipelineFailed)

        state = fold([fact for _, fact in await bus.log.history(pipeline)])
        assert (state.status, state.reason) == (Status.FAILED, f"research failed: {GIVEN_UP}")
        (letter,) = (await client.get("/dead")).json()["letters"]
        assert (letter["id"], letter["service"], letter["pipeline_id"]) == (1, "research", pipeline)
        assert (letter["cause"], letter["sequence"]) == (GIVEN_UP, 1)
        accepted = [(await client.post("/dead/1/retry")).json()["pipeline_id"] for _ in range(2)]
        assert accepted[0] == accepted[1] != pipeline
        (forked, *_) = [fact for _, fact in await bus.log.history(accepted[0])]
        assert (forked.data["parent"], forked.data["at"]) == (pipeline, 1)
        await fact_of(bus, accepted[0], e.ResearchRequested)
        assert (await client.post("/dead/2/retry")).status_code == 404


async def test_dead_letters_come_in_pages_and_unreadable_ones_cannot_be_tried_again(
    nats_server: NatsServer, bus: Bus, bus_settings: BusSettings, tmp_path: Path
) -> None:
    pipeline = clock.new_id()
    for number in range(5):
        headers = {"Connectors-Cause": f"cause {number}", "Connectors-Sequence": "7"}
        await bus.js.publish(subjects.dead("tester", pipeline), b"rubbish", headers=headers)
    async with gateway(nats_server, bus_settings, tmp_path) as client:
        seen, link = [], "/dead?limit=2"
        while link:
            page = (await client.get(link)).json()
            seen += [(letter["id"], letter["cause"]) for letter in page["letters"]]
            link = page["next"]
        assert seen == [(number + 1, f"cause {number}") for number in range(5)]
        refused = await client.post("/dead/3/retry")
        assert refused.status_code == 409
        assert "cannot be read" in refused.json()["detail"]
