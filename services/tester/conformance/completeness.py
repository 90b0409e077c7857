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
PARENTS = 4
GRANDPARENTS = 2
"""Records of each parent, where there is one level of them and where there are more: two tell the levels apart, and
three levels are still only eight lists. Pages of a thousand records make more of them slow."""


@dataclass(frozen=True)
class Reading:
    """One run with the streams that it is to judge."""

    case: str
    run: Run
    streams: tuple[Bound, ...]


def plan_for(bench: Bench, streams: Iterable[Bound], count: Count, *, parents: int = 3, **knobs: object) -> Plan:
    """``count`` records in the endpoints of ``streams``, a few in those of their parents."""
    streams = list(streams)
    above = {key for one in streams for key in ancestors(one.endpoint, bench.api)}
    alone = {key for one in streams for key in one.query_parents}
    return Plan(
        records=count,
        counts={**dict.fromkeys(above, parents), **dict.fromkeys(alone, 1)},
        secrets=bench.accepted(),
        variables=bench.variables,
        **knobs,  # type: ignore[arg-type]
    )


def bound_of(bench: Bench, streams: Iterable[Bound], pages: int = 2, parents: int = 3) -> int:
    """How many requests a read may take before it is called endless: ten times what it needs, and some."""
    needed = 0
    for one in streams:
        partitions = parents**one.depth
        above = sum(parents**level for level in range(one.depth))
        needed += partitions * (pages + 1) + above * 2
    return bench.pace.slack + SLACK_FACTOR * needed


async def read_sizes(bench: Bench, streams: Sequence[Bound]) -> list[Reading]:
    """All streams without parents in one run per size."""
    runs = await asyncio.gather(
        *(
            bench.read(
                plan_for(bench, streams, count),
                [one.catalog for one in streams],
                bound=bound_of(bench, streams),
            )
            for count in SIZES.values()
        )
    )
    return [Reading(case, run, tuple(streams)) for case, run in zip(SIZES, runs, strict=True)]


async def read_nested(bench: Bench, streams: Sequence[Bound]) -> list[Reading]:
    """All streams of one depth in one run: their sizes differ from parent to parent."""
    parents = PARENTS if streams[0].depth == 1 else GRANDPARENTS
    plan = plan_for(bench, streams, DEALT, parents=parents)
    run = await bench.read(plan, [one.catalog for one in streams], bound=bound_of(bench, streams, parents=parents))
    return [Reading(NESTED, run, tuple(streams))]


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
