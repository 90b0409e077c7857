"""Whom a read that was stopped can judge, and who has to be read again."""

from __future__ import annotations

from pathlib import Path
from typing import cast

from contracts.reports import Isolation
from infra.runtime.sandbox import Stop
from infra.runtime.simulator import Seen, Simulator
from services.tester.conformance.bench import Bench, Pace, Run, Subject
from services.tester.conformance.binding import Bound
from services.tester.conformance.reading import settled, too_slow
from services.tester.conformance.transcript import Transcript
from tests.support import tiny_connector


class Counted:
    """As much of a simulator as is asked here: who was asked how often."""

    def __init__(self, **times: int) -> None:
        self.requests = [
            Seen(n, "GET", "/", tiny_connector.ENDPOINTS[name], 200) for name, n in times.items() for _ in range(n)
        ]


def bench() -> Bench:
    confined = Isolation(kind="process")
    return Bench(Subject(Path(), ()), tiny_connector.api(), Path(), confined, Pace(slack=20))


def streams() -> list[Bound]:
    api = tiny_connector.api()
    return [Bound(name, {}, api.endpoints[tiny_connector.ENDPOINTS[name]], 0) for name in ("contacts", "deals")]


def run(*ended: str, stopped: Stop | None = None, runaway: bool = False, **times: int) -> Run:
    statuses = {name: ["STARTED", "COMPLETE" if name in ended else "RUNNING"] for name in ("contacts", "deals")}
    transcript = Transcript("read", statuses=statuses, stopped=stopped)
    return Run(transcript, cast(Simulator, Counted(**times)), runaway)


def names(found: list[Bound]) -> list[str]:
    return [one.name for one in found]


def test_time_that_ran_out_judges_only_those_that_had_ended() -> None:
    slow = run("contacts", stopped=Stop.WALL_TIME, deals=900)
    assert names(settled(bench(), slow, streams(), 2, 3)) == ["contacts"]
    assert names(settled(bench(), run(stopped=Stop.WALL_TIME), streams(), 2, 3)) == []


def test_who_asked_without_end_is_judged_and_the_others_are_read_again() -> None:
    assert names(settled(bench(), run(runaway=True, contacts=3, deals=500), streams(), 2, 3)) == ["deals"]
    assert names(settled(bench(), run(runaway=True, contacts=30, deals=30), streams(), 2, 3)) == []


def test_a_stream_read_alone_is_judged_whatever_happened() -> None:
    alone = streams()[:1]
    assert settled(bench(), run(stopped=Stop.WALL_TIME), alone, 2, 3) == alone


def test_too_slow_blames_neither_stream_nor_decision() -> None:
    check = too_slow(run(stopped=Stop.WALL_TIME, contacts=4), streams()[0], "page+1")
    assert (check.stream, check.suspects) == (None, ())
    assert check.id == "termination/connector/time-contacts"
    assert "4 requests" in check.message
