"""What a final state is worth: a second read brings exactly what changed since."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from contracts.reports import Check
from contracts.simulation import TimeFilter
from services.tester.conformance.bench import Bench, Run
from services.tester.conformance.binding import Bound
from services.tester.conformance.checks import failed, requests_of, verdict
from services.tester.conformance.comparison import Comparison, covered, dig, key_of
from services.tester.conformance.completeness import identity_of
from services.tester.conformance.reading import bound_of, has_ended, plan_for, too_slow

KIND = "incremental"
FIRST = 10
"""Records of the first read. Of simulated records some share their time with the next: the last of these ten does,
so that a read which takes only what is newer than the newest loses one."""
SECOND = 14
_DAY = re.compile(r"\b\d{4}-\d\d-\d\d(?![T ]\d)")


async def judge_incremental(bench: Bench, streams: Sequence[Bound]) -> list[Check]:
    """A read, then more records, then a read with the final state: nothing is lost, nothing old comes again."""
    catalog = [one.catalog for one in streams]
    bound = bound_of(bench, streams, pages=FIRST)
    first = await bench.read(plan_for(bench, streams, FIRST), catalog, incremental=True, bound=bound)
    state = first.transcript.final_states()
    second = await bench.read(plan_for(bench, streams, SECOND), catalog, incremental=True, state=state, bound=bound)
    return [check for one in streams for check in _judge_second(first, second, one)]


def _judge_second(first: Run, second: Run, one: Bound) -> list[Check]:
    for run in (first, second):
        if run.out_of_time and not has_ended(run, one):
            return [too_slow(run, one, KIND)]
    before, after = first.transcript.of(one.name), second.transcript.of(one.name)
    if not first.transcript.completed(one.name) or not second.transcript.completed(one.name):
        which = second if first.transcript.completed(one.name) else first
        said = which.transcript.complaint_about(one.name)
        message = f"an incremental read is not COMPLETE, the connector {which.ended}: {said}"
        return [failed(KIND, one.name, "no-loss", message, suspects=("cursor", "request"))]
    comparison = together(first, second, one, (*before, *after))
    observed = f"{len(before)} records, then {len(after)}; {requests_of(second, one)}"
    checks = [
        verdict(
            comparison.complete,
            KIND,
            one.name,
            "no-loss",
            f"after a second read with the final state: {comparison.words}",
            suspects=("cursor", "pagination"),
            observed=observed,
        )
    ]
    if one.filtered and before:
        old = 0 if asked_by_day(second, one) else _old(first, one, after)
        checks.append(
            verdict(
                old == 0,
                KIND,
                one.name,
                "only-changes",
                f"of {len(after)} records of the second read {old} had not changed since the first",
                suspects=("cursor", "request"),
                observed=observed,
            )
        )
    return checks


def _old(first: Run, one: Bound, after: Iterable[Mapping[str, Any]]) -> int:
    """How many records of the second read are older than the newest of the first: not new, and no ties either.

    Lists of one API grow by time, so what comes before the first one with the newest time is old.
    """
    by_time = next((each for each in one.endpoint.filters if _is_lower(each)), None)
    identity = identity_of(one)
    if by_time is None or identity is None:
        return 0
    old: set[str] = set()
    for records in _by_partition(first, one).values():
        newest = dig(records[-1], by_time.field)
        old.update(key_of(record, identity) for record in records if dig(record, by_time.field) != newest)
    return sum(key_of(dict(record), identity) in old for record in after)


def _by_partition(run: Run, one: Bound) -> dict[tuple[str, ...], list[dict[str, Any]]]:
    """The API's records in its order, for each value of its path variables."""
    found: dict[tuple[str, ...], list[dict[str, Any]]] = {}
    rows = run.simulator.rows(one.endpoint.key, via=one.via)
    for (values, _), record in zip(rows, run.simulator.expected(one.endpoint.key, via=one.via), strict=True):
        found.setdefault(values, []).append(record)
    return found


def _is_lower(each: TimeFilter) -> bool:
    return each.op in ("gte", "gt")


def asked_by_day(run: Run, one: Bound) -> bool:
    """Whether the connector asks for the changes of whole days: one holds all simulated records."""
    params = {each.param for each in one.endpoint.filters if _is_lower(each)}
    sent = [seen.query[param] for seen in run.asked(one.endpoint.key) for param in params & seen.query.keys()]
    return any(map(names_a_day, sent))


def names_a_day(text: str) -> bool:
    """``2021-01-05``, also within an expression, and not ``2021-01-05T10:00:00Z``."""
    return _DAY.search(text) is not None


def together(first: Run, last: Run, one: Bound, records: Iterable[dict[str, Any]]) -> Comparison:
    """Several reads against what the API held last. A run that never asked does not know the page size, on which
    the number of records may hang."""
    asked = last if last.asked(one.endpoint.key) else first
    return covered(asked.simulator.expected(one.endpoint.key, via=one.via), records, identity_of(one))
