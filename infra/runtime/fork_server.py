"""Processes that begin with what all of them need already loaded.

FastStream, pydantic and nats-py take half a second to load: five seconds of work for the ten services of a stack
on one machine. So one process loads them, and every service is forked from it: a process of its own, whose memory
is shared with the others as far as nobody changes it. ``multiprocessing`` has such a server, too, but what that
one forked lives on when whoever asked for it is killed.

The server reads requests from stdin and answers on stdout, one JSON object a line:

    {"module": "services.router", "env": {...}, "log": "/data/logs/router.log"}  ->  {"started": 4711}
                                                            when it has ended  ->  {"ended": 4711, "code": 0}
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import importlib
import json
import os
import runpy
import selectors
import signal
import sys
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Self

from contracts.errors import Transient
from infra.runtime.processes import die_with_parent, name_process, without_keys

PRELOADED = "infra.runtime.service"


class ForkFailed(Transient):
    """Nothing was started; the next attempt makes a new server."""


class Forked:
    """One process. ``returncode`` is None while it runs, and negative after a signal, as asyncio's is."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self._over = asyncio.Event()

    def end(self, code: int) -> None:
        """Take note that it is over."""
        self.returncode = code
        self._over.set()

    async def wait(self) -> int:
        await self._over.wait()
        assert self.returncode is not None
        return self.returncode

    def send_signal(self, number: signal.Signals) -> None:
        if self.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)


class _Server:
    """One process that forks, and what it was asked for."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.over = False
        self.listening = asyncio.create_task(self._listen())
        self._asked: deque[asyncio.Future[Forked]] = deque()

    @classmethod
    async def started(cls) -> _Server:
        return cls(
            await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "infra.runtime.fork_server",
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                env=without_keys(),  # what it was started with stays readable in all that it forks
                start_new_session=True,
                preexec_fn=partial(die_with_parent, os.getpid()),
            )
        )

    async def fork(self, module: str, env: Mapping[str, str], log: Path) -> Forked:
        assert self.process.stdin is not None
        answer: asyncio.Future[Forked] = asyncio.get_running_loop().create_future()
        self._asked.append(answer)
        request = {"module": module, "env": dict(env), "log": str(log)}
        self.process.stdin.write(json.dumps(request).encode() + b"\n")
        return await answer

    async def _listen(self) -> None:
        """Until the server ends. What it forked must not go on without it: nobody would see the end of it."""
        assert self.process.stdout is not None
        forked: dict[int, Forked] = {}
        async for line in self.process.stdout:
            told = json.loads(line)
            if "started" in told:
                process = forked[told["started"]] = Forked(told["started"])
                answer = self._asked.popleft()
                if not answer.cancelled():  # what nobody waits for any more ends with the server
                    answer.set_result(process)
            else:
                forked.pop(told["ended"]).end(told["code"])
        self.over = True
        await self.process.wait()
        for process in forked.values():
            process.send_signal(signal.SIGKILL)
            process.end(-signal.SIGKILL)
        for answer in self._asked:
            if not answer.cancelled():
                answer.set_exception(ForkFailed("the process that all services are forked from ended meanwhile"))


class ForkServer:
    """Starts processes by forking; all of them end with it, and it ends with whoever made it, even by SIGKILL."""

    name = "fork-server"

    def __init__(self) -> None:
        self._server: _Server | None = None
        self._starting = asyncio.Lock()

    @property
    def pid(self) -> int | None:
        """Of the server that runs, or None."""
        return None if self._server is None or self._server.over else self._server.process.pid

    async def start(self) -> None:
        """Let a server begin to load, if none runs."""
        await self._running()

    async def wait(self) -> int:
        """The return code of the server that was started last, once it has ended."""
        assert self._server is not None
        return await self._server.process.wait()

    async def ready(self) -> bool:
        """Whether it runs: it loads while the first requests wait."""
        return self.pid is not None

    async def fork(self, module: str, env: Mapping[str, str], log: Path) -> Forked:
        """Run ``python -m module`` with ``env``, its output appended to ``log``; starts a server if none runs.

        Raises:
            ForkFailed: the server ended meanwhile.
        """
        return await (await self._running()).fork(module, env, log)

    async def _running(self) -> _Server:
        async with self._starting:
            if self._server is None or self._server.over:
                self._server = await _Server.started()
        return self._server

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        """End the server, and with it whatever still runs."""
        if self._server is not None and self._server.process.stdin is not None:
            self._server.process.stdin.close()
            await self._server.listening


# --- the server's side ------------------------------------------------------------------------------


@dataclass(frozen=True)
class Request:
    module: str
    env: dict[str, str]
    log: str


def _serve() -> Request | None:
    """Fork for every request. Returns in a child, with its request, and at the end of stdin, with None."""
    woken, wakes = os.pipe()
    os.set_blocking(woken, False)
    os.set_blocking(wakes, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(wakes)
    with selectors.DefaultSelector() as selector:
        selector.register(sys.stdin.fileno(), selectors.EVENT_READ)
        selector.register(woken, selectors.EVENT_READ)
        pending = b""
        while True:
            ready = [key.fd for key, _ in selector.select()]
            if woken in ready:
                os.read(woken, 4096)
                _reap()
            if sys.stdin.fileno() in ready:
                if not (chunk := os.read(sys.stdin.fileno(), 65536)):
                    return None
                *lines, pending = (pending + chunk).split(b"\n")
                for line in lines:
                    if (pid := os.fork()) == 0:
                        signal.set_wakeup_fd(-1)
                        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                        os.close(woken)
                        os.close(wakes)
                        return Request(**json.loads(line))
                    _tell({"started": pid})


def _reap() -> None:
    with contextlib.suppress(ChildProcessError):
        while (ended := os.waitpid(-1, os.WNOHANG))[0]:
            _tell({"ended": ended[0], "code": os.waitstatus_to_exitcode(ended[1])})


def _tell(message: dict[str, Any]) -> None:
    os.write(sys.stdout.fileno(), json.dumps(message).encode() + b"\n")


def _become(request: Request, server: int) -> None:
    """Go on as the requested module, as if it had been started by itself."""
    os.setsid()
    die_with_parent(server)
    name_process(request.module.rpartition(".")[2])
    nothing = os.open(os.devnull, os.O_RDONLY)
    log = os.open(request.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    for place, file in enumerate((nothing, log, log)):
        os.dup2(file, place)
    os.close(nothing)
    os.close(log)
    os.environ.clear()
    os.environ.update(request.env)
    sys.argv = [request.module]
    runpy.run_module(request.module, run_name="__main__", alter_sys=True)


def main() -> None:
    """Load, then fork until stdin ends."""
    importlib.import_module(PRELOADED)
    gc.freeze()  # what is loaded is never garbage: looking at it would copy its pages in each child
    server = os.getpid()
    if request := _serve():
        _become(request, server)


if __name__ == "__main__":
    main()
