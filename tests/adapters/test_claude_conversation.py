from __future__ import annotations

from pathlib import Path

from tests.support.claude import Desk, Done, brief
from tests.support.claude_server import by_turn, call, outcome, say, serving, thinking


async def test_work_is_done_with_tools_and_ends_with_a_valid_outcome(tmp_path: Path) -> None:
    steps = by_turn(
        thinking("hm") + say("I write.") + call("write", file_path="/work/a/b.py", content="x = 1\n"),
        call("read", file_path="a/b.py") + call("glob", pattern="**/*.py"),
        call("edit", file_path="/work/a/b.py", old_string="1", new_string="2"),
        call("grep", pattern="x ="),
        call("bash", command="pwd; python -c 'print(40+2)'; echo y > c.txt; rm -f nothing"),
        outcome({"summary": "done", "files": 2}),
    )
    async with serving(steps) as server:
        desk = Desk(server)
        done = await desk.model().converse(brief(), tmp_path)

    assert done == Done(summary="done", files=2)
    assert (tmp_path / "a/b.py").read_text() == "x = 2\n"
    assert (tmp_path / "c.txt").read_text() == "y\n"
