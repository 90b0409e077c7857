"""Every service in several processes on one real bus, as a cluster runs them: started, killed, rolled one by one.

async with running_fleet(config) as fleet:
    await fleet.scale(2)                        # of every service
    await fleet.roll(Service.ROUTER)            # a new one beside each old one, which ends when that is ready
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import tempfile
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

import httpx2

from contracts.services import Service
from infra.runtime.fork_server import ForkServer
from infra.runtime.nats_server import NatsServer
from infra.runtime.stack import Child, StackConfig, free_port, service_environments

READY_TIMEOUT_S = 60.0
STOP_LIMIT_S = 8.0
"""A process that was told to end is gone by then: less than a pod's grace period."""

ROOT = Path(__file__).parents[2]


@dataclass(eq=False)
class Replica:
    """One process of a service; ``url`` is a gateway's."""

    service: Service
    child: Child
    url: str = ""
    stop_s: float | None = None

    async def stop(self) -> None:
        """As Kubernetes ends a pod: SIGTERM, and wait."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        os.kill(self.pid, signal.SIGTERM)
        code = await asyncio.wait_for(self.child.wait(), STOP_LIMIT_S)
        self.stop_s = loop.time() - began
        assert code == 0, f"{self.child.name} ended with {code}:\n{self.child.last_words(20)}"

    async def kill(self) -> None:
        os.kill(self.pid, signal.SIGKILL)
        await self.child.wait()

    @property
    def pid(self) -> int:
        assert self.child.pid is not None, f"{self.child.name} has ended:\n{self.child.last_words(20)}"
        return self.child.pid


@dataclass
class Fleet:
    """What runs, oldest first. ``stopped`` are those that were told to end."""

    config: StackConfig
    nats: NatsServer
    sockets: Path
    forks: ForkServer
    replicas: list[Replica] = field(default_factory=list)
    stopped: list[Replica] = field(default_factory=list)
    _numbers: Iterable[int] = field(default_factory=count)

    def of(self, *services: Service) -> list[Replica]:
        return [replica for replica in self.replicas if replica.service in services]

    async def scale(self, replicas: int, services: Collection[Service] = tuple(Service)) -> None:
        """So many more of each of ``services``, all ready."""
        await asyncio.gather(*(self.start(service) for service in services for _ in range(replicas)))

    async def start(self, service: Service) -> Replica:
        """One more, once it is ready."""
        replica = self._made(service)
        await replica.child.start()
        async with asyncio.timeout(READY_TIMEOUT_S):
            while not await replica.child.ready():
                assert replica.child.pid, f"{replica.child.name} ended:\n{replica.child.last_words(20)}"
                await asyncio.sleep(0.05)
        self.replicas.append(replica)
        return replica

    def _made(self, service: Service) -> Replica:
        number = next(iter(self._numbers))
        port = free_port(self.config.host, 0)
        env = service_environments(self.config, self.nats, port)[service]
        name = f"{service}-{number}"
        health: Path | int = port if service is Service.GATEWAY else self.sockets / f"{name}.sock"
        if isinstance(health, Path):
            env["CONNECTORS_HEALTH_SOCKET"] = str(health)
        log = self.config.data / "logs" / f"{name}.log"
        child = Child(name, self.config.module(service), env, log, health, self.forks)
        return Replica(service, child, f"http://127.0.0.1:{port}" if service is Service.GATEWAY else "")

    async def roll(self, *services: Service, together_s: float = 0) -> None:
        """Each process of ``services`` gives way to a new one, as with ``maxSurge: 1``, ``maxUnavailable: 0``. Both
        are at work side by side for ``together_s``."""

        async def one(old: Replica) -> None:
            await self.start(old.service)
            await asyncio.sleep(together_s)
            await self.stop(old)

        await asyncio.gather(*(one(old) for old in self.of(*services)))

    async def stop(self, replica: Replica) -> None:
        self.replicas.remove(replica)
        self.stopped.append(replica)
        await replica.stop()

    async def kill(self, replica: Replica) -> None:
        self.replicas.remove(replica)
        await replica.kill()

    @asynccontextmanager
    async def release(self, code: Path) -> AsyncIterator[None]:
        """What is started inside runs the code in the folder ``code``, and has ended afterwards."""
        forks, before = self.forks, list(self.replicas)
        async with _forking(code) as self.forks:
            yield
            inside = [replica for replica in self.replicas if replica not in before]
            await asyncio.gather(*(self.stop(replica) for replica in inside))
        self.forks = forks

    def client(self) -> httpx2.AsyncClient:
        """Of whatever gateway is there: each request goes to the next one."""
        return httpx2.AsyncClient(
            base_url="http://gateway", transport=_InTurn(lambda: [one.url for one in self.of(Service.GATEWAY)])
        )


class _InTurn(httpx2.AsyncBaseTransport):
    """Without connections that are kept: a gateway that was killed leaves them half open."""

    def __init__(self, urls: Callable[[], Sequence[str]]) -> None:
        self._urls = urls
        self._numbers = count()
        self._http = httpx2.AsyncHTTPTransport(limits=httpx2.Limits(max_keepalive_connections=0))

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        if not (urls := self._urls()):
            raise httpx2.ConnectError("no gateway is there", request=request)
        chosen = httpx2.URL(urls[next(self._numbers) % len(urls)])
        request.url = request.url.copy_with(scheme=chosen.scheme, host=chosen.host, port=chosen.port)
        request.headers["Host"] = chosen.netloc.decode()
        return await self._http.handle_async_request(request)

    async def aclose(self) -> None:
        await self._http.aclose()


@asynccontextmanager
async def _forking(code: Path) -> AsyncIterator[ForkServer]:
    """``python -m`` finds the code of the folder that it is started in before any that is installed."""
    forks = ForkServer()
    with contextlib.chdir(code):
        await forks.start()
    async with forks:
        yield forks


@asynccontextmanager
async def running_fleet(config: StackConfig, code: Path = ROOT) -> AsyncIterator[Fleet]:
    """A bus and a way to start processes on it that run the code in the folder ``code``; all of them end with the
    context."""
    (config.data / "logs").mkdir(parents=True)
    async with _forking(code) as forks, NatsServer(config.data / "nats", sync_always=False).running() as nats:
        sockets = Path(tempfile.mkdtemp(prefix="fleet-"))
        try:
            yield Fleet(config, nats, sockets, forks)
        finally:
            shutil.rmtree(sockets)
