"""Signing in with a key and over TLS, with the deployed configuration: what is said when it does not work."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx2
import nats.errors
import pytest

from contracts import subjects
from contracts.services import Service
from gateway.app import create_app
from gateway.settings import Settings
from infra.runtime.bus import CredentialsUnusable, connect, credentials
from infra.runtime.bus_users import USERS
from infra.runtime.nkey import new_seed
from infra.runtime.settings import BusSettings
from tests.support.asgi import listening
from tests.support.certificates import Authority
from tests.support.cluster import Cluster, one_node
from tests.support.nats import fast
from tests.support.process import Process, ask, tiny_agent

RESEARCH = Service.RESEARCH


@pytest.fixture
async def node(tmp_path: Path) -> AsyncIterator[Cluster]:
    async with one_node(tmp_path / "nats") as server:
        yield server


@asynccontextmanager
async def agent(folder: Path, node: Cluster, **changed: Path) -> AsyncIterator[Process]:
    """Research as a process; ``changed`` are other files than the right ones."""
    settings = node.settings(RESEARCH)
    environment = {
        "CONNECTORS_NATS_URL": settings.nats_url,
        "CONNECTORS_NATS_NKEY_FILE": str(changed.get("nkey", settings.nats_nkey_file)),
        "CONNECTORS_NATS_CA_FILE": str(changed.get("ca", settings.nats_ca_file)),
        "CONNECTORS_HEALTH_SOCKET": str(folder / "health.sock"),
    }
    async with tiny_agent(folder, environment) as process:
        yield process


async def test_key_of_somebody_else_is_a_clear_error(tmp_path: Path, node: Cluster) -> None:
    seed = tmp_path / "seed"
    seed.write_text(new_seed())
    async with agent(tmp_path, node, nkey=seed) as process:
        assert await asyncio.wait_for(process.process.wait(), 10) == 1
        assert "research cannot run: nats: 'Authorization Violation'" in process.log
        assert "Traceback" not in process.log
        assert seed.read_text() not in process.log


async def test_file_that_is_of_no_use_ends_the_process(tmp_path: Path, node: Cluster) -> None:
    async with agent(tmp_path, node, ca=tmp_path / "none") as process:
        assert await asyncio.wait_for(process.process.wait(), 10) == 1
        assert "research cannot run: CONNECTORS_NATS_CA_FILE is of no use: " in process.log
        assert "Traceback" not in process.log


@pytest.mark.parametrize("content", ["SUnothing", "", "x" * 58, new_seed()[:-1], b"\xff", None], ids=range(6))
@pytest.mark.parametrize("setting", ["nats_nkey_file", "nats_ca_file"])
def test_file_that_is_of_no_use_is_named(tmp_path: Path, setting: str, content: str | bytes | None) -> None:
    file = tmp_path / "file"
    if content is not None:
        file.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(CredentialsUnusable) as caught:
        credentials(BusSettings(**{setting: file}), RESEARCH)
    assert caught.value.what.startswith(f"CONNECTORS_{setting.upper()} is of no use: ")
    assert caught.value.where == str(file)
    assert not content or str(content) not in caught.value.what


async def test_certificate_of_another_authority_is_a_problem_that_readiness_names(
    tmp_path: Path, node: Cluster
) -> None:
    other = Authority("another").write(tmp_path / "other")
    async with agent(tmp_path, node, ca=other) as process:
        await process.says("certificate verify failed")
        assert "certificate verify failed" in (await _problems(tmp_path))["bus"]
    assert "Traceback" not in process.log


async def test_expired_certificate_is_waited_for(tmp_path: Path, node: Cluster) -> None:
    """It may be renewed at any moment, and a server takes a new one without a restart."""
    (server,) = node.nodes
    node.authority.write(server.folder / "tls", expired=True)
    await server.reload()
    async with agent(tmp_path, node) as process:
        await process.says("certificate has expired")
        assert "certificate has expired" in (await _problems(tmp_path))["bus"]
        node.authority.write(server.folder / "tls")
        await server.reload()
        async with asyncio.timeout(10):
            while "certificate" in (await _problems(tmp_path)).get("bus", ""):  # JetStream alone has no quorum here
                await asyncio.sleep(0.05)


async def _problems(folder: Path) -> dict[str, str]:
    _, report = await ask(folder / "health.sock", "/readyz")
    problems = report["problems"]
    assert isinstance(problems, dict)
    return problems


async def test_every_user_signs_in_with_its_own_password_where_there_is_no_tls(tmp_path: Path) -> None:
    """As docker-compose.yml has it."""
    async with one_node(tmp_path, "password") as node:
        for user in USERS:
            async with connect(node.settings(user), user) as bus:
                assert bus.nc.is_connected
        wrong = node.settings(Service.ROUTER).model_copy(
            update={"nats_password_file": node.settings(RESEARCH).nats_password_file}
        )
        with pytest.raises(nats.errors.Error, match="Authorization Violation"):
            async with connect(wrong, Service.ROUTER):
                pass
        async with listening(create_app(Settings(), wrong)) as url, httpx2.AsyncClient(trust_env=False) as client:
            async with asyncio.timeout(10):
                while "Authorization Violation" not in (await client.get(f"{url}/readyz")).text:
                    await asyncio.sleep(0.02)


async def test_nothing_is_said_to_a_server_without_tls(tmp_path: Path) -> None:
    """Not even who asks: a man in the middle could pretend that there is no TLS here."""
    heard: list[bytes] = []

    async def pretend(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b'INFO {"server_id":"X","version":"2.15.1","max_payload":1048576,"auth_required":true}\r\n')
        heard.append(await reader.read(65536))
        writer.close()

    server = await asyncio.start_server(pretend, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    ca = Authority().write(tmp_path)
    settings = BusSettings(
        nats_url=f"tls://127.0.0.1:{port}", nats_user="research", nats_password="secret", nats_ca_file=ca
    )
    async with server:
        connecting = asyncio.create_task(connect(settings, RESEARCH).__aenter__())
        while not heard:
            await asyncio.sleep(0.01)
        connecting.cancel()
        await asyncio.gather(connecting, return_exceptions=True)
    assert b"secret" not in b"".join(heard)
    assert b"CONNECT" not in b"".join(heard)


def test_unreadable_password_file_is_named(tmp_path: Path) -> None:
    settings = BusSettings(nats_password_file=tmp_path / "none")
    with pytest.raises(CredentialsUnusable, match=r"CONNECTORS_NATS_PASSWORD_FILE is of no use: .*none"):
        credentials(settings, RESEARCH)


async def test_monitoring_shows_no_secret(tmp_path: Path, node: Cluster) -> None:
    (server,) = node.nodes
    async with connect(node.settings(RESEARCH, fast(tmp_path)), RESEARCH):
        shown = "".join(
            [await server.monitored(f"/{page}") for page in ("varz", "connz?auth=1", "accountz?acc=LOG")]
        )
    assert subjects.API in shown  # or nothing was shown
    for seed in (node.folder / "secrets").glob("*/nkey.seed"):
        assert seed.read_text() not in shown
    assert (node.folder / "secrets" / "connectors-bus-server" / "cluster.password").read_text() not in shown
