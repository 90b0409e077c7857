"""Paging that goes round in circles, never ends, or sends a page without records that is not the last."""

from __future__ import annotations

from collections.abc import Sequence

from contracts.reports import Check
from infra.runtime.simulator import Fault, Size
from infra.runtime.simulator.plan import FaultKind
from services.tester.conformance.bench import Bench, Run
from services.tester.conformance.binding import Bound
from services.tester.conformance.checks import failed, requests_of, skipped, suspects_of, verdict
from services.tester.conformance.completeness import compared
from services.tester.conformance.reading import has_ended, plan_for, ran_out_of_time, read_all, too_slow

KIND = "termination"
MORE_THAN_ONE_PAGE = Size(plus=1)
CASES: dict[FaultKind, str] = {"repeat_cursor": "repeated-page", "endless": "endless"}
_WORDS: dict[FaultKind, str] = {
    "repeat_cursor": "announces the same page again and again",
    "endless": "announces a next page for ever",
    "empty_page": "sends an empty page that announces another",
}


async def judge_termination(bench: Bench, streams: Sequence[Bound], kind: FaultKind) -> list[Check]:
    """It stops, soon, and never as if all were well."""
    readings = await read_all(
        bench,
        CASES[kind],
        streams,
        lambda some: plan_for(
            bench,
            some,
            MORE_THAN_ONE_PAGE,
            faults=tuple(Fault(kind, one.endpoint.key, times=None) for one in some),
        ),
        waits=True,
    )
    return [_terminated(reading.run, one, kind) for reading in readings for one in reading.streams]


def _terminated(run: Run, one: Bound, kind: FaultKind) -> Check:
    case = CASES[kind]
    struck = [seen for seen in run.asked(one.endpoint.key) if seen.fault == kind]
    if not struck:
        if run.asked(one.endpoint.key) or run.finished:
            return skipped(KIND, one.name, case, "this cannot happen to an API that pages like this")
        return failed(KIND, one.name, case, f"the connector {run.ended} before it came to this stream")
    if ran_out_of_time(run, one):
        return too_slow(run, one, case)
    comparison = compared(run, one)
    completed = run.transcript.completed(one.name)
    in_time = run.finished or has_ended(run, one)
    honest = comparison.exact if completed else run.transcript.exit_code != 0
    what = "with status COMPLETE" if completed else "without COMPLETE"
    return verdict(
        in_time and honest,
        KIND,
        one.name,
        case,
        f"the API {_WORDS[kind]}: it ended {what}, {comparison.words}; the connector {run.ended}",
        suspects=("pagination",),
        observed=requests_of(run, one),
    )


async def judge_empty_page(bench: Bench, streams: Sequence[Bound]) -> list[Check]:
    """A page without records that announces another: what follows must not be lost."""
    readings = await read_all(
        bench,
        "empty-page",
        streams,
        lambda some: plan_for(
            bench,
            some,
            MORE_THAN_ONE_PAGE,
            faults=tuple(Fault("empty_page", one.endpoint.key, first=2) for one in some),
        ),
        pages=3,
    )
    return [
        _not_lost(reading.run, one)
        for reading in readings
        for one in reading.streams
        if any(seen.fault == "empty_page" for seen in reading.run.asked(one.endpoint.key))
    ]


def _not_lost(run: Run, one: Bound) -> Check:
    if ran_out_of_time(run, one):
        return too_slow(run, one, "empty-page")
    comparison = compared(run, one)
    return verdict(
        comparison.exact or not run.transcript.completed(one.name),
        KIND,
        one.name,
        "empty-page",
        f"the API {_WORDS['empty_page']}: {comparison.words}, and yet COMPLETE",
        suspects=suspects_of(comparison, run, one),
        observed=requests_of(run, one),
    )
