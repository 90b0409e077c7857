"""The embedded stack: nats-server, the nine services and the gateway, each as a process of its own.

A supervisor starts them, keeps them running, writes who they are into ``<data>/stack.json``, and leaves none of
them behind: children die with it, even when it is killed.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import json
import os
import signal
import socket
import tempfile
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from contracts.errors import Permanent
from contracts.services import Service
from infra.runtime.fork_server import Forked, ForkServer
from infra.runtime.nats_server import NatsServer

STOP_TIMEOUT_S = 5.0
RESTART_BACKOFF_S = (0.5, 1, 2, 5, 10, 30)
POLL_S = 0.05

Say = Callable[[str], None]


@dataclass(frozen=True)
class StackConfig:
    """Where the stack keeps its data and its output, and where the gateway listens (port 0: a free one)."""

    data: Path
    output: Path
    port: int = 8002
    host: str = "127.0.0.1"

    @classmethod
    def at(cls, data: Path, output: Path, port: int = 8002) -> StackConfig:
        """The same with absolute paths, for processes that may run elsewhere."""
        return cls(data.resolve(), output.resolve(), port)

    @property
    def state_file(self) -> Path:
        return self.data / "stack.json"


@dataclass(frozen=True)
class ProcessInfo:
    """A row of ``connectors ps``; ``state`` is starting, ready or exited."""

    service: str
    pid: int
    state: str


class Child:
    """One process of the stack, started anew when it dies."""

    def __init__(
        self, service: Service, env: Mapping[str, str], log: Path, health: Path | int, forks: ForkServer
    ) -> None:
        self.name = service.value
        self._module = "gateway" if service is Service.GATEWAY else f"services.{service}"
        self._env = env
        self._log = log
        self._health = health
        self._forks = forks
        self.process: Forked | None = None
        self.ready = False

    async def start(self) -> None:
        self.ready = False
        self.process = await self._forks.start(self._module, self._env, self._log)

    async def probe(self) -> bool:
        """Ask the process whether it is ready; remembers a yes."""
        self.ready = self.ready or await _answers_ready(self._health)
        return self.ready

    @property
    def info(self) -> ProcessInfo:
        process = self.process
        if process is None or process.returncode is not None:
            return ProcessInfo(self.name, process.pid if process else 0, "exited")
        return ProcessInfo(self.name, process.pid, "ready" if self.ready else "starting")

    async def stop(self) -> None:
        """SIGTERM, and SIGKILL for what does not listen."""
        if self.process is None or self.process.returncode is not None:
            return
        self.process.send_signal(signal.SIGTERM)
        try:
            await asyncio.wait_for(self.process.wait(), STOP_TIMEOUT_S)
        except TimeoutError:
            self.process.send_signal(signal.SIGKILL)
            await self.process.wait()

    def last_words(self, lines: int = 5) -> str:
        """The end of its log, for an error message."""
        return "\n".join(self._log.read_text(errors="replace").splitlines()[-lines:]) if self._log.exists() else ""


class Stack:
    """The running stack: ``url`` is the gateway's."""

    def __init__(self, config: StackConfig, nats: NatsServer, children: list[Child], port: int) -> None:
        self._config = config
        self._nats = nats
        self._children = children
        self.url = f"http://{config.host}:{port}"

    def processes(self) -> list[ProcessInfo]:
        return [ProcessInfo("nats-server", self._nats.pid or 0, "ready"), *(child.info for child in self._children)]

    async def wait_ready(self, timeout_s: float = 60) -> None:
        """Until every process answers that it is ready.

        Raises:
            Permanent: one of them ended, or took longer than ``timeout_s``.
        """
        async with asyncio.timeout(timeout_s):
            while not all([await child.probe() for child in self._children]):
                for child in self._children:
                    if child.info.state == "exited":
                        raise Permanent(f"{child.name} ended while starting:\n{child.last_words()}")
                await asyncio.sleep(POLL_S)
        self._record()

    async def keep(self, say: Say) -> None:
        """Restart what dies, with a growing wait; runs until cancelled."""
        async with asyncio.TaskGroup() as group:
            for child in self._children:
                group.create_task(self._keep_one(child, say))

    async def _keep_one(self, child: Child, say: Say) -> None:
        for attempt in range(10**9):
            assert child.process is not None
            code = await child.process.wait()
            wait_s = RESTART_BACKOFF_S[min(attempt, len(RESTART_BACKOFF_S) - 1)]
            say(f"{child.name} ended with {code}; starting it again in {wait_s} s")
            self._record()
            await asyncio.sleep(wait_s)
            await child.start()
            while child.info.state == "starting" and not await child.probe():
                await asyncio.sleep(POLL_S)
            self._record()

    async def stop(self) -> None:
        """Stop every child; the bus ends last, with its context."""
        await asyncio.gather(*(child.stop() for child in self._children))
        self._config.state_file.unlink(missing_ok=True)

    def _record(self) -> None:
        state = {"url": self.url, "supervisor": os.getpid(), "processes": [asdict(p) for p in self.processes()]}
        temporary = self._config.state_file.with_suffix(".tmp")
        temporary.write_text(json.dumps(state))
        temporary.replace(self._config.state_file)


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


def _children(config: StackConfig, nats: NatsServer, port: int, sockets: Path, forks: ForkServer) -> list[Child]:
    shared = {
        **os.environ,
        "CONNECTORS_DATA_DIR": str(config.data),
        "CONNECTORS_OUTPUT_DIR": str(config.output),
        "CONNECTORS_ALLOW_LOOPBACK": "true",
        "CONNECTORS_GATEWAY_HOST": config.host,
        "CONNECTORS_GATEWAY_PORT": str(port),
    }
    children = []
    for service in Service:
        health: Path | int = port if service is Service.GATEWAY else sockets / f"{service}.sock"
        env = {**shared, **nats.environment(service)}
        if isinstance(health, Path):
            env["CONNECTORS_HEALTH_SOCKET"] = str(health)
        children.append(Child(service, env, config.data / "logs" / f"{service}.log", health, forks))
    return children


def _claim(config: StackConfig) -> int:
    """Lock the data folder for this supervisor; the lock ends with the process."""
    (config.data / "logs").mkdir(parents=True, exist_ok=True)
    lock = os.open(config.data / "stack.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        raise Permanent(
            "another stack runs on this data folder; stop it, or choose another with --data", where=str(config.data)
        ) from None
    return lock


def _free_port(host: str, port: int) -> int:
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
async def running_stack(config: StackConfig) -> AsyncIterator[Stack]:
    """Start the stack, wait until all of it is ready, and stop it on the way out.

    Raises:
        Permanent: the folder or the port is taken, or a process did not become ready.
    """
    with contextlib.ExitStack() as resources:
        resources.callback(os.close, _claim(config))
        port = _free_port(config.host, config.port)
        async with ForkServer() as forks, NatsServer(config.data / "nats").running() as nats:
            # A unix socket's path has at most 107 bytes, a user's data folder may have more.
            sockets = Path(resources.enter_context(tempfile.TemporaryDirectory(prefix="connectors-")))
            stack = Stack(config, nats, _children(config, nats, port, sockets, forks), port)
            try:
                await asyncio.gather(*(child.start() for child in stack._children))
                await stack.wait_ready()
                yield stack
            finally:
                await stack.stop()


def read_processes(state_file: Path) -> tuple[str | None, list[ProcessInfo]]:
    """The gateway's URL and the processes of the stack behind ``state_file``, with what is true of them now."""
    if not state_file.exists():
        return None, []
    state = json.loads(state_file.read_text())
    rows = [ProcessInfo(**row) for row in state["processes"]]
    return state["url"], [row if _alive(row.pid) else ProcessInfo(row.service, row.pid, "exited") for row in rows]


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
