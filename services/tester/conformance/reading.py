"""Reads several streams in one process, and again with fewer where one keeps the others from being judged.

A connector may read its streams one after the other or all at a time: what the server saw tells who is to blame.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from contracts.reports import Check
from infra.runtime.simulator import Plan
from infra.runtime.simulator.plan import Count
from services.tester.conformance.bench import Bench, Run
from services.tester.conformance.binding import Bound, ancestors
from services.tester.conformance.checks import failed

SLACK_FACTOR = 10
PARENTS = 3
GRANDPARENTS = 2
RESTARTS = 8
TERMINAL = ("COMPLETE", "INCOMPLETE")


@dataclass(frozen=True)
class Reading:
    """One run with the streams that it is to judge."""

    case: str
    run: Run
    streams: tuple[Bound, ...]


PlanFor = Callable[[Sequence[Bound]], Plan]


def plan_for(
    bench: Bench,
    streams: Iterable[Bound],
    count: Count,
    *,
    parents: int = PARENTS,
    grandparents: int = GRANDPARENTS,
    **knobs: object,
) -> Plan:
    """``count`` records in the endpoints of ``streams``, ``parents`` in those right above, ``grandparents`` in
    those further up."""
    streams = list(streams)
    above = {key for one in streams for key in (*ancestors(one.endpoint, bench.api), *one.reads_first)}
    right_above = {s.endpoint for one in streams for b in one.endpoint.bindings for s in b.sources}
    alone = {key for one in streams for key in one.query_parents}
    return Plan(
        records=count,
        counts={
            **dict.fromkeys(above, grandparents),
            **dict.fromkeys(right_above, parents),
            **dict.fromkeys(alone, 1),
        },
        secrets=bench.accepted(),
        variables=bench.variables,
        **knobs,  # type: ignore[arg-type]
    )


def bound_of(bench: Bench, streams: Iterable[Bound], pages: int = 2, parents: int = PARENTS) -> int:
    """How many requests a read may take before it is called endless: ten times what it needs, and some."""
    needed = 0
    for one in streams:
        lists = [GRANDPARENTS**level for level in range(one.depth)]
        needed += sum(lists) * 2 + (lists[-1] * parents if lists else 1) * (pages + 1)
    return bench.pace.slack + SLACK_FACTOR * needed


async def read_all(
    bench: Bench,
    case: str,
    streams: Sequence[Bound],
    plan: PlanFor,
    *,
    pages: int = 2,
    parents: int = PARENTS,
    waits: bool = False,
) -> list[Reading]:
    """One run; where it had to be stopped others with the streams that are not to blame for it, in halves where
    nobody knows who is. Each stream is in exactly one of the readings."""
    readings: list[Reading] = []
    batches = [list(streams)]
    while batches:
        batch = batches.pop()
        run = await bench.read(
            plan(batch),
            [one.catalog for one in batch],
            bound=bound_of(bench, batch, pages, parents),
            waits=waits,
        )
        judged = batch
        if not run.finished and len(readings) < RESTARTS:
            judged = settled(bench, run, batch, pages, parents)
            left = [one for one in batch if one not in judged]
            half = (len(left) + 1) // 2 if len(left) * 2 > len(batch) else len(left)
            batches += [part for part in (left[:half], left[half:]) if part]
        if judged:
            readings.append(Reading(case, run, tuple(judged)))
    return readings


def settled(bench: Bench, run: Run, batch: list[Bound], pages: int, parents: int) -> list[Bound]:
    """The streams that a run which was stopped can judge: those that had ended, and whoever asked without end."""
    if len(batch) == 1:
        return batch
    ended = [one for one in batch if has_ended(run, one)]
    if not run.runaway:
        return ended
    endless = [one for one in batch if len(run.asked(one.endpoint.key)) > bound_of(bench, [one], pages, parents)]
    return [one for one in batch if one in ended or one in endless]


def has_ended(run: Run, one: Bound) -> bool:
    """It said COMPLETE or INCOMPLETE."""
    return run.transcript.statuses.get(one.name, [])[-1:] in ([status] for status in TERMINAL)


def ran_out_of_time(run: Run, one: Bound) -> bool:
    """The run was stopped by the clock while the stream was being read, alone: nobody's fault in the blueprint."""
    return run.out_of_time and not has_ended(run, one)


def too_slow(run: Run, one: Bound, case: str) -> Check:
    """What to say then: no stream is named as the culprit, and no field suspected, for no repair can help."""
    asked, records = len(run.asked(one.endpoint.key)), len(run.transcript.of(one.name))
    message = (
        f"{one.name} ({case}), read alone, was stopped when its time was up: {asked} requests and {records} "
        "records so far; the machine is too slow or too busy, or the connector waits too long"
    )
    return failed("termination", None, f"time-{one.name}", message)
