"""Services as a container runs them: a foreign uid, a read-only root, /tmp, /data and /output to write to."""

from __future__ import annotations

import asyncio
import json
import os
from contextlib import AsyncExitStack
from pathlib import Path

import httpx2
import pytest

from contracts.services import Service
from infra.cli.demo import DOCUMENT
from infra.runtime.nats_server import NatsServer
from infra.runtime.toolchain import prepare
from tests.support import container
from tests.support.container import UID, contained, free_port


@pytest.fixture(autouse=True)
def _can_be_made() -> None:
    container.required()


async def test_store_and_router_get_ready_and_write_nowhere_else(tmp_path: Path) -> None:
    async with NatsServer(tmp_path / "nats").running() as server, AsyncExitStack() as stack:
        running = []
        for service in (Service.EVENT_STORE, Service.ROUTER):
            (tmp_path / service).mkdir()
            running.append(await stack.enter_async_context(contained(service, server, tmp_path / service)))
        await asyncio.gather(*(each.ready() for each in running))
        assert (tmp_path / "event_store" / "data" / "event_store" / "events.db").stat().st_uid == UID


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("sandbox", [True, False], ids=["with bubblewrap", "without"])
async def test_a_connector_is_written_tested_and_published_by_contained_services(
    tmp_path: Path, sandbox: bool
) -> None:
    """All run as one user, whose threads the kernel counts together: no limit of one may starve another."""
    await asyncio.to_thread(prepare)
    output, port = tmp_path / "output", free_port()
    output.mkdir()
    os.chown(output, UID, UID)
    async with NatsServer(tmp_path / "nats").running() as server, AsyncExitStack() as stack:
        running = []
        for service in Service:
            (tmp_path / service).mkdir()
            settings = {"CONNECTORS_GATEWAY_PORT": str(port)} if service is Service.GATEWAY else {}
            shown = output if service in (Service.PUBLISHER, Service.GATEWAY) else None
            running.append(
                await stack.enter_async_context(
                    contained(service, server, tmp_path / service, output=shown, sandbox=sandbox, **settings)
                )
            )
        await asyncio.gather(*(each.ready() for each in running))
        async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=20, trust_env=False) as client:
            form = {"connector_name": "sample-crm", "engine": "offline"}
            accepted = await client.post("/generate", data=form, files={"document": DOCUMENT.read_bytes()})
            assert accepted.status_code == 202, accepted.text
            pipeline = accepted.json()["pipeline_id"]
            state = {"status": ""}
            while state["status"] in ("", "running"):
                await asyncio.sleep(0.5)
                state = (await client.get(f"/pipelines/{pipeline}")).json()
        assert state["status"] == "success", json.dumps(state)
    package = output / "connector-implementations" / "source-sample-crm"
    assert (package / "pyproject.toml").stat().st_uid == UID
