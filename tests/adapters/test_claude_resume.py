"""No token is paid twice: a worker is killed again and again, and the next one goes on where it was."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from infra.runtime.claude.ledger import MemoryTurns, Turns
from infra.runtime.trees import read_tree
from tests.support.claude import Desk, Done, brief
from tests.support.claude_server import Reply, by_turn, call, outcome, serving

pytestmark = pytest.mark.filterwarnings("ignore:Tool .* not found in tool runner")


class Killed(BaseException):
    """As a worker's end: nothing catches it."""


class KillingTurns:
    """A ledger in which each place kills the worker once, after (or before) it is written."""

    def __init__(self, turns: Turns, *, before: bool) -> None:
        self._turns = turns
        self._before = before
        self._seen: set[str] = set()

    async def get(self, subject: str) -> bytes | None:
        return await self._turns.get(subject)

    async def put(self, subject: str, content: bytes) -> bytes:
        if subject in self._seen:
            return await self._turns.put(subject, content)
        self._seen.add(subject)
        if not self._before:
            await self._turns.put(subject, content)
        raise Killed


def long_work() -> list[Reply]:
    steps = [call("write", file_path=f"/work/pkg/m{n}.py", content=f"VALUE = {n}\n") for n in range(6)]
    steps += [
        call("edit", file_path=f"pkg/m{n}.py", old_string=str(n), new_string=str(n * 10)) for n in range(1, 6)
    ]
    steps += [call("glob", pattern="**/*.py") + call("read", file_path="pkg/m3.py"), call("grep", pattern="VALUE")]
    steps += [
        call("bash", command="cat pkg/*.py > all.txt; rm pkg/m0.py; wc -l all.txt")
        + call("write", file_path="late.txt", content="late")
        + call("bash", command="sed -i s/late/later/ late.txt; ls"),
        call("no_such_tool") + call("read", file_path="missing.py"),
        call("bash", command="exit 3"),
    ]
    steps += [call("write", file_path=f"notes/{n}.md", content="x" * n) for n in range(1, 6)]
    return [*steps, outcome({"summary": "done", "files": 11})]


async def until_done(desk: Desk, folder: Callable[[int], Path]) -> tuple[Done, int, dict[str, bytes]]:
    """The outcome, how many workers died on the way, and what the last one's folder held."""
    for deaths in range(200):
        workspace = folder(deaths)
        workspace.mkdir()
        (workspace / "input.txt").write_text("given")
        try:
            done = await desk.model().converse(brief(), workspace)
        except Killed:
            continue
        return done, deaths, read_tree(workspace)
    raise AssertionError("it never came to its end")


@pytest.mark.parametrize("before", [False, True], ids=["after-it-is-written", "before-it-is-written"])
async def test_each_turn_and_each_effect_may_be_the_last_of_its_worker(tmp_path: Path, before: bool) -> None:
    steps = long_work()
    async with serving(by_turn(*steps)) as server:
        whole, _, tree = await until_done(Desk(server), lambda n: tmp_path / f"whole-{n}")
        assert len(server.requests) == len(steps) > 20

    async with serving(by_turn(*steps)) as server:
        desk = Desk(server, turns=KillingTurns(MemoryTurns(), before=before))
        done, deaths, resumed = await until_done(desk, lambda n: tmp_path / f"killed-{n}")

    effects = 6 + 5 + 3 + 3 + 1 + 1 + 5
    assert deaths == len(steps) + effects
    assert len(server.requests) == len(steps) * (2 if before else 1)  # twice: one was in flight each time
    assert (done, resumed) == (whole, tree)
    assert desk.accounts.account.total.turns == len(steps)
    assert desk.accounts.account.reserved == {}
