"""One judgement: the checks so far, and the order in which they are made."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import product
from time import monotonic
from typing import Any

from contracts.errors import Rejected
from contracts.reports import Check, KitRun, Outcome, StreamProof
from services.tester.conformance import (
    commands,
    completeness,
    conduct,
    failures,
    incremental,
    isolation,
    openings,
    resume,
    termination,
)
from services.tester.conformance.bench import Bench, Run
from services.tester.conformance.binding import Bindings, Bound, bind, grouped
from services.tester.conformance.checks import failed
from services.tester.conformance.configuration import Form, optional
from services.tester.conformance.given import Given
from services.tester.conformance.observation import observed
from services.tester.conformance.plain_values import values_in, with_values_named
from services.tester.conformance.reading import Reading
from services.tester.conformance.variables import free_variables

VERSION = "2"
"""Raised when a connector that passed may not pass any more."""

STREAMS_TOGETHER = 40
"""Read in one run, so that one that is endless or slow takes few others with it."""

INCREMENTAL_TOGETHER = 24
STATUSES = (401, 403, 404)

Say = Callable[[str], Awaitable[None]]
Job = Awaitable[list[Check]]


@dataclass(frozen=True)
class Knowledge:
    """What is known about the connector besides itself; all of it optional.

    ``endpoints``: stream -> endpoint key. ``parents``: stream -> variable -> parent stream. ``paging``: stream ->
    how it pages (streams with the same words share the code). ``fields``: path variable -> the config's field
    that fills it. ``opens``: field of the config that may be left out -> the streams that cannot be read without
    it. ``missing``: streams that are rightly not in the catalog -> why. ``streams``: all that there should be.
    """

    endpoints: Mapping[str, str] = field(default_factory=dict)
    parents: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    paging: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    fields: Mapping[str, str] = field(default_factory=dict)
    opens: openings.Opens = field(default_factory=dict)
    missing: Mapping[str, str] = field(default_factory=dict)
    streams: tuple[str, ...] = ()

    @property
    def filled(self) -> frozenset[str]:
        """The config's fields to be set though they may be left out."""
        return frozenset({*self.opens, *self.fields.values()})


@dataclass(frozen=True)
class Judgement:
    """The verdict: every check, and for each stream whether it was read completely."""

    checks: tuple[Check, ...]
    streams: tuple[StreamProof, ...]
    run: KitRun

    @property
    def ok(self) -> bool:
        return not any(check.outcome is Outcome.FAILED for check in self.checks)


class Session:
    """Fill in the form, ask the commands, read everything."""

    def __init__(self, bench: Bench, known: Knowledge, config: Mapping[str, Any] | None, say: Say) -> None:
        self.bench = bench
        self.known = known
        self.say = say
        self.checks: list[Check] = []
        self.catalog: list[dict[str, Any]] = []
        self.bindings = Bindings((), {})
        self._config = config
        self._may_open: openings.Opens = {}
        self._began_s = monotonic()

    async def judge(self, specified: Run) -> None:
        if not self._fill_in_form(specified):
            return
        await self._discover()
        if self.catalog:
            await self._bind()
        await asyncio.gather(self._into(commands.judge_check(self.bench)), *self._reads())
        self.checks += conduct.judge_protocol(self.bench, self._names())
        self.checks.append(conduct.judge_secrets(self.bench))

    # --- before anything is read ----------------------------------------------------------------

    def _fill_in_form(self, specified: Run) -> bool:
        """Fill in the form of the config."""
        bench, spec = self.bench, specified.transcript.spec
        bench.take_account(specified)
        try:
            if spec is None:
                said = specified.transcript
                raise Rejected(f"`spec` gave no specification; it {said.ended}. {said.complaint}")
            made = Form(spec, also=self.known.filled) if self._config is None else Given(spec, self._config)
            bench.form = made
            config = bench.form.fill("http://localhost", None)
        except Rejected as problem:
            self.checks.append(failed("protocol", None, "spec", problem.what))
            return False
        self._may_open = {name: self.known.opens[name] for name in optional(spec, self.known.opens)}
        left_out = openings.closed(self._may_open, config.values)
        self.known = replace(self.known, missing={**left_out, **self.known.missing})
        bench.variables = free_variables(
            bench.api, config.values, self.known.fields, frozenset(self.known.endpoints.values())
        )
        return True

    async def _discover(self) -> None:
        await self.say("asking spec, check and discover")
        self.catalog, given = await commands.discover(self.bench)
        self.checks += [given]
        self.checks += [
            failed("discovery", name, "present", "the stream is not in the connector's catalog")
            for name in self.known.streams
            if self.catalog and name not in self._names() and name not in self.known.missing
        ]

    async def _bind(self) -> None:
        endpoints = dict(self.known.endpoints)
        untold = [stream for stream in self.catalog if stream["name"] not in endpoints]
        if untold:
            await self.say(f"finding out what {len(untold)} streams read")
            endpoints |= await observed(self.bench, untold)
        self.bench.api = with_values_named(self.bench.api, values_in(self.catalog, self.bench.api, endpoints))
        self.bindings = bind(self.catalog, self.bench.api, endpoints, self.known.parents, self.known.paging)

    # --- the reads ------------------------------------------------------------------------------

    def _reads(self) -> Iterator[Awaitable[None]]:
        """All jobs; how many processes run at a time is the bench's business. Those that wait begin first."""
        full = self.bench.pace.full
        deep = list(self.bindings.bound) if full else self.bindings.one_of_each_shape()
        flat = [one for one in deep if one.flat] or deep
        if deep:
            yield self._told(f"judging {len(deep)} of {len(self.bindings.bound)} streams in depth")
        for job in self._waiting(deep, flat) if deep else ():
            yield self._into(job)
        for group in grouped(self.bindings.bound):
            for some in _parted(group, STREAMS_TOGETHER):
                if group[0].depth == 0:
                    for case in completeness.SIZES:
                        yield self._complete(case, some)
                else:
                    yield self._complete(completeness.NESTED, some)
        for one in deep if full else flat[:1]:
            yield self._many(one)
        for job in self._working(deep, flat) if deep else ():
            yield self._into(job)

    def _waiting(self, deep: list[Bound], flat: list[Bound]) -> Iterator[Job]:
        """Failures, where the connector mostly waits before it tries again."""
        bench = self.bench
        paged = [one for one in flat if one.endpoint.position.kind != "none"] or flat
        if bench.pace.full or bench.pace.silence:
            yield failures.judge_troubles(bench, paged[:1], [failures.SILENCE])
        together = [some for group in grouped(deep) for some in _parted(group, STREAMS_TOGETHER)]
        for some, batch in product(together, failures.BATCHES):  # what takes longest first
            yield failures.judge_troubles(bench, some, batch)
        for some, kind in product(together, termination.CASES):
            yield termination.judge_termination(bench, some, kind)
        for place, status in enumerate((*STATUSES, 503) if bench.pace.full else STATUSES):
            victims = flat if bench.pace.full else [flat[place % len(flat)]]
            yield isolation.judge_isolation(bench, victims, flat, status)
        yield commands.judge_refused_read(bench, flat)

    def _working(self, deep: list[Bound], flat: list[Bound]) -> Iterator[Job]:
        bench = self.bench
        for some in _parted(deep, STREAMS_TOGETHER):
            if len(some) > 1:
                yield resume.judge_killed_together(bench, some)
        # in groups: an endpoint that is somebody's parent has few records, so as not to multiply
        for group in grouped(deep):
            for some in _parted(group, STREAMS_TOGETHER):
                yield termination.judge_empty_page(bench, some)
                if not bench.pace.full and some[0].flat:
                    yield resume.judge_restarts(bench, some)
        for one in deep:
            if bench.pace.full or not one.flat:  # what is read again of the parents differs from process to process
                yield _alone(resume.judge_every_checkpoint(bench, one))
            if bench.pace.full and one.incremental and one.filtered:
                yield _alone(resume.judge_every_checkpoint(bench, one, "descending"))
        for group in grouped([one for one in self.bindings.bound if one.incremental]):
            for some in _parted(group, INCREMENTAL_TOGETHER):
                yield incremental.judge_incremental(bench, some)
        yield from self._of_the_whole(flat)

    def _of_the_whole(self, flat: list[Bound]) -> Iterator[Job]:
        """What is the connector's, not a stream's."""
        bench = self.bench
        yield _alone(resume.judge_sigterm(bench, flat))
        yield commands.judge_unknown_stream(bench)
        if self._may_open:
            yield openings.judge_openings(bench, self._may_open, self.bindings.bound)
        for way in range(1, len(bench.form.variants)):
            yield commands.judge_other_way(bench, flat[0], way)

    async def _told(self, words: str) -> None:
        await self.say(words)

    async def _into(self, job: Job) -> None:
        self.checks += await job

    async def _complete(self, case: str, streams: list[Bound]) -> None:
        if case == completeness.NESTED:
            readings = await completeness.read_nested(self.bench, streams)
        else:
            readings = await completeness.read_size(self.bench, case, streams)
        for reading in readings:
            self.checks += await asyncio.to_thread(_judged, reading)
        await self.say(f"{len(streams)} streams read: {case}")

    async def _many(self, one: Bound) -> None:
        if one.endpoint.records.shape == "single":
            return
        many = self.bench.pace.many
        run = await completeness.read_many(self.bench, one)
        self.checks.append(await asyncio.to_thread(completeness.judge_many, run, one, many))
        await self.say(f"{one.name} read: {many} records")

    # --- the verdict ----------------------------------------------------------------------------

    def _names(self) -> list[str]:
        return [stream["name"] for stream in self.catalog]

    def judgement(self) -> Judgement:
        names = dict.fromkeys((*self.known.streams, *self._names()))
        checks = sorted(self.checks, key=lambda check: check.id)
        proofs = tuple(self._proof(name, checks) for name in names)
        run = KitRun(
            version=VERSION,
            full=self.bench.pace.full,
            runs=self.bench.runs,
            cpu_s=round(self.bench.cpu_s, 1),
            duration_s=round(monotonic() - self._began_s, 1),
        )
        return Judgement(tuple(checks), proofs, run)

    def _proof(self, name: str, checks: Iterable[Check]) -> StreamProof:
        """A stream is proven if it was read completely at every size, and no other check of it failed."""
        own = [check for check in checks if check.stream == name]
        bad = [check for check in own if check.outcome is Outcome.FAILED]
        late = [check for check in checks if check.id == f"termination/connector/time-{name}"]
        read = [check for check in own if check.kind == completeness.KIND]
        reason = self.known.missing.get(name) or self.bindings.unbound.get(name) or ""
        if not reason and (worst := [*bad, *late]):
            reason = f"{worst[0].id}: {worst[0].message}"[:300]
        if not reason and not read:
            reason = "it was never read"
        return StreamProof(stream=name, proven=not reason, reason=reason)


def _judged(reading: Reading) -> list[Check]:
    """Completeness of all streams of a run; in the largest that their records fit the schema, too."""
    checks = []
    for one in reading.streams:
        checks += completeness.judge(reading, one)
        if reading.case in ("3-pages", completeness.NESTED):
            checks.append(conduct.judge_schema(one.catalog, reading.run.transcript.of(one.name)))
    return checks


async def _alone(job: Awaitable[Check]) -> list[Check]:
    return [await job]


def _parted(streams: Sequence[Bound], size: int) -> list[list[Bound]]:
    return [list(streams[start : start + size]) for start in range(0, len(streams), size)]
