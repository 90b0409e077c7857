"""The tester adds a good test and a wrong one, and later mends the wrong one."""

from __future__ import annotations

from pathlib import Path

from tests.support.claude_server import by_turn, call, outcome, say, seeing

FILE = "/workspace/tests/test_by_model_ends.py"
WRONG = "assert len(read) == 100"
MENDED = 'assert len(read) == sum(len(about["records"]) for about in canned.values())'

_SIGNATURE, _SIGNATURE_MENDED = "(read: Any)", "(read: Any, canned: Any)"
_CONTENT = (Path(__file__).parent.parent / "texts" / "test_by_model_ends.txt").read_text()
_RUN = "python -m pytest -q -p no:cacheprovider tests/test_by_model_ends.py"
assert WRONG in _CONTENT

GENERATE = by_turn(
    call("read", file_path="/workspace/tests/conftest.py"),
    call("read", file_path="/workspace/tests/test_read.py"),
    call("read", file_path="/workspace/IMPLEMENTATION.md"),
    seeing("companies", call("read", file_path="/workspace/src/source_sample_crm/streams.py")),
    call("read", file_path="/workspace/src/source_sample_crm/pagination.py"),
    seeing(
        "class Offset",
        say("Nobody asks whether the very last record comes, and whether all streams together are whole.")
        + call("write", file_path=FILE, content=_CONTENT),
    ),
    call("bash", command=_RUN),
    seeing(
        "2 failed",
        outcome({"done": True, "summary": "The last company and the sum of all records; both tests fail."}),
    ),
)

FIX = by_turn(
    call("read", file_path="/workspace/notes/feedback.md"),
    seeing("hundred", call("read", file_path=FILE)),
    seeing(WRONG, call("read", file_path="/workspace/tests/conftest.py")),
    say("A hundred was a guess: the answers that are replayed say how many there are.")
    + call("edit", file_path=FILE, old_string=WRONG, new_string=MENDED)
    + call("edit", file_path=FILE, old_string=_SIGNATURE, new_string=_SIGNATURE_MENDED),
    call("bash", command=_RUN),
    seeing("2 passed", outcome({"done": True, "summary": "The sum is that of the answers that are replayed."})),
)
