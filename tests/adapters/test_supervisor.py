"""Real processes that die, and what starts them again."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from infra.runtime.fork_server import ForkServer
from infra.runtime.nats_server import NatsServer
from infra.runtime.stack import Child
from infra.runtime.supervisor import Backoff, Kept, Process

AT_ONCE = Backoff(waits_s=(0.01, 0.02, 0.4), steady_s=60)
NOBODY = Path("/nowhere/health.sock")


@asynccontextmanager
async def kept(process: Process, backoff: Backoff = AT_ONCE) -> AsyncIterator[tuple[Kept, list[str]]]:
    """``process``, started and kept, and what is said about it."""
    said: list[str] = []
    one = Kept(process)
    await one.start()
    keeping = asyncio.create_task(one.keep(backoff, said.append, lambda: None))
    try:
        yield one, said
        assert not keeping.done()
    finally:
        keeping.cancel()
        await asyncio.wait({keeping})


def tiny(forks: ForkServer, folder: Path) -> Child:
    env = {"TINY_WAIT_S": "60"}
    return Child("tiny", "tests.support.tiny_process", env, folder / "tiny.log", NOBODY, forks)


async def until_restarted(one: Kept, times: int = 1) -> None:
    async with asyncio.timeout(20):
        while one.info.restarts < times or one.info.state == "exited":
            await asyncio.sleep(0.01)


def kill(pid: int | None, number: signal.Signals = signal.SIGKILL) -> None:
    assert pid is not None
    os.kill(pid, number)


async def test_killed_process_is_started_again_and_it_is_said(tmp_path: Path) -> None:
    async with ForkServer() as forks, kept(child := tiny(forks, tmp_path)) as (one, said):
        first = child.pid
        kill(first)
        await until_restarted(one)
        assert child.pid != first
        assert said == ["tiny ended with SIGKILL; starting it again in 0.01 s"]
        assert (one.info.restarts, one.info.ended) == (1, "SIGKILL")


async def test_wait_grows_while_it_keeps_dying(tmp_path: Path) -> None:
    async with ForkServer() as forks:
        dying = Child("tiny", "tests.support.tiny_process", {"TINY_CODE": "3"}, tmp_path / "log", NOBODY, forks)
        async with kept(dying) as (one, said):
            await until_restarted(one, times=4)
    waits = [line.removeprefix("tiny ended with exit code 3; starting it again in ") for line in said]
    assert waits[:4] == ["0.01 s", "0.02 s", "0.4 s", "0.4 s"]


async def test_process_that_lived_long_enough_begins_anew(tmp_path: Path) -> None:
    steady_at_once = Backoff(waits_s=(0.01, 60), steady_s=0)
    async with ForkServer() as forks, kept(child := tiny(forks, tmp_path), steady_at_once) as (one, said):
        for times in (1, 2, 3):
            kill(child.pid)
            await until_restarted(one, times)
    assert {line.rpartition(" in ")[2] for line in said} == {"0.01 s"}


async def test_start_that_the_fork_server_did_not_live_to_answer_is_tried_again(tmp_path: Path) -> None:
    async with ForkServer() as forks, kept(child := tiny(forks, tmp_path)) as (one, said):
        first, server = child.pid, forks.pid
        kill(first)
        while child.pid is not None:
            await asyncio.sleep(0.001)
        kill(server, signal.SIGSTOP)
        async with asyncio.timeout(10):
            while one.info.restarts == 0:
                await asyncio.sleep(0.001)
        await asyncio.sleep(0.05)  # the request is with the server now
        kill(server)
        await until_restarted(one, times=2)
    assert [line.partition(";")[0] for line in said] == [
        "tiny ended with SIGKILL",
        "tiny could not be started (the process that all services are forked from ended meanwhile)",
    ]


async def test_killed_bus_comes_back_at_the_same_port(tmp_path: Path) -> None:
    server = NatsServer(tmp_path / "nats", sync_always=False)
    async with kept(server) as (one, said):
        before = (server.port, server.pid)
        kill(server.pid)
        await until_restarted(one)
        while not await one.probe():
            await asyncio.sleep(0.01)
        assert (server.port, said) == (before[0], ["nats-server ended with SIGKILL; starting it again in 0.01 s"])
        assert server.pid != before[1]
    await server.kill()


@pytest.mark.parametrize("obstacle", ["store", "nats.conf"])
async def test_bus_that_cannot_start_is_tried_until_it_can(tmp_path: Path, obstacle: str) -> None:
    """A file for its store's folder ends it at once; a folder for its config, and we cannot even write that."""
    server = NatsServer(tmp_path / "nats", sync_always=False)
    place, aside = tmp_path / "nats" / obstacle, tmp_path / "aside"
    async with kept(server) as (one, said):
        place.rename(aside)
        place.touch() if aside.is_dir() else place.mkdir()
        kill(server.pid)
        while len(said) < 2:
            await asyncio.sleep(0.01)
        place.unlink() if aside.is_dir() else place.rmdir()
        aside.rename(place)
        async with asyncio.timeout(20):
            while not await one.probe():
                await asyncio.sleep(0.01)
    assert "could not be started" in said[1]
    await server.kill()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends a child with its parent")
def test_child_whose_parent_died_before_it_said_so_ends_too() -> None:
    code = (
        "import os, signal, time; from infra.runtime.processes import die_with_parent\n"
        "parent = os.getpid()\n"
        "if os.fork():\n"
        "    os.kill(parent, signal.SIGKILL)\n"
        "while os.getppid() == parent: time.sleep(0.01)\n"
        "die_with_parent(parent)\n"
        "print('an orphan that nobody ends')"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=20, check=False)
    assert (ran.returncode, ran.stdout) == (-signal.SIGKILL, "")
