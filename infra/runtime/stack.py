"""The embedded stack: nats-server, the nine services and the gateway, each as a process of its own.

One process starts them, keeps them running (`infra.runtime.supervisor`), writes who they are into
``<data>/stack.json``, and leaves none of them behind: children die with it, even when it is killed.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import signal
import socket
import tempfile
from collections.abc import AsyncIterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from contracts.errors import Permanent
from contracts.services import AGENTS, Service
from infra.runtime.fork_server import Forked, ForkServer
from infra.runtime.locks import try_lock
from infra.runtime.nats_server import NatsServer
from infra.runtime.processes import COLLECTOR_KEYS, MODEL_KEYS, without_keys
from infra.runtime.supervisor import POLL_S, Backoff, Kept, Process, ProcessInfo, Say

STOP_TIMEOUT_S = 5.0

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class StackConfig:
    """Where the stack keeps its data and its output, and where the gateway listens (port 0: a free one).

    ``modules`` replaces what is run for a service (default: ``services.NAME``), ``environment`` is added to what
    all services are started with.
    """

    data: Path
    output: Path
    port: int = 8002
    host: str = "127.0.0.1"
    modules: Mapping[Service, str] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)
    backoff: Backoff = field(default_factory=Backoff)

    @classmethod
    def at(cls, data: Path, output: Path, port: int = 8002) -> StackConfig:
        """The same with absolute paths, for processes that may run elsewhere."""
        return cls(data.resolve(), output.resolve(), port)

    @property
    def state_file(self) -> Path:
        return self.data / "stack.json"

    def module(self, service: Service) -> str:
        """What ``python -m`` runs for ``service``."""
        own = "gateway" if service is Service.GATEWAY else f"services.{service}"
        return self.modules.get(service, own)


class Child:
    """The process of one service."""

    def __init__(
        self, name: str, module: str, env: Mapping[str, str], log: Path, health: Path | int, forks: ForkServer
    ) -> None:
        self.name = name
        self._module = module
        self._env = env
        self._log = log
        self._health = health
        self._forks = forks
        self._process: Forked | None = None

    @property
    def pid(self) -> int | None:
        process = self._process
        return process.pid if process is not None and process.returncode is None else None

    async def start(self) -> None:
        """
        Raises:
            ForkFailed: the process that it is forked from ended meanwhile.
        """
        self._process = await self._forks.fork(self._module, self._env, self._log)

    async def wait(self) -> int:
        assert self._process is not None
        return await self._process.wait()

    async def ready(self) -> bool:
        return await _answers_ready(self._health)

    async def stop(self) -> None:
        """SIGTERM, and SIGKILL for what does not listen."""
        if self._process is None or self._process.returncode is not None:
            return
        self._process.send_signal(signal.SIGTERM)
        try:
            await asyncio.wait_for(self._process.wait(), STOP_TIMEOUT_S)
        except TimeoutError:
            self._process.send_signal(signal.SIGKILL)
            await self._process.wait()

    def last_words(self, lines: int = 5) -> str:
        """The end of its log, for an error message."""
        return "\n".join(self._log.read_text(errors="replace").splitlines()[-lines:]) if self._log.exists() else ""


class Stack:
    """The running stack: ``url`` is the gateway's. Whatever of it dies is started again."""

    def __init__(
        self, config: StackConfig, forks: ForkServer, nats: NatsServer, children: list[Child], port: int, say: Say
    ) -> None:
        self.nats = nats
        self.url = f"http://{config.host}:{port}"
        self._config = config
        self._children = children
        everything: list[Process] = [forks, nats, *children]
        self._kept = [Kept(process) for process in everything]
        self._say = say
        self._keeping: asyncio.Task[None] | None = None

    def processes(self) -> list[ProcessInfo]:
        return [kept.info for kept in self._kept]

    async def start(self, timeout_s: float = 60) -> None:
        """Start the services, wait until everything is ready, and keep it running from then on.

        Raises:
            Permanent: one of them ended, or took longer than ``timeout_s``.
        """
        await asyncio.gather(*(child.start() for child in self._children))
        try:
            async with asyncio.timeout(timeout_s):
                while not all([await kept.probe() for kept in self._kept]):
                    self._refuse_the_dead()
                    await asyncio.sleep(POLL_S)
        except TimeoutError:
            late = ", ".join(row.service for row in self.processes() if row.state != "ready")
            raise Permanent(f"not ready after {timeout_s:g} s: {late}") from None
        self._record()
        self._keeping = asyncio.create_task(self._keep(), name="supervisor")

    def _refuse_the_dead(self) -> None:
        for child in self._children:
            if child.pid is None:
                raise Permanent(f"{child.name} ended while starting:\n{child.last_words()}")

    async def _keep(self) -> None:
        async with asyncio.TaskGroup() as group:
            for kept in self._kept:
                group.create_task(kept.keep(self._config.backoff, self._say, self._record))

    async def run(self) -> None:
        """Until cancelled: the stack runs by itself, an error of its supervisor is raised here."""
        assert self._keeping is not None
        await asyncio.shield(self._keeping)

    async def stop(self) -> None:
        """Stop every service; bus and fork server end last, with their contexts."""
        if self._keeping is not None:
            self._keeping.cancel()
            await asyncio.wait({self._keeping})
        await asyncio.gather(*(child.stop() for child in self._children))
        self._config.state_file.unlink(missing_ok=True)

    def _record(self) -> None:
        """For ``connectors ps``; a full disk is no reason to end the stack."""
        state = {"url": self.url, "supervisor": os.getpid(), "processes": [asdict(p) for p in self.processes()]}
        temporary = self._config.state_file.with_suffix(".tmp")
        try:
            temporary.write_text(json.dumps(state))
            temporary.replace(self._config.state_file)
        except OSError as error:
            self._say(f"{self._config.state_file} could not be written: {error}")


async def _answers_ready(health: Path | int) -> bool:
    """``GET /readyz`` on a unix socket, or on a loopback port, answers 200."""
    try:
        async with asyncio.timeout(2):
            if isinstance(health, Path):
                reader, writer = await asyncio.open_unix_connection(health)
            else:
                reader, writer = await asyncio.open_connection("127.0.0.1", health)
            writer.write(b"GET /readyz HTTP/1.0\r\nHost: localhost\r\n\r\n")
            status = await reader.readline()
            writer.close()
    except (OSError, TimeoutError):
        return False
    return b" 200" in status


def service_environments(config: StackConfig, nats: NatsServer, port: int) -> dict[Service, dict[str, str]]:
    """What each service is started with. A model's key is for agents only, a collector's for the gateway."""
    shared = {
        **os.environ,
        **config.environment,
        "CONNECTORS_DATA_DIR": str(config.data),
        "CONNECTORS_OUTPUT_DIR": str(config.output),
        "CONNECTORS_ALLOW_LOOPBACK": "true",
        "CONNECTORS_GATEWAY_HOST": config.host,
        "CONNECTORS_GATEWAY_PORT": str(port),
    }
    keys = dict.fromkeys(AGENTS, MODEL_KEYS) | {Service.GATEWAY: COLLECTOR_KEYS}
    return {
        service: {**without_keys(shared, keep=keys.get(service)), **nats.environment(service)}
        for service in Service
    }


def _children(config: StackConfig, nats: NatsServer, port: int, sockets: Path, forks: ForkServer) -> list[Child]:
    children = []
    for service, env in service_environments(config, nats, port).items():
        health: Path | int = port if service is Service.GATEWAY else sockets / f"{service}.sock"
        if isinstance(health, Path):
            env["CONNECTORS_HEALTH_SOCKET"] = str(health)
        log = config.data / "logs" / f"{service}.log"
        children.append(Child(service.value, config.module(service), env, log, health, forks))
    return children


def _claim(config: StackConfig) -> int:
    """Lock the data folder for this supervisor; the lock ends with the process."""
    (config.data / "logs").mkdir(parents=True, exist_ok=True)
    lock = try_lock(config.data / "stack.lock")
    if lock is None:
        raise Permanent(
            "another stack runs on this data folder; stop it, or choose another with --data", where=str(config.data)
        )
    return lock


def free_port(host: str, port: int) -> int:
    """``port`` if it is free (0: any).

    Raises:
        Permanent: somebody else listens there.
    """
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise Permanent(
                f"port {port} is taken ({error.strerror}); choose another with --port", where=f"{host}:{port}"
            ) from None
        bound: int = probe.getsockname()[1]
        return bound


@contextlib.asynccontextmanager
async def running_stack(config: StackConfig, say: Say = logger.warning) -> AsyncIterator[Stack]:
    """Start the stack, wait until all of it is ready, keep it running, and stop it on the way out. ``say`` is told
    what died and is started again.

    Raises:
        Permanent: the folder or the port is taken, or a process did not become ready.
    """
    with contextlib.ExitStack() as resources:
        resources.callback(os.close, _claim(config))
        port = free_port(config.host, config.port)
        async with ForkServer() as forks, NatsServer(config.data / "nats").running() as nats:
            # A unix socket's path has at most 107 bytes, a user's data folder may have more.
            sockets = Path(resources.enter_context(tempfile.TemporaryDirectory(prefix="connectors-")))
            stack = Stack(config, forks, nats, _children(config, nats, port, sockets, forks), port, say)
            try:
                await stack.start()
                yield stack
            finally:
                await stack.stop()


def read_processes(state_file: Path) -> tuple[str | None, list[ProcessInfo]]:
    """The gateway's URL and the processes of the stack behind ``state_file``, with what is true of them now."""
    if not state_file.exists():
        return None, []
    state = json.loads(state_file.read_text())
    rows = [ProcessInfo(**row) for row in state["processes"]]
    return state["url"], [row if row.pid and _alive(row.pid) else replace(row, state="exited") for row in rows]


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
