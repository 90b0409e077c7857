"""The reviewer sees what no test does: a check that a repair took out. When it is back, nothing is objected to."""

from __future__ import annotations

from tests.support.claude_demo.script.generator import CHECK, RIGHT
from tests.support.claude_server import MessagesRequest, Reply, call, outcome

_FILE = "src/source_sample_crm/pagination.py"
_LOST = (
    "A list that breaks off before its total ends as if it were whole: Offset has to raise UndocumentedError there."
)


def review(request: MessagesRequest) -> Reply:
    """All of `src/` is read, one module after the other, as the prompt wants it."""
    if request.turn == 0:
        return call("read", file_path="/workspace/measured.txt")
    if request.turn == 1:
        return call("glob", pattern="package/src/**/*.py")
    unread = request.told[1].splitlines()[request.turn - 2 :]
    return call("read", file_path=unread[0]) if unread else _findings(request)


def _findings(request: MessagesRequest) -> Reply:
    code = next(text for text in request.told if RIGHT in text)
    if CHECK in code:
        return outcome({"findings": []})
    line = next(number for number, text in enumerate(code.splitlines(), 1) if RIGHT in text)
    finding = {"severity": "high", "message": _LOST, "file": _FILE, "line": line, "stream": "companies"}
    return outcome({"findings": [finding]})
