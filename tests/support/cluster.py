"""Three real nats-servers on loopback, as in production: the files of ``infra/deploy/nats``, keys, TLS, replicas.

async with cluster(tmp_path) as servers:
    settings = servers.settings(Service.ROUTER, base)
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from infra.cli import secrets
from infra.runtime.bus_users import Kind
from infra.runtime.nats_server import find_binary
from infra.runtime.processes import die_with_parent
from infra.runtime.settings import BusSettings
from tests.support.certificates import Authority

DEPLOYED = Path(__file__).parents[2] / "infra" / "deploy" / "nats"
NODES = 3
READY_TIMEOUT_S = 30.0


@dataclass
class Node:
    """One server. Its files are the deployed ones; only places and addresses are this test's."""

    name: str
    folder: Path
    client_port: int
    cluster_port: int
    monitoring_port: int
    process: asyncio.subprocess.Process | None = None

    def write(self, found: secrets.Secrets, authority: Authority) -> None:
        own = {
            "/etc/nats/": f"{self.folder}/",
            '"/data"': f'"{self.folder / "data"}"',
            "0.0.0.0:4222": f"127.0.0.1:{self.client_port}",
            "0.0.0.0:6222": f"127.0.0.1:{self.cluster_port}",
            "0.0.0.0:8222": f"127.0.0.1:{self.monitoring_port}",
        }
        (self.folder / "secrets").mkdir(parents=True)
        for file in DEPLOYED.glob("*.conf"):
            text = file.read_text()
            for deployed, here in own.items():
                text = text.replace(deployed, here)
            (self.folder / file.name).write_text(text)
        for name in ("users.conf", "cluster.conf"):
            (self.folder / "secrets" / name).write_text(found[secrets.SERVER][name])
        authority.write(self.folder / "tls")

    async def start(self, configuration: str) -> None:
        with (self.folder / "server.log").open("ab") as log:
            self.process = await asyncio.create_subprocess_exec(
                str(find_binary()),
                "--config",
                str(self.folder / configuration),
                env={"NATS_NAME": self.name},
                stdout=log,
                stderr=log,
                preexec_fn=partial(die_with_parent, os.getpid()),
            )

    async def end(self, with_signal: signal.Signals = signal.SIGKILL) -> None:
        if self.process is not None and self.process.returncode is None:
            self.process.send_signal(with_signal)
            await self.process.wait()

    async def reload(self) -> None:
        """Let it read its configuration and certificate anew."""
        assert self.process is not None
        told = "Reloaded server configuration"
        before = self.log().count(told)
        self.process.send_signal(signal.SIGHUP)
        async with asyncio.timeout(READY_TIMEOUT_S):
            while self.log().count(told) == before:
                await asyncio.sleep(0.02)

    async def healthy(self) -> bool:
        """What Kubernetes asks: connected to the cluster, its streams up to date."""
        return " 200 " in (await self.monitored("/healthz")).partition("\r\n")[0]

    async def monitored(self, path: str) -> str:
        """The answer of its monitoring, head and body; nothing, if it does not answer."""
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", self.monitoring_port)
            writer.write(f"GET {path} HTTP/1.0\r\n\r\n".encode())
            answer = await reader.read()
            writer.close()
        except OSError:
            return ""
        return answer.decode()

    def log(self) -> str:
        return (self.folder / "server.log").read_text()


@dataclass(frozen=True)
class Cluster:
    """The nodes, and what its users sign in with."""

    nodes: tuple[Node, ...]
    folder: Path
    kind: Kind
    authority: Authority

    @property
    def scheme(self) -> str:
        return "tls" if self.kind == "nkey" else "nats"

    @property
    def url(self) -> str:
        return ",".join(f"{self.scheme}://127.0.0.1:{node.client_port}" for node in self.nodes)

    def settings(self, user: str, base: BusSettings | None = None) -> BusSettings:
        """``base`` pointed at this cluster as ``user``, with three replicas."""
        key = self.folder / "secrets" / secrets.of_user(user) / secrets.KEYS[self.kind]
        own = {"nats_nkey_file" if self.kind == "nkey" else "nats_password_file": key}
        if self.scheme == "tls":
            own["nats_ca_file"] = self.nodes[0].folder / "tls" / "ca.crt"
        update = {"nats_url": self.url, "nats_user": str(user), "replicas": len(self.nodes), **own}
        return (base or BusSettings()).model_copy(update=update)

    def node(self, name: str) -> Node:
        return next(node for node in self.nodes if node.name == name)

    async def ready(self) -> None:
        """
        Raises:
            AssertionError: they did not find each other in time; the text has the end of their logs.
        """
        try:
            async with asyncio.timeout(READY_TIMEOUT_S):
                while not all([await node.healthy() for node in self.nodes]):
                    await asyncio.sleep(0.05)
        except TimeoutError:
            ends = "\n".join(f"{node.name}: {node.log()[-1000:]}" for node in self.nodes)
            raise AssertionError(f"the cluster was not ready:\n{ends}") from None


@asynccontextmanager
async def one_node(folder: Path, kind: Kind = "nkey") -> AsyncIterator[Cluster]:
    """A server that waits for the others of its cluster: it lets in who signs in, and has no streams yet."""
    async with _nodes(folder, 1, kind) as server:
        yield server


@asynccontextmanager
async def cluster(folder: Path) -> AsyncIterator[Cluster]:
    async with _nodes(folder, NODES, "nkey") as servers:
        await servers.ready()
        yield servers


@asynccontextmanager
async def _nodes(folder: Path, count: int, kind: Kind) -> AsyncIterator[Cluster]:
    """By keys and TLS, or, with passwords, without TLS as docker-compose.yml has it."""
    ports = _free_ports(3 * count)
    nodes = tuple(Node(f"nats-{n}", folder / f"nats-{n}", *ports[3 * n : 3 * n + 3]) for n in range(count))
    routes = [f"127.0.0.1:{node.cluster_port}" for node in nodes]
    found = secrets.completed({}, kind, secrets.fresh, routes)
    secrets.write(folder / "secrets", found)
    authority = Authority()
    for node in nodes:
        node.write(found, authority)
    servers = Cluster(nodes, folder, kind, authority)
    try:
        for node in nodes:
            await node.start("production.conf" if kind == "nkey" else "server.conf")
        async with asyncio.timeout(READY_TIMEOUT_S):
            while not all("Server is ready" in node.log() for node in nodes):
                await asyncio.sleep(0.02)
        yield servers
    finally:
        for node in nodes:
            await node.end()


def _free_ports(count: int) -> list[int]:
    """That nobody has at the moment: each is kept until all are known."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]
    finally:
        for one in sockets:
            one.close()
