"""Processes forked from one that has loaded what they need: each is one of its own, and none is left behind."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from infra.runtime.fork_server import ForkServer
from tests.support.stack import alive, eventually

MODULE = "tests.support.tiny_process"


def said(log: Path) -> dict[str, Any]:
    assert eventually(lambda: log.exists() and log.read_text().endswith("\n"))
    who: dict[str, Any] = json.loads(log.read_text())
    return who


async def test_a_forked_process_is_one_of_its_own(tmp_path: Path) -> None:
    async with ForkServer() as forks:
        one = await forks.fork(MODULE, {"TINY_CODE": "3"}, tmp_path / "one.log")
        assert await one.wait() == 3
    who = said(tmp_path / "one.log")
    assert who["pid"] == who["session"] == one.pid
    assert who["name"] == "tiny_process"
    assert who["env"] == {"TINY_CODE": "3"}
    assert who["loaded"]


async def test_a_models_key_is_not_even_in_what_the_server_was_started_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A forked process shows its server's first environment in /proc, whatever it has itself."""
    monkeypatch.setenv("ANTHROPIC_API_KEY", "key-of-nobody")
    async with ForkServer() as forks:
        one = await forks.fork(MODULE, {"TINY_WAIT_S": "60"}, tmp_path / "one.log")
        said(tmp_path / "one.log")
        assert b"key-of-nobody" not in Path(f"/proc/{one.pid}/environ").read_bytes()


async def test_a_killed_one_is_told_by_its_signal(tmp_path: Path) -> None:
    async with ForkServer() as forks:
        one = await forks.fork(MODULE, {"TINY_WAIT_S": "60"}, tmp_path / "one.log")
        said(tmp_path / "one.log")
        one.send_signal(signal.SIGKILL)
        assert await one.wait() == -signal.SIGKILL


async def test_what_still_runs_ends_with_the_server(tmp_path: Path) -> None:
    async with ForkServer() as forks:
        one = await forks.fork(MODULE, {"TINY_WAIT_S": "60"}, tmp_path / "one.log")
        assert one.returncode is None
    assert await one.wait() < 0
    assert eventually(lambda: not alive(one.pid))


async def test_a_start_that_is_cancelled_leaves_nothing(tmp_path: Path) -> None:
    async with ForkServer() as forks:
        starting = asyncio.create_task(forks.fork(MODULE, {"TINY_WAIT_S": "60"}, tmp_path / "one.log"))
        await asyncio.sleep(0.05)  # it is asked for, and the server still loads
        starting.cancel()
        who = await asyncio.to_thread(said, tmp_path / "one.log")
    assert eventually(lambda: not alive(who["pid"]))


async def test_after_the_server_was_killed_the_next_start_makes_a_new_one(tmp_path: Path) -> None:
    async with ForkServer() as forks:
        one = await forks.fork(MODULE, {"TINY_WAIT_S": "60"}, tmp_path / "one.log")
        os.kill(int(Path(f"/proc/{one.pid}/stat").read_text().rpartition(")")[2].split()[1]), signal.SIGKILL)
        assert await one.wait() == -signal.SIGKILL
        assert eventually(lambda: not alive(one.pid))
        assert await (await forks.fork(MODULE, {}, tmp_path / "two.log")).wait() == 0
