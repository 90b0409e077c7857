"""Alive: the loop turns. Ready: bus and event store answer. Asked of real processes, as a probe asks."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from contracts.events import ResearchCompleted
from infra.runtime.bus import Bus
from infra.runtime.health import Shared
from infra.runtime.nats_server import NatsServer
from tests.support.nats import fact_of, submit
from tests.support.process import Process, ask, eventually, tiny_agent, until
from tests.support.store import running_store

PROBE_TIMEOUT_S = 3
"""What the manifests give a probe."""


@asynccontextmanager
async def probed_agent(folder: Path, server: NatsServer) -> AsyncIterator[tuple[Process, Path]]:
    socket = folder / "health.sock"
    log_format = {"CONNECTORS_HEALTH_SOCKET": str(socket), "CONNECTORS_LOG_FORMAT": "json"}
    async with tiny_agent(folder, server, **log_format) as agent:
        await agent.says('"message": "ready"')
        yield agent, socket


async def probe(socket: Path, path: str = "/readyz") -> tuple[int, dict[str, Any]]:
    async with asyncio.timeout(PROBE_TIMEOUT_S):
        return await ask(socket, path)


async def test_ready_is_who_has_bus_and_store_and_alive_whose_loop_turns(
    bus: Bus, nats_server: NatsServer, tmp_path: Path
) -> None:
    (tmp_path / "release").touch()
    async with probed_agent(tmp_path, nats_server) as (agent, socket):
        assert json.loads(agent.log.splitlines()[-1])["service"] == "research"
        assert await probe(socket, "/healthz") == (200, {"alive": True})
        status, said = await probe(socket)
        assert (status, said["problems"]) == (503, {"event_store": "no event store is there"})
        await fact_of(bus, await submit(bus), ResearchCompleted)  # work that needs no store is done without one

        async with running_store(nats_server, tmp_path):
            await eventually(lambda: ask(socket, "/readyz"), 200)
            assert await probe(socket) == (200, {"ready": True, "problems": {}, "warnings": {}})
            await nats_server.kill()
            await eventually(lambda: ask(socket, "/readyz"), 503)
            assert (await probe(socket, "/healthz"))[0] == 200
            await nats_server.start()
            await eventually(lambda: ask(socket, "/readyz"), 200)
            assert (await probe(socket, "/nothing"))[0] == 404


async def test_bus_that_is_connected_and_does_not_answer_is_not_ready(
    bus: Bus, nats_server: NatsServer, tmp_path: Path
) -> None:
    async with running_store(nats_server, tmp_path), probed_agent(tmp_path, nats_server) as (_, socket):
        await eventually(lambda: ask(socket, "/readyz"), 200)
        assert nats_server.pid is not None
        os.kill(nats_server.pid, signal.SIGSTOP)
        try:
            await asyncio.sleep(1.1)  # what was answered before is not believed for longer
            status, said = await probe(socket)
            assert (status, set(said["problems"])) == (503, {"bus", "space", "event_store"})
            assert (await probe(socket, "/healthz"))[0] == 200
        finally:
            os.kill(nats_server.pid, signal.SIGCONT)
        await eventually(lambda: ask(socket, "/readyz"), 200)


async def test_loop_that_is_blocked_does_not_answer(bus: Bus, nats_server: NatsServer, tmp_path: Path) -> None:
    async with probed_agent(tmp_path, nats_server) as (_, socket):
        (tmp_path / "block").touch()
        pipeline = await submit(bus)
        await until((tmp_path / "started").exists)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.5):
                await ask(socket, "/healthz")
        (tmp_path / "release").touch()
        (tmp_path / "block").unlink()
        assert await probe(socket, "/healthz") == (200, {"alive": True})
        await fact_of(bus, pipeline, ResearchCompleted)


async def test_a_shared_question_is_asked_once_however_many_want_its_answer() -> None:
    asked = 0
    answers = asyncio.Event()

    async def question() -> int:
        nonlocal asked
        asked += 1
        await answers.wait()
        return asked

    shared = Shared(question, keep_s=0.05)
    with pytest.raises(TimeoutError):  # who gives up does not take the answer from the others
        await asyncio.wait_for(shared(), 0.01)
    waiting = [asyncio.create_task(shared()) for _ in range(30)]
    await asyncio.sleep(0)
    answers.set()
    assert await asyncio.gather(*waiting) == [1] * 30
    assert await shared() == 1
    await asyncio.sleep(0.06)
    assert await shared() == 2
