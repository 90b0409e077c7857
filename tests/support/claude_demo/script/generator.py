"""The generator puts a real fault into the code; its repair loses a check; its improvement brings that back."""

from __future__ import annotations

from tests.support.claude_server import by_turn, call, outcome, say, seeing

HOME = "/workspace/src/source_sample_crm"
PAGINATION = f"{HOME}/pagination.py"

RIGHT = "ended = ended or offset - self.start >= total"
FAULT = "ended = ended or offset - self.start + len(page.records) >= total"
"""One page too early: what comes next is counted as if it had come."""

CHECK = """\
            if ended and offset - self.start < total:
                raise UndocumentedError(
                    f"{page.label}: the API has {total} records, but only {offset - self.start} came."
                )
"""
"""Where the API breaks off, somebody has to say so."""

_INDENT = " " * 12

_READING = "python -m pytest -q -p no:cacheprovider tests/test_read.py"
_OF_COMPANIES = f"{_READING} -k 'every_record and companies'"
_OF_TWO = f"{_READING} -k 'every_record and (companies or contacts)'"

GENERATE = by_turn(
    call("read", file_path="/workspace/notes/gaps.md"),
    call("glob", pattern="src/**/*.py"),
    call("read", file_path=f"{HOME}/streams.py"),
    call("read", file_path=f"{HOME}/reader.py"),
    call("read", file_path=f"{HOME}/client.py"),
    call("read", file_path=PAGINATION),
    seeing(
        RIGHT,
        say("With a total the last request can be saved: I end the slices of companies as soon as they reach it.")
        + call("edit", file_path=PAGINATION, old_string=RIGHT, new_string=FAULT),
    ),
    say("I try it.") + call("bash", command="env | sort; PYTHONPATH=src python -m source_sample_crm spec"),
    seeing(
        "connectionSpecification",
        outcome({"done": True, "summary": "Slices end as soon as they reach the total: one request less each."}),
    ),
)

FIX = by_turn(
    call("read", file_path="/workspace/notes/feedback.md"),
    seeing("companies", call("read", file_path="/workspace/notes/gaps.md")),
    call("read", file_path=f"{HOME}/streams.py"),
    call("read", file_path=f"{HOME}/reader.py"),
    call("read", file_path=f"{HOME}/client.py"),
    say("Companies come without their last page. I see it happen.") + call("bash", command=_OF_COMPANIES),
    seeing("1 failed", call("read", file_path="/workspace/tests/test_read.py")),
    call("read", file_path=f"{HOME}/sequence.py"),
    call("read", file_path=f"{HOME}/pages.py"),
    call("grep", pattern="total", path="/workspace/src", glob="*.py"),
    call("read", file_path=PAGINATION),
    seeing(
        FAULT,
        say("The slice that comes next is counted as if it had come. I count what came, and nothing else.")
        + call("edit", file_path=PAGINATION, old_string=f"{CHECK}{_INDENT}{FAULT}", new_string=f"{_INDENT}{RIGHT}"),
    ),
    call("bash", command=_OF_TWO),
    seeing("2 passed", call("grep", pattern="companies", path="/workspace/IMPLEMENTATION.md")),
    call("read", file_path="/workspace/IMPLEMENTATION.md"),
    outcome(
        {"done": True, "summary": "The end of companies was counted a page too early; now it is by what came."}
    ),
)

IMPROVE = by_turn(
    call("read", file_path="/workspace/notes/feedback.md"),
    seeing("breaks off", call("read", file_path=f"{HOME}/streams.py")),
    call("read", file_path=PAGINATION),
    call("grep", pattern="UndocumentedError", path="/workspace/src", glob="*.py"),
    seeing("UndocumentedError", call("read", file_path=f"{HOME}/completeness.py", view_range=[1, 140])),
    say("The repair lost a check. It comes back.")
    + call("edit", file_path=PAGINATION, old_string=f"{_INDENT}{RIGHT}", new_string=f"{CHECK}{_INDENT}{RIGHT}"),
    call("bash", command=_OF_TWO),
    seeing("2 passed", call("read", file_path=PAGINATION, view_range=[150, 200])),
    seeing(
        CHECK,
        outcome({"done": True, "summary": "A list that breaks off before its total is an error again."}),
    ),
)
