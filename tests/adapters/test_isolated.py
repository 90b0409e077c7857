"""A real child process: results, errors, limits, no survivors."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import psutil
import pytest

from contracts.errors import ConnectorsError, Permanent, Rejected, Transient
from infra.runtime.isolated import MIB, run_isolated
from tests.support import hostile

OTHERS: set[int] = set()


@pytest.fixture(autouse=True)
def others() -> None:
    """Servers that other tests of this process share are not ours."""
    OTHERS.clear()
    OTHERS.update(child.pid for child in psutil.Process().children(recursive=True))


def children() -> list[psutil.Process]:
    return [child for child in psutil.Process().children(recursive=True) if not is_another(child)]


def is_another(child: psutil.Process) -> bool:
    """A server of other tests, or one of the workers that it starts whenever it likes."""
    try:
        return not OTHERS.isdisjoint({child.pid, *(parent.pid for parent in child.parents())})
    except psutil.NoSuchProcess:  # it has ended meanwhile
        return True


async def test_result_comes_back_as_plain_values() -> None:
    found = await run_isolated(hostile.echo, b"\x00\xff", "\u00e4", 1, None, {"a": [1.5, True]}, (1, 2))
    assert found == [b"\x00\xff", "\u00e4", 1, None, {"a": [1.5, True]}, [1, 2]]


@pytest.mark.parametrize("kind", [Rejected, Transient, Permanent])
async def test_errors_of_the_house_come_back_as_they_were(kind: type[ConnectorsError]) -> None:
    with pytest.raises(kind) as caught:
        await run_isolated(hostile.refuse, kind.__name__)
    assert type(caught.value) is kind
    assert (caught.value.what, caught.value.where) == ("it is bad", "/a/b")


async def test_a_bug_is_permanent_and_shows_no_trace() -> None:
    with pytest.raises(Permanent, match="KeyError") as caught:
        await run_isolated(hostile.break_down)
    assert type(caught.value) is Permanent
    assert "Traceback" not in str(caught.value)


@pytest.mark.parametrize("func", [hostile.eat, hostile.eat_slowly])
async def test_too_much_memory_is_rejected(func: object) -> None:
    with pytest.raises(Rejected, match="memory"):
        await run_isolated(func, memory_bytes=400 * MIB, timeout_s=30)  # type: ignore[arg-type]


async def test_endless_recursion_ends_as_an_error() -> None:
    with pytest.raises(Permanent, match="Recursion"):
        await run_isolated(hostile.recurse)


async def test_time_is_bounded_and_nothing_is_left_running() -> None:
    started = time.perf_counter()
    with pytest.raises(Rejected, match=r"more than 1 s"):
        await run_isolated(hostile.spin, timeout_s=1)
    assert time.perf_counter() - started < 5
    assert children() == []


async def test_what_the_child_leaves_behind_is_killed_too(tmp_path: Path) -> None:
    with pytest.raises(Rejected, match="more than 1 s"):
        await run_isolated(hostile.leave_a_grandchild, str(tmp_path), timeout_s=1)
    (grandchild,) = tmp_path.iterdir()
    deadline = time.monotonic() + 5
    while (pid := int(grandchild.name)) in psutil.pids() and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < deadline
        await asyncio.sleep(0.05)


async def test_cancellation_kills_the_child() -> None:
    task = asyncio.create_task(run_isolated(hostile.wait, timeout_s=60))
    while not children():
        await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert children() == []


async def test_the_loop_goes_on_meanwhile() -> None:
    task = asyncio.create_task(run_isolated(hostile.spin, timeout_s=1))
    worst = 0.0
    while not task.done():
        before = time.perf_counter()
        await asyncio.sleep(0.01)
        worst = max(worst, time.perf_counter() - before)
    with pytest.raises(Rejected):
        task.result()
    assert worst < 0.5


@pytest.mark.parametrize("code", [0, 7])
async def test_a_child_that_vanishes_is_permanent(code: int) -> None:
    with pytest.raises(Permanent, match="ended abnormally"):
        await run_isolated(hostile.vanish, code)


async def test_an_answer_that_is_none_is_not_believed() -> None:
    with pytest.raises(Permanent, match="ended abnormally"):
        await run_isolated(hostile.lie)


async def test_the_environment_holds_no_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONNECTORS_SECRET", "s3cret")
    seen = await run_isolated(hostile.environment)
    assert "s3cret" not in str(seen)


async def test_the_child_cannot_write_files(tmp_path: Path) -> None:
    with pytest.raises(Permanent):
        await run_isolated(hostile.write_file, str(tmp_path / "x"))
    assert not (tmp_path / "x").exists() or (tmp_path / "x").stat().st_size == 0
