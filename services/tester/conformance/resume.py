"""Killed in mid-read and started again with what it had said: the union is complete, and little is read twice."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from airbyte_protocol.models import Type  # type: ignore[import-untyped]

from contracts.reports import Check, Outcome
from infra.runtime.simulator import Plan, Size
from services.tester.conformance.bench import Bench, Run
from services.tester.conformance.binding import Bound
from services.tester.conformance.checks import requests_of, skipped, verdict
from services.tester.conformance.comparison import Comparison, key_of
from services.tester.conformance.completeness import identity_of
from services.tester.conformance.incremental import asked_by_day, together
from services.tester.conformance.reading import bound_of, has_ended, plan_for, too_slow
from services.tester.conformance.transcript import Checkpoint, Transcript

KIND = "resume"
THREE_PAGES = Size(times=2, plus=1)
"""The last one of a single record: it tells as much as a full one, and costs less."""
TWO_PAGES = Size(plus=1)
TWO_PARENTS = 2
MOST_KILLS = 16
EVERY = "every-checkpoint"
Order = Literal["ascending", "descending"]


@dataclass
class Chain:
    """One read that took several processes. ``records``: what came before the last checkpoint of each; ``again``:
    for each process how many of its records had come before; ``asked``: the last that asked for records, which
    settled the page size that their number hangs on."""

    one: Bound
    records: list[dict[str, Any]] = field(default_factory=list)
    again: list[int] = field(default_factory=list)
    state: dict[str, Any] | None = None
    asked: Run | None = None
    kills: int = 0

    def take(self, records: Sequence[dict[str, Any]]) -> None:
        known = {key_of(record, identity_of(self.one)) for record in self.records}
        self.again.append(sum(key_of(record, identity_of(self.one)) in known for record in records))
        self.records += records

    @property
    def states(self) -> list[dict[str, Any]]:
        return [self.state] if self.state is not None else []


async def judge_every_checkpoint(bench: Bench, one: Bound, order: Order = "ascending") -> Check:
    """Killed at its first checkpoint, started again, killed at the next that says something else, to the end.

    What came after the last STATE counts for nothing, though a client may keep it. Where the stream says of itself
    that it can be resumed, no process may give more than a page again.
    """
    plan = plan_for(
        bench, [one], TWO_PAGES if one.depth else THREE_PAGES, parents=TWO_PARENTS, grandparents=1, order=order
    )
    case = EVERY if order == "ascending" else f"{EVERY}-newest-first"
    chain = Chain(one)
    run = await _killed_along(bench, chain, plan)
    if run.finished and not run.transcript.killed:
        last = run
    else:
        last = await _read(bench, chain, plan, kill=False)
    if last.out_of_time:
        return too_slow(last, one, case)
    if not chain.kills:
        return skipped(KIND, one.name, case, f"it never wrote a checkpoint; it {last.ended}")
    if not _union(chain, run).complete:
        chain.take(last.transcript.of(one.name))
    return _judge(chain, last, one, case, f"killed {chain.kills} times, at each checkpoint")


async def _killed_along(bench: Bench, chain: Chain, plan: Plan) -> Run:
    """Kill process after process until all is read, or one comes to its end."""
    while True:
        run = await _read(bench, chain, plan, kill=True)
        if not run.kept:
            return run
        chain.kills += 1
        kept = run.kept[-1]
        chain.state = kept.state
        chain.take(run.transcript.of(chain.one.name)[: kept.records])
        if _union(chain, run).complete or chain.kills == MOST_KILLS:
            return run


def _place(state: dict[str, Any] | None) -> Any:
    """What a STATE says of the stream, without the count of the records before it."""
    return ((state or {}).get("stream") or {}).get("stream_state")


async def _read(bench: Bench, chain: Chain, plan: Plan, *, kill: bool) -> Run:
    def at_checkpoint(transcript: Transcript, kind: Type | None) -> signal.Signals | None:
        said = transcript.checkpoints[-1:] if kind is Type.STATE else []
        return signal.SIGKILL if any(_place(each.state) != _place(chain.state) for each in said) else None

    run = await bench.read(
        plan,
        [chain.one.catalog],
        incremental=True,
        state=chain.states,
        bound=bound_of(bench, [chain.one], pages=4),
        kill=at_checkpoint if kill else None,
    )
    if chain.asked is None or run.asked(chain.one.endpoint.key):
        chain.asked = run
    return run


def _union(chain: Chain, run: Run) -> Comparison:
    return together(chain.asked or run, run, chain.one, chain.records)


def _judge(chain: Chain, last: Run, one: Bound, case: str, how: str) -> Check:
    """``how`` says what was done to the read."""
    comparison = _union(chain, last)
    page = (chain.asked or last).simulator.page_size(one.endpoint.key)
    resumable = bool(one.catalog.get("is_resumable")) or one.incremental
    bounded = resumable and not asked_by_day(last, one)
    most = max(chain.again, default=0)
    thrifty = not bounded or most <= page
    words = f"{how}: together {comparison.words}, "
    words += f"at most {most} of them again after a restart (a page is {page})"
    note = "" if resumable else "; by its catalog the stream cannot be resumed"
    return verdict(
        comparison.complete and last.transcript.completed(one.name) and thrifty,
        KIND,
        one.name,
        case,
        f"{words}; the last process {last.ended}. {last.transcript.complaint_about(one.name)}",
        suspects=("pagination", "cursor"),
        observed=f"{words}{note}; {requests_of(last, one)}",
    )


async def judge_restarts(bench: Bench, streams: Sequence[Bound]) -> list[Check]:
    """Every checkpoint of one read as the beginning of another, for all streams at a time: each process goes on
    from the next STATE of each stream. SIGKILL lets nobody say or do more: what came before a STATE is what a
    process that was killed right after it leaves; `judge_every_checkpoint` kills for real, once for each STATE."""
    plan = plan_for(
        bench, streams, TWO_PAGES if streams[0].depth else THREE_PAGES, parents=TWO_PARENTS, grandparents=1
    )
    bound = bound_of(bench, streams, pages=4)
    first = await bench.read(plan, [one.catalog for one in streams], incremental=True, bound=bound)
    told = {one.name: _distinct(first, one.name) for one in streams}

    async def go_on(at: int) -> Run:
        going = [one for one in streams if at < len(told[one.name])]
        states = [told[one.name][at].state for one in going]
        catalog = [one.catalog for one in going]
        return await bench.read(plan, catalog, incremental=True, state=states, bound=bound)

    most = min(MOST_KILLS, max(map(len, told.values())))
    runs = await asyncio.gather(*(go_on(at) for at in range(most)))
    return [_judge_restarts(first, runs, one, told[one.name]) for one in streams]


def _distinct(run: Run, stream: str) -> list[Checkpoint]:
    """The checkpoints of a stream that say something new, while there is more to read: after the last one the next
    sync may begin anew."""
    found: list[Checkpoint] = []
    for each in run.transcript.checkpoints:
        new = not found or _place(each.state) != _place(found[-1].state)
        if each.stream == stream and new and each.records < len(run.transcript.of(stream)):
            found.append(each)
    return found


def _judge_restarts(first: Run, runs: Iterable[Run], one: Bound, told: list[Checkpoint]) -> Check:
    if first.out_of_time and not has_ended(first, one):
        return too_slow(first, one, EVERY)
    if not told:
        return skipped(KIND, one.name, EVERY, f"it wrote no checkpoint before its last record; it {first.ended}")
    checks = [
        _judge_restart(first, run, one, checkpoint)
        for run, checkpoint in zip(runs, told[:MOST_KILLS], strict=False)
    ]
    return next((check for check in checks if check.outcome is Outcome.FAILED), checks[-1])


def _judge_restart(first: Run, run: Run, one: Bound, checkpoint: Checkpoint) -> Check:
    if run.out_of_time and not has_ended(run, one):
        return too_slow(run, one, EVERY)
    chain = Chain(one, asked=run if run.asked(one.endpoint.key) else first)
    chain.take(first.transcript.of(one.name)[: checkpoint.records])
    chain.take(run.transcript.of(one.name))
    return _judge(chain, run, one, EVERY, f"started again from the STATE after {checkpoint.records} records")


async def judge_killed_together(bench: Bench, streams: Sequence[Bound]) -> list[Check]:
    """Several streams in one read, killed in the middle of it: what each had said holds for the next process."""
    catalog = [one.catalog for one in streams]
    plan = plan_for(bench, streams, THREE_PAGES)
    bound = bound_of(bench, streams, pages=4)
    at = len(streams) // 2 + 1

    def kill(transcript: Transcript, kind: Type | None) -> signal.Signals | None:
        return signal.SIGKILL if kind is Type.STATE and len(transcript.checkpoints) == at else None

    first = await bench.read(plan, catalog, incremental=True, bound=bound, kill=kill)
    if not first.kept:
        return [skipped(KIND, None, "killed", "it never wrote that many checkpoints")]
    states = {checkpoint.stream: checkpoint.state for checkpoint in first.kept}
    second = await bench.read(plan, catalog, incremental=True, state=list(states.values()), bound=bound)
    return [_judge_union(first, second, one) for one in streams]


def _judge_union(first: Run, second: Run, one: Bound) -> Check:
    if second.out_of_time and not has_ended(second, one):
        return too_slow(second, one, "killed")
    told = [checkpoint.records for checkpoint in first.kept if checkpoint.stream == one.name]
    before = first.transcript.of(one.name)[: told[-1] if told else 0]
    after = second.transcript.of(one.name)
    comparison = together(first, second, one, (*before, *after))
    return verdict(
        comparison.complete and second.transcript.completed(one.name),
        KIND,
        one.name,
        "killed",
        f"killed after {len(first.kept)} checkpoints and started again: {len(before)} records before the last one, "
        f"{len(after)} after it, together {comparison.words}; the second run {second.ended}. "
        f"{second.transcript.complaint_about(one.name)}",
        suspects=("pagination", "cursor"),
        observed=f"{len(before)} + {len(after)} records; {requests_of(second, one)}",
    )


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
