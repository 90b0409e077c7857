"""An agent as a process of its own, and questions to it."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from contracts.services import Service
from infra.runtime.nats_server import NatsServer

ROOT = Path(__file__).parents[2]


class Process:
    """A tiny agent and what it logs."""

    def __init__(self, process: asyncio.subprocess.Process, log: Path) -> None:
        self.process = process
        self._log = log

    @property
    def log(self) -> str:
        return self._log.read_text()

    async def says(self, text: str, *, timeout_s: float = 10.0) -> None:
        try:
            await until(lambda: text in self.log, timeout_s=timeout_s)
        except TimeoutError:
            raise AssertionError(f"never said {text!r}: {self.log}") from None

    async def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return await asyncio.wait_for(self.process.wait(), 5)


async def until(true: Callable[[], bool], *, timeout_s: float = 10.0) -> None:
    async with asyncio.timeout(timeout_s):
        while not true():
            await asyncio.sleep(0.01)


@asynccontextmanager
async def tiny_agent(
    folder: Path, server: NatsServer | Mapping[str, str], **environment: str
) -> AsyncIterator[Process]:
    """``server``: the bus, or the environment in which the agent finds it."""
    log = folder / "agent.log"
    bus = server.environment(Service.RESEARCH) if isinstance(server, NatsServer) else server
    settings = {"CONNECTORS_DATA_DIR": str(folder), **bus, **environment}
    with log.open("wb") as file:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "tests.support.tiny_agent",
            str(folder),
            cwd=ROOT,
            env={"PATH": os.environ["PATH"], **settings},
            stderr=file,
        )
    try:
        yield Process(process, log)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def ask(socket: Path, path: str) -> tuple[int, dict[str, object]]:
    status, body = await get(socket, path)
    return status, json.loads(body)


async def get(socket: Path, path: str) -> tuple[int, str]:
    """The status and the body of an answer of a process's health."""
    reader, writer = await asyncio.open_unix_connection(socket)
    writer.write(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    head, _, body = (await reader.read()).partition(b"\r\n\r\n")
    writer.close()
    return int(head.split()[1]), body.decode()


async def eventually(question: Callable[[], Awaitable[tuple[int, object]]], status: int) -> None:
    async with asyncio.timeout(10):
        while (await question())[0] != status:
            await asyncio.sleep(0.05)
