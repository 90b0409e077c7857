"""What a state is worth: an interrupted read goes on, a second read brings what is new."""

from __future__ import annotations

import re
import signal
from collections.abc import Iterable, Sequence
from typing import Any

from airbyte_protocol.models import Type  # type: ignore[import-untyped]

from contracts.reports import Check
from infra.runtime.simulator import Size
from services.tester.conformance.bench import Bench, Run
from services.tester.conformance.binding import Bound
from services.tester.conformance.checks import failed, requests_of, skipped, verdict
from services.tester.conformance.comparison import Comparison, covered
from services.tester.conformance.completeness import bound_of, identity_of, plan_for
from services.tester.conformance.transcript import Transcript

FIRST = 12
"""Records of the first read; the second finds one in four more."""
SECOND = 15
_DAY = re.compile(r"\b\d{4}-\d\d-\d\d(?![T ]\d)")
THREE_PAGES = Size(times=3)


async def judge_incremental(bench: Bench, streams: Sequence[Bound]) -> list[Check]:
    """A read, then more records, then a read with the final state: nothing is lost, nor all read again."""
    catalog = [one.catalog for one in streams]
    bound = bound_of(bench, streams, pages=FIRST)
    first = await bench.read(plan_for(bench, streams, FIRST), catalog, incremental=True, bound=bound)
    state = first.transcript.final_states()
    second = await bench.read(plan_for(bench, streams, SECOND), catalog, incremental=True, state=state, bound=bound)
    return [check for one in streams for check in _judge_second(first, second, one)]


def _judge_second(first: Run, second: Run, one: Bound) -> list[Check]:
    before, after = first.transcript.of(one.name), second.transcript.of(one.name)
    if not first.transcript.completed(one.name) or not second.transcript.completed(one.name):
        which = second if first.transcript.completed(one.name) else first
        said = which.transcript.complaint_about(one.name)
        message = f"an incremental read is not COMPLETE, the connector {which.ended}: {said}"
        return [failed("incremental", one.name, "no-loss", message, suspects=("cursor", "request"))]
    comparison = _together(first, second, one, (*before, *after))
    checks = [
        verdict(
            comparison.complete,
            "incremental",
            one.name,
            "no-loss",
            f"after a second read with the final state: {comparison.words}",
            suspects=("cursor", "pagination"),
            observed=f"{len(before)} records, then {len(after)}; {requests_of(second, one)}",
        )
    ]
    if one.filtered and before:
        checks.append(
            verdict(
                len(after) < comparison.expected or _asked_by_day(second, one),
                "incremental",
                one.name,
                "only-changes",
                f"the second read brought all {len(after)} records again: the state was not used",
                suspects=("cursor", "request"),
                observed=f"{len(before)} records, then {len(after)}; {requests_of(second, one)}",
            )
        )
    return checks


def _asked_by_day(run: Run, one: Bound) -> bool:
    """Whether the connector asks for the changes of whole days: one holds all simulated records."""
    params = {each.param for each in one.endpoint.filters if each.op in ("gte", "gt")}
    sent = [seen.query[param] for seen in run.asked(one.endpoint.key) for param in params & seen.query.keys()]
    return any(map(names_a_day, sent))


def names_a_day(text: str) -> bool:
    """``2021-01-05``, also within an expression, and not ``2021-01-05T10:00:00Z``."""
    return _DAY.search(text) is not None


async def judge_resume(bench: Bench, streams: Sequence[Bound]) -> list[Check]:
    """Killed at a checkpoint in mid-read, started again with what it had said: the union is complete."""
    catalog = [one.catalog for one in streams]
    plan = plan_for(bench, streams, THREE_PAGES)
    bound = bound_of(bench, streams, pages=4)
    at = len(streams) // 2 + 1 if len(streams) > 1 else 1

    def kill(transcript: Transcript, kind: Type | None) -> signal.Signals | None:
        return signal.SIGKILL if kind is Type.STATE and len(transcript.checkpoints) == at else None

    first = await bench.read(plan, catalog, incremental=True, bound=bound, kill=kill)
    if not first.kept:
        return [skipped("resume", None, "killed", "it never wrote that many checkpoints")]
    states = {checkpoint.stream: checkpoint.state for checkpoint in first.kept}
    second = await bench.read(plan, catalog, incremental=True, state=list(states.values()), bound=bound)
    return [_judge_union(first, second, one) for one in streams]


def _judge_union(first: Run, second: Run, one: Bound) -> Check:
    told = [checkpoint.records for checkpoint in first.kept if checkpoint.stream == one.name]
    before = first.transcript.of(one.name)[: told[-1] if told else 0]
    after = second.transcript.of(one.name)
    comparison = _together(first, second, one, (*before, *after))
    return verdict(
        comparison.complete and second.transcript.completed(one.name),
        "resume",
        one.name,
        "killed",
        f"killed after {len(first.kept)} checkpoints and started again: {len(before)} records before the last one, "
        f"{len(after)} after it, together {comparison.words}; the second run {second.ended}. "
        f"{second.transcript.complaint_about(one.name)}",
        suspects=("pagination", "cursor"),
        observed=f"{len(before)} + {len(after)} records; {requests_of(second, one)}",
    )


def _together(first: Run, second: Run, one: Bound, records: Iterable[dict[str, Any]]) -> Comparison:
    """Several reads against what the API held last. A run that never asked does not know the page size, on which
    the number of records may hang."""
    last = second if second.asked(one.endpoint.key) else first
    return covered(last.simulator.expected(one.endpoint.key, via=one.via), records, identity_of(one))


async def judge_sigterm(bench: Bench, streams: Sequence[Bound]) -> Check:
    """Clients end a read by SIGTERM, and take exit code 0 or death by that signal."""

    def kill(_: Transcript, kind: Type | None) -> signal.Signals | None:
        return signal.SIGTERM if kind is Type.RECORD else None

    run = await bench.read(
        plan_for(bench, streams, THREE_PAGES),
        [one.catalog for one in streams],
        kill=kill,
        bound=bound_of(bench, streams),
    )
    ok = run.transcript.exit_code == 0 or run.transcript.signal == signal.SIGTERM
    message = f"sent SIGTERM in mid-read, it {run.ended}; clients take 0 or death by that signal"
    return verdict(ok, "protocol", None, "sigterm", message)
