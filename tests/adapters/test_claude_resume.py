"""No token is paid twice: a worker is killed again and again, and the next one goes on where it was."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from infra.runtime.claude.ledger import MemoryTurns
from infra.runtime.trees import read_tree
from tests.support.claude import Desk, Done, brief
from tests.support.claude_server import Reply, by_turn, call, outcome, serving

pytestmark = pytest.mark.filterwarnings("ignore:Tool .* not found in tool runner")


class Killed(BaseException):
    """As a worker's end: nothing catches it."""


class KillingTurns:
    """A ledger in which each place kills the worker once: the first one after it is written, the second one before,
    and so on."""

    def __init__(self) -> None:
        self._turns = MemoryTurns()
        self._seen: dict[str, bool] = {}

    async def get(self, subject: str) -> bytes | None:
        return await self._turns.get(subject)

    async def put(self, subject: str, content: bytes) -> bytes:
        if subject in self._seen:
            return await self._turns.put(subject, content)
        self._seen[subject] = before = len(self._seen) % 2 == 1
        if not before:
            await self._turns.put(subject, content)
        raise Killed

    @property
    def lost_replies(self) -> int:
        """Those that were in flight when their worker died."""
        return sum(before for subject, before in self._seen.items() if subject.count(".") == 2)


def long_work() -> list[Reply]:
    steps = [call("write", file_path=f"/workspace/pkg/m{n}.py", content=f"VALUE = {n}\n") for n in range(6)]
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


async def test_each_turn_and_each_effect_may_be_the_last_of_its_worker(tmp_path: Path) -> None:
    steps = long_work()
    async with serving(by_turn(*steps)) as server:
        whole, _, tree = await until_done(Desk(server), lambda n: tmp_path / f"whole-{n}")
        assert len(server.requests) == len(steps) > 20

    async with serving(by_turn(*steps)) as server:
        turns = KillingTurns()
        desk = Desk(server, turns=turns)
        done, deaths, resumed = await until_done(desk, lambda n: tmp_path / f"killed-{n}")

    effects = 6 + 5 + 3 + 3 + 1 + 1 + 5
    assert deaths == len(steps) + effects
    assert len(server.requests) == len(steps) + turns.lost_replies
    assert 0 < turns.lost_replies < len(steps)
    assert (done, resumed) == (whole, tree)
    assert desk.accounts.account.total.turns == len(steps)
    assert desk.accounts.account.reserved == {}
