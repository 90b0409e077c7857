"""The rules of the protocol, on lines written by hand."""

from __future__ import annotations

import json
from typing import Any

import pytest

from contracts.reports import Isolation
from infra.runtime.sandbox import Report, Stop
from services.tester.conformance.transcript import Transcript, read

OK = Report(Isolation(kind="process"), exit_code=0)
FAILED = Report(Isolation(kind="process"), exit_code=1)


def record(stream: str = "a", **data: Any) -> bytes:
    return line(type="RECORD", record={"stream": stream, "data": data or {"id": 1}, "emitted_at": 1})


def status(value: str, stream: str = "a") -> bytes:
    content = {"stream_descriptor": {"name": stream}, "status": value}
    return line(type="TRACE", trace={"type": "STREAM_STATUS", "emitted_at": 1, "stream_status": content})


def state(count: float | None, stream: str = "a", **value: Any) -> bytes:
    content: dict[str, Any] = {"type": "STREAM", "stream": {"stream_descriptor": {"name": stream}}}
    content["stream"]["stream_state"] = value
    if count is not None:
        content["sourceStats"] = {"recordCount": count}
    return line(type="STATE", state=content)


def error(kind: str = "system_error") -> bytes:
    content = {"message": "it broke", "failure_type": kind}
    return line(type="TRACE", trace={"type": "ERROR", "emitted_at": 1, "error": content})


def line(**message: Any) -> bytes:
    return json.dumps(message).encode()


GOOD = [status("STARTED"), status("RUNNING"), record(), record(id=2), state(2.0, page=2), status("COMPLETE")]


def problems(lines: list[bytes], report: Report = OK, streams: tuple[str, ...] = ("a",)) -> list[str]:
    return [problem.text for problem in read("read", lines, report, streams).problems]


def test_a_correct_read_has_no_problems():
    assert problems(GOOD) == []


def test_what_was_said_can_be_asked_for():
    transcript = read("read", [*GOOD[:5], state(0.0, page=3), GOOD[5]], OK, ("a",))
    assert transcript.of("a") == [{"id": 1}, {"id": 2}]
    assert transcript.completed("a")
    assert [point.records for point in transcript.checkpoints] == [2, 2]
    assert transcript.final_states() == [
        {
            "type": "STREAM",
            "stream": {"stream_descriptor": {"name": "a"}, "stream_state": {"page": 3}},
            "sourceStats": {"recordCount": 0.0},
        }
    ]


def test_an_empty_stream_needs_no_running():
    assert problems([status("STARTED"), state(0.0), status("COMPLETE")]) == []


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ([b"hello", *GOOD], "is no message"),
        ([b'{"type": "RECORD"}', *GOOD], "without its content"),
        ([b'{"type": "RECORD", "record": {"stream": "a"}}', *GOOD], "is no message"),
        ([*GOOD[:2], *GOOD[3:5], state(2.0), GOOD[5]], "recordCount 2, but 1 records"),
        ([*GOOD[:4], state(None), GOOD[5]], "without recordCount"),
        ([GOOD[0], *GOOD[2:]], "the first record came after the statuses"),
        ([*GOOD, record()], "a record after COMPLETE"),
        ([*GOOD, state(0.0)], "a STATE after COMPLETE"),
        ([*GOOD, status("INCOMPLETE")], "status INCOMPLETE after"),
        ([status("COMPLETE")], "status COMPLETE after none"),
        (GOOD[:5], "the last status is RUNNING"),
        ([*GOOD[:4], GOOD[5]], "COMPLETE, with 2 records after the last STATE"),
        ([*GOOD, record("b")], "'b', which was not asked for"),
        ([line(type="STATE", state={"data": {}}), *GOOD], "not of type STREAM"),
        ([error(), *GOOD], "exit code 0"),
        ([], "status is missing"),
    ],
)
def test_a_broken_rule_is_named(lines, words):
    assert any(words in problem for problem in problems(lines)), problems(lines)


def test_failing_without_a_reason_is_a_problem():
    assert problems([], FAILED) == ["it exited with 1 without an ERROR trace that says why"]


def test_failing_with_a_reason_is_none():
    assert problems([status("STARTED"), error(), status("INCOMPLETE")], FAILED) == []


def test_what_was_killed_is_not_judged_by_its_end():
    transcript = Transcript("read", ("a",))
    transcript.feed(status("STARTED"))
    transcript.close(Report(Isolation(kind="process"), signal=9), killed=True)
    assert transcript.problems == []
    stopped = read("read", [status("STARTED")], Report(Isolation(kind="process"), stopped=Stop.WALL_TIME), ("a",))
    assert stopped.problems == []
    assert stopped.ended == "was stopped by the sandbox (wall_time)"


def test_hostile_lines_are_only_problems():
    lines = [b"[" * 100_000, b"\xff\xfe", b"null", b"1e999", b'{"type":"RECORD","record":[]}', b""]
    transcript = read("read", lines, FAILED, ())
    assert len(transcript.problems) == len(lines) + 1
    assert transcript.records == {}
