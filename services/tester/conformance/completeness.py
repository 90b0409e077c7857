"""Every record, exactly once, around the edges of a page; for nested streams over all parents."""

from __future__ import annotations

from collections.abc import Sequence

from contracts.blueprint import JsonPath
from contracts.reports import Check
from infra.runtime.simulator import Size
from infra.runtime.simulator.plan import Count
from services.tester.conformance.bench import Bench, Run
from services.tester.conformance.binding import Bound
from services.tester.conformance.checks import requests_of, skipped, suspects_of, verdict
from services.tester.conformance.comparison import Comparison, compare, dig, key_of
from services.tester.conformance.reading import Reading, bound_of, plan_for, ran_out_of_time, read_all, too_slow

KIND = "completeness"
USUAL_PAGE_SIZE = 200
"""Where the document leaves it open: many records need not take a thousand requests."""

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
PARENTS = len(DEALT)
DEEP_PARENTS = 3
"""Records of the parents: as many as there are sizes where there is one level of them. Deeper, where lists
multiply, fewer: three with two above them, which is enough to tell the levels apart."""


async def read_size(bench: Bench, case: str, streams: Sequence[Bound]) -> list[Reading]:
    """All streams without parents in one run, with as many records as `SIZES` says."""
    return await _read(bench, case, streams, SIZES[case], 3)


async def read_nested(bench: Bench, streams: Sequence[Bound]) -> list[Reading]:
    """All streams of one depth in one run: their sizes differ from parent to parent."""
    return await _read(bench, NESTED, streams, DEALT, PARENTS if streams[0].depth == 1 else DEEP_PARENTS)


async def _read(bench: Bench, case: str, streams: Sequence[Bound], count: Count, parents: int) -> list[Reading]:
    return await read_all(
        bench, case, streams, lambda some: plan_for(bench, some, count, parents=parents), parents=parents
    )


def judge(reading: Reading, one: Bound) -> list[Check]:
    """Completeness of one stream in one run, and that its primary keys are unique. CPU work: for a thread."""
    run = reading.run
    comparison = compared(run, one)
    if ran_out_of_time(run, one) and not comparison.repeated and not comparison.strange:
        return [too_slow(run, one, reading.case)]
    checks = [_complete(run, one, reading.case, comparison)]
    key = one.catalog.get("source_defined_primary_key") or []
    if reading.case in ("page+1", NESTED) and key and _is_unique(one, key):
        checks.append(_key_is_unique(run, one, key))
    if reading.case == NESTED and one.endpoint.records.field:
        checks.append(_names_its_parents(run, one))
    return checks


def _complete(run: Run, one: Bound, case: str, comparison: Comparison) -> Check:
    transcript = run.transcript
    said = "" if transcript.completed(one.name) else f"; it is not COMPLETE, the connector {run.ended}"
    words = transcript.complaint_about(one.name) if said else ""
    complaint = f": {words}" if words else ""
    return verdict(
        comparison.exact and not said,
        KIND,
        one.name,
        case,
        f"{comparison.words}{said}{complaint}",
        suspects=suspects_of(comparison, run, one),
        observed=f"{comparison.words}; {requests_of(run, one)}",
    )


async def read_many(bench: Bench, one: Bound) -> Run:
    """Many records of one stream, below a single parent if it is nested."""
    many = bench.pace.many
    pages = -(-many // one.endpoint.size.default)
    plan = plan_for(bench, [one], many, parents=1, grandparents=1, usual_page_size=USUAL_PAGE_SIZE)
    bound = bound_of(bench, [one], pages, parents=1)
    return await bench.read(plan, [one.catalog], bound=bound, trimmed=identity_of(one))


def judge_many(run: Run, one: Bound, many: int) -> Check:
    """Time may run out where the connector keeps to a slow rate: what came until then is looked at. CPU work."""
    comparison = compared(run, one)
    if ran_out_of_time(run, one) and not comparison.repeated and not comparison.strange:
        return skipped(KIND, one.name, str(many), f"time was up at {comparison.words}, each of them once")
    return _complete(run, one, str(many), comparison)


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


def _names_its_parents(run: Run, one: Bound) -> Check:
    """Whether records have what they repeat of their parents: their identity alone does not tell."""
    identity = identity_of(one)
    repeated = [binding.record_field for binding in one.endpoint.bindings if binding.record_field]
    expected = {
        key_of(record, identity): record for record in run.simulator.expected(one.endpoint.key, via=one.via)
    }
    records = run.transcript.of(one.name)
    pairs = [(record, expected[key]) for record in records if (key := key_of(record, identity)) in expected]
    wrong = sum(any(str(dig(a, path)) != str(dig(b, path)) for path in repeated) for a, b in pairs)
    return verdict(
        not wrong,
        "primary_key",
        one.name,
        "parents",
        f"of {len(pairs)} records {wrong} name another parent than the one that they are of",
        suspects=("selector", "parent"),
        observed=f"{len(pairs)} records",
    )


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
