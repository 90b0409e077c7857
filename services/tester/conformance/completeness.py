"""Every record, exactly once, around the edges of a page; for nested streams over all parents."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from contracts.blueprint import JsonPath
from contracts.reports import Check
from infra.runtime.simulator import Plan, Size
from infra.runtime.simulator.plan import Count
from services.tester.conformance.bench import Bench, Run
from services.tester.conformance.binding import Bound, ancestors
from services.tester.conformance.checks import requests_of, suspects_of, verdict
from services.tester.conformance.comparison import Comparison, compare, dig

KIND = "completeness"
SIZES: dict[str, int | Size] = {
    "0": 0,
    "1": 1,
    "page-1": Size(plus=-1),
    "page": Size(),
    "page+1": Size(plus=1),
    "3-pages": Size(times=3),
}
DEALT: tuple[int | Size, ...] = (Size(plus=1), 0, Size(), 1, Size(plus=-1))
"""The sizes of nested streams: one after the other over the parents."""

NESTED = "over-parents"
SLACK_FACTOR = 10
PARENTS = len(DEALT)
DEEP_PARENTS = 3
GRANDPARENTS = 2
"""Records of the parents: as many as there are sizes where there is one level of them. Deeper, where lists
multiply, fewer: three with two above them, which is enough to tell the levels apart."""

RESTARTS = 6


@dataclass(frozen=True)
class Reading:
    """One run with the streams that it is to judge."""

    case: str
    run: Run
    streams: tuple[Bound, ...]


def plan_for(bench: Bench, streams: Iterable[Bound], count: Count, *, parents: int = 3, **knobs: object) -> Plan:
    """``count`` records in the endpoints of ``streams``, ``parents`` in those right above, a few further up."""
    streams = list(streams)
    above = {key for one in streams for key in (*ancestors(one.endpoint, bench.api), *one.reads_first)}
    right_above = {s.endpoint for one in streams for b in one.endpoint.bindings for s in b.sources}
    alone = {key for one in streams for key in one.query_parents}
    return Plan(
        records=count,
        counts={
            **dict.fromkeys(above, GRANDPARENTS),
            **dict.fromkeys(right_above, parents),
            **dict.fromkeys(alone, 1),
        },
        secrets=bench.accepted(),
        variables=bench.variables,
        **knobs,  # type: ignore[arg-type]
    )


def bound_of(bench: Bench, streams: Iterable[Bound], pages: int = 2, parents: int = 3) -> int:
    """How many requests a read may take before it is called endless: ten times what it needs, and some."""
    needed = 0
    for one in streams:
        lists = [GRANDPARENTS**level for level in range(one.depth)]
        needed += sum(lists) * 2 + (lists[-1] * parents if lists else 1) * (pages + 1)
    return bench.pace.slack + SLACK_FACTOR * needed


async def read_sizes(bench: Bench, streams: Sequence[Bound]) -> list[Reading]:
    """All streams without parents in one run per size."""
    runs = await asyncio.gather(*(_read(bench, case, streams, count, 3) for case, count in SIZES.items()))
    return [reading for readings in runs for reading in readings]


async def read_nested(bench: Bench, streams: Sequence[Bound]) -> list[Reading]:
    """All streams of one depth in one run: their sizes differ from parent to parent."""
    return await _read(bench, NESTED, streams, DEALT, PARENTS if streams[0].depth == 1 else DEEP_PARENTS)


async def _read(bench: Bench, case: str, streams: Sequence[Bound], count: Count, parents: int) -> list[Reading]:
    """One run, and where it had to be killed another with the streams that it had not begun: one that never ends
    is not to be the fault of the next."""
    readings: list[Reading] = []
    left = list(streams)
    for _ in range(RESTARTS):
        run = await bench.read(
            plan_for(bench, left, count, parents=parents),
            [one.catalog for one in left],
            bound=bound_of(bench, left, parents=parents),
        )
        begun = [one for one in left if one.name in run.transcript.statuses]
        waiting = [one for one in left if one.name not in run.transcript.statuses]
        if run.finished or not begun or not waiting:
            return [*readings, Reading(case, run, tuple(left))]
        readings.append(Reading(case, run, tuple(begun)))
        left = waiting
    return [*readings, Reading(case, run, tuple(left))]


def judge(reading: Reading, one: Bound) -> list[Check]:
    """Completeness of one stream in one run, and that its primary keys are unique."""
    run = reading.run
    comparison = compared(run, one)
    transcript = run.transcript
    said = "" if transcript.completed(one.name) else f"; it is not COMPLETE, the connector {run.ended}"
    words = transcript.complaint_about(one.name) if said else ""
    complaint = f": {words}" if words else ""
    checks = [
        verdict(
            comparison.exact and not said,
            KIND,
            one.name,
            reading.case,
            f"{comparison.words}{said}{complaint}",
            suspects=suspects_of(comparison, run, one),
            observed=f"{comparison.words}; {requests_of(run, one)}",
        )
    ]
    key = one.catalog.get("source_defined_primary_key") or []
    if reading.case in ("page+1", NESTED) and key and _is_unique(one, key):
        checks.append(_key_is_unique(run, one, key))
    return checks


def compared(run: Run, one: Bound) -> Comparison:
    """What the stream emitted against what a complete read yields."""
    expected = run.simulator.expected(one.endpoint.key, via=one.via)
    return compare(expected, run.transcript.of(one.name), identity_of(one))


def identity_of(one: Bound) -> JsonPath | None:
    identities = one.endpoint.records.identity
    return identities[0] if identities else None


def _is_unique(one: Bound, key: list[list[str]]) -> bool:
    """Whether the simulated records are told apart by this key at all."""
    return any(tuple(path) in one.endpoint.records.identity for path in key)


def _key_is_unique(run: Run, one: Bound, key: list[list[str]]) -> Check:
    values = [tuple(dig(record, path) for path in key) for record in run.transcript.of(one.name)]
    empty = sum(None in value for value in values)
    repeated = len(values) - len({str(value) for value in values})
    return verdict(
        not empty and not repeated,
        "primary_key",
        one.name,
        "unique",
        f"of {len(values)} records {repeated} repeat the primary key {key}, {empty} have none",
        suspects=("primary_key", "pagination", "selector"),
        observed=f"{len(values)} records, key {key}",
    )
