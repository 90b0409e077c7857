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
from pathlib import Path
from typing import Any, Self

from contracts.errors import Permanent
from infra.runtime.processes import die_with_parent, name_process

PRELOADED = "infra.runtime.service"


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


class ForkServer:
    """Starts processes by forking; all of them end with it, and it ends with whoever made it, even by SIGKILL."""

    def __init__(self) -> None:
        self._server: asyncio.subprocess.Process | None = None
        self._listening: asyncio.Task[None] | None = None
        self._asked: deque[asyncio.Future[Forked]] = deque()
        self._starting = asyncio.Lock()

    async def start(self, module: str, env: Mapping[str, str], log: Path) -> Forked:
        """Run ``python -m module`` with ``env``, its output appended to ``log``.

        Raises:
            Permanent: the server ended meanwhile.
        """
        async with self._starting:
            server = await self._running()
        assert server.stdin is not None
        answer: asyncio.Future[Forked] = asyncio.get_running_loop().create_future()
        self._asked.append(answer)
        server.stdin.write(json.dumps({"module": module, "env": dict(env), "log": str(log)}).encode() + b"\n")
        return await answer

    async def _running(self) -> asyncio.subprocess.Process:
        if self._server is None or self._server.returncode is not None:
            self._server = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "infra.runtime.fork_server",
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                start_new_session=True,
                preexec_fn=die_with_parent,
            )
            self._listening = asyncio.create_task(self._listen(self._server))
        return self._server

    async def _listen(self, server: asyncio.subprocess.Process) -> None:
        """Until the server ends. What it forked must not go on without it: nobody would see the end of it."""
        assert server.stdout is not None
        forked: dict[int, Forked] = {}
        async for line in server.stdout:
            told = json.loads(line)
            if "started" in told:
                process = forked[told["started"]] = Forked(told["started"])
                answer = self._asked.popleft()
                if not answer.cancelled():  # what nobody waits for any more ends with the server
                    answer.set_result(process)
            else:
                forked.pop(told["ended"]).end(told["code"])
        await server.wait()
        for process in forked.values():
            process.send_signal(signal.SIGKILL)
            process.end(-signal.SIGKILL)
        for answer in self._asked:
            if not answer.cancelled():
                answer.set_exception(Permanent("the process that all services are forked from ended"))
        self._asked.clear()

    async def __aenter__(self) -> Self:
        """Let it begin to load."""
        await self._running()
        return self

    async def __aexit__(self, *_: object) -> None:
        """End the server, and with it whatever still runs."""
        if self._server is not None and self._server.stdin is not None:
            self._server.stdin.close()
        if self._listening is not None:
            await self._listening


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


def _become(request: Request) -> None:
    """Go on as the requested module, as if it had been started by itself."""
    os.setsid()
    die_with_parent()
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
    if request := _serve():
        _become(request)


if __name__ == "__main__":
    main()
