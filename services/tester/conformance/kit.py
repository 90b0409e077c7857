"""The conformance kit: judges any executable that speaks the Airbyte protocol against a simulated API.

Black-box. What counts is what the process said and what the server saw; nothing is read from the connector's files
but what it answers. Every stream is judged for completeness; one stream of each shape for all the rest.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from contracts.errors import Rejected
from contracts.reports import Check, Isolation, Outcome, StreamProof
from contracts.simulation import SimulatedApi
from infra.runtime.simulator import Plan
from services.tester.conformance import completeness, conduct, continuation, failures
from services.tester.conformance.bench import Bench, Pace, Run, Subject
from services.tester.conformance.binding import Bindings, Bound, bind, grouped
from services.tester.conformance.checks import failed, skipped, verdict
from services.tester.conformance.comparison import compare
from services.tester.conformance.configuration import Form
from services.tester.conformance.transcript import Transcript
from services.tester.conformance.variables import free_variables

SHAPES_IN_DEPTH = 8
STREAMS_TOGETHER = 24
"""Read in one run, so that one that is endless or slow takes few others with it."""

Say = Callable[[str], Awaitable[None]]


@dataclass(frozen=True)
class Knowledge:
    """What is known about the connector besides itself; all of it optional.

    ``endpoints``: stream -> endpoint key. ``parents``: stream -> variable -> parent stream. ``fields``: path
    variable -> the config's field that fills it. ``missing``: streams that are rightly not in the catalog -> why.
    ``streams``: all that there should be.
    """

    endpoints: Mapping[str, str] = field(default_factory=dict)
    parents: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    fields: Mapping[str, str] = field(default_factory=dict)
    missing: Mapping[str, str] = field(default_factory=dict)
    streams: tuple[str, ...] = ()


@dataclass(frozen=True)
class Judgement:
    """The verdict: every check, and for each stream whether it was read completely."""

    checks: tuple[Check, ...]
    streams: tuple[StreamProof, ...]

    @property
    def ok(self) -> bool:
        return not any(check.outcome is Outcome.FAILED for check in self.checks)


async def conform(
    subject: Subject,
    api: SimulatedApi,
    *,
    folder: Path,
    isolation: Isolation,
    knowledge: Knowledge | None = None,
    pace: Pace | None = None,
    say: Say | None = None,
    specified: Run | None = None,
) -> Judgement:
    """Judge ``subject`` against ``api``.

    Args:
        folder: an empty folder with a short path, for the servers' sockets.
        say: told of each step, one short line.
        specified: what `specify` gave, if it was asked before.

    Raises:
        Transient: the sandbox itself does not work.
    """
    known = knowledge or Knowledge()
    bench = Bench(subject, api, folder, isolation, pace)
    session = _Session(bench, known, say or _silent)
    try:
        async with asyncio.timeout(bench.pace.total_s):
            await session.judge(specified or await bench.spec())
    except TimeoutError:
        message = f"it was not judged to the end within {bench.pace.total_s:.0f} s"
        session.checks.append(failed("termination", None, "time", message))
    return session.judgement()


async def specify(
    subject: Subject, api: SimulatedApi, *, folder: Path, isolation: Isolation, pace: Pace | None = None
) -> Run:
    """Ask for the connector's specification alone (``run.transcript.spec``). Arguments as of `conform`."""
    return await Bench(subject, api, folder, isolation, pace).spec()


async def _silent(_: str) -> None:
    return None


class _Session:
    """The checks so far, and the order in which they are made."""

    def __init__(self, bench: Bench, known: Knowledge, say: Say) -> None:
        self.bench = bench
        self.known = known
        self.say = say
        self.checks: list[Check] = []
        self.transcripts: list[Transcript] = []
        self.catalog: list[dict[str, Any]] = []
        self.bindings = Bindings((), {})

    async def judge(self, specified: Run) -> None:
        if not self._fill_in_form(specified.transcript):
            return
        await self._commands()
        if self.catalog:
            await self._bind()
            await self._reads()
        self.checks += conduct.judge_protocol(self.transcripts, [stream["name"] for stream in self.catalog])
        self.checks.append(conduct.judge_secrets(self.bench))

    # --- before anything is read ----------------------------------------------------------------

    def _fill_in_form(self, transcript: Transcript) -> bool:
        """Fill in the form of the config."""
        self.transcripts.append(transcript)
        try:
            if transcript.spec is None:
                raise Rejected(f"`spec` gave no specification; it {transcript.ended}. {transcript.complaint}")
            self.bench.form = Form(transcript.spec)
            config = self.bench.form.fill("http://localhost", None)
        except Rejected as problem:
            self.checks.append(failed("protocol", None, "spec", problem.what))
            return False
        self.bench.variables = free_variables(
            self.bench.api, config.values, self.known.fields, frozenset(self.known.endpoints.values())
        )
        return True

    async def _commands(self) -> None:
        bench, good = self.bench, Plan(secrets=self.bench.accepted(), variables=self.bench.variables)
        discovering = asyncio.create_task(bench.command("discover", good))
        await asyncio.gather(
            *(self._credentials(good, way, name) for way, name in enumerate(bench.form.variants)),
            self._unreachable(),
        )
        discovered = await discovering
        self.transcripts.append(discovered.transcript)
        self.catalog = discovered.transcript.catalog or []
        message = f"`discover` gave no catalog; it {discovered.ended}. {discovered.transcript.complaint}"
        self.checks.append(verdict(bool(self.catalog), "protocol", None, "discover", message))
        self.checks += [
            failed("discovery", name, "present", "the stream is not in the connector's catalog")
            for name in self.known.streams
            if self.catalog and name not in self._names() and name not in self.known.missing
        ]

    async def _credentials(self, good: Plan, way: int, name: str) -> None:
        """`check` with credentials of this kind that are right, then wrong."""
        run = await self.bench.command("check", good, variant=way)
        refused = await self.bench.command("check", Plan(secrets=frozenset()), variant=way)
        self.transcripts += [run.transcript, refused.transcript]
        right, wrong = conduct.judge_credentials(
            run, refused, f"-{name}" if len(self.bench.form.variants) > 1 else ""
        )
        self.checks.append(right)
        self.checks.append(wrong if self._is_guarded(refused) else skipped("auth", None, "check-wrong", _OPEN))

    async def _unreachable(self) -> None:
        """Nobody listens: `check` says so, and an error text that quotes the URL shows what it leaks."""
        run = await self.bench.command("check", Plan(), listening=False, waits=True)
        self.transcripts.append(run.transcript)
        said = run.transcript
        message = f"with nobody listening `check` answers {said.status or 'nothing'} and {run.ended}"
        ok = said.status == "FAILED" and said.exit_code == 0
        self.checks.append(verdict(ok, "failures", None, "unreachable", message))

    def _is_guarded(self, refused: Run) -> bool:
        """Whether the API turned anybody away, or would have."""
        return any(seen.status in (400, 401) for seen in refused.requests) or bool(self.bench.api.auth)

    async def _bind(self) -> None:
        endpoints = dict(self.known.endpoints)
        for stream in self.catalog:
            if stream["name"] not in endpoints and (found := await self._observe(stream)):
                endpoints[stream["name"]] = found
        self.bindings = bind(self.catalog, self.bench.api, endpoints, self.known.parents)

    async def _observe(self, stream: dict[str, Any]) -> str | None:
        """The endpoint that a stream nobody told us about reads: the one whose records it emits."""
        plan = Plan(records=2, secrets=self.bench.accepted(), variables=self.bench.variables)
        run = await self.bench.read(plan, [stream], bound=self.bench.pace.slack)
        for key in dict.fromkeys(seen.endpoint for seen in run.requests):
            endpoint = self.bench.api.endpoints.get(key or "")
            if endpoint is not None and run.transcript.of(stream["name"]):
                identity = endpoint.records.identity[0] if endpoint.records.identity else None
                expected = run.simulator.expected(endpoint.key)
                if compare(expected, run.transcript.of(stream["name"]), identity).strange == 0:
                    return endpoint.key
        return None

    # --- the reads ------------------------------------------------------------------------------

    async def _reads(self) -> None:
        deep = self.bindings.one_of_each_shape()[: None if self.bench.pace.full else SHAPES_IN_DEPTH]
        flat = [one for one in deep if one.flat] or deep
        jobs = [
            self._complete(group[start : start + STREAMS_TOGETHER])
            for group in grouped(self.bindings.bound)
            for start in range(0, len(group), STREAMS_TOGETHER)
        ]
        if deep:
            bench = self.bench
            jobs += [
                self._into(failures.judge_recovery(bench, flat)),
                self._into(failures.judge_isolation(bench, flat, 403)),
                self._into(failures.judge_termination(bench, flat, "repeat_cursor", "repeated-page")),
                self._into(failures.judge_termination(bench, flat, "endless", "endless")),
                self._into(failures.judge_empty_page(bench, flat)),
                self._sigterm(flat),
                self._refused(flat),
                self._unknown_stream(),
            ]
            # in groups: an endpoint that is somebody's parent has few records, so as not to multiply
            for group in grouped(deep):
                jobs.append(self._into(continuation.judge_resume(bench, group)))
            for group in grouped([one for one in self.bindings.bound if one.incremental][:SHAPES_IN_DEPTH]):
                jobs.append(self._into(continuation.judge_incremental(bench, group)))
            if bench.pace.full:
                jobs.append(self._into(failures.judge_isolation(bench, flat, 503)))
            jobs += [self._other_way(flat, way) for way in range(1, len(bench.form.variants))]
        await asyncio.gather(*jobs)

    async def _into(self, job: Awaitable[list[Check]]) -> None:
        self.checks += await job

    async def _complete(self, streams: list[Bound]) -> None:
        await self.say(f"reading {len(streams)} streams around the edges of a page")
        if streams[0].depth == 0:
            readings = await completeness.read_sizes(self.bench, streams)
        else:
            readings = await completeness.read_nested(self.bench, streams)
        last: dict[str, Run] = {}
        for reading in readings:
            self.transcripts.append(reading.run.transcript)
            for one in reading.streams:
                self.checks += await asyncio.to_thread(completeness.judge, reading, one)
                last[one.name] = reading.run
        for one in streams:
            records = last[one.name].transcript.of(one.name)
            self.checks.append(await asyncio.to_thread(conduct.judge_schema, one.catalog, records))

    async def _sigterm(self, streams: list[Bound]) -> None:
        self.checks.append(await continuation.judge_sigterm(self.bench, streams))

    async def _refused(self, streams: list[Bound]) -> None:
        """`read` with wrong credentials."""
        if not self.bench.form.has_secrets:
            self.checks.append(skipped("auth", None, "read-wrong", _OPEN))
            return
        chosen = streams[:2]
        plan = Plan(secrets=frozenset(), variables=self.bench.variables)
        bound = completeness.bound_of(self.bench, chosen)
        run = await self.bench.read(plan, [one.catalog for one in chosen], bound=bound, waits=True)
        self.transcripts.append(run.transcript)
        if not self._is_guarded(run):
            self.checks.append(skipped("auth", None, "read-wrong", _OPEN))
            return
        self.checks.append(conduct.judge_refused_read(run))

    async def _unknown_stream(self) -> None:
        """A catalog with a stream that does not exist: an ERROR trace, and no exit code 0."""
        stream = {"name": "no_such_stream", "json_schema": {}, "supported_sync_modes": ["full_refresh"]}
        run = await self.bench.read(Plan(secrets=self.bench.accepted()), [stream], bound=self.bench.pace.slack)
        ok = run.finished and run.transcript.exit_code != 0 and bool(run.transcript.failures)
        message = f"asked for a stream that does not exist it {run.ended}; it has to fail with an ERROR trace"
        self.checks.append(verdict(ok, "protocol", None, "unknown-stream", message))

    async def _other_way(self, streams: list[Bound], way: int) -> None:
        """A read with another kind of credentials."""
        one = streams[0]
        plan = completeness.plan_for(self.bench, [one], 1)
        run = await self.bench.read(
            plan, [one.catalog], variant=way, bound=completeness.bound_of(self.bench, [one])
        )
        self.transcripts.append(run.transcript)
        comparison = completeness.compared(run, one)
        name = self.bench.form.variants[way]
        message = f"with credentials of kind {name!r}: {comparison.words}; the connector {run.ended}"
        self.checks.append(verdict(comparison.exact, "auth", None, f"read-{name}", message, suspects=("auth",)))

    # --- the verdict ----------------------------------------------------------------------------

    def _names(self) -> list[str]:
        return [stream["name"] for stream in self.catalog]

    def judgement(self) -> Judgement:
        names = dict.fromkeys((*self.known.streams, *self._names()))
        checks = sorted(self.checks, key=lambda check: check.id)
        return Judgement(tuple(checks), tuple(self._proof(name, checks) for name in names))

    def _proof(self, name: str, checks: Iterable[Check]) -> StreamProof:
        """A stream is proven if it was read completely at every size, and no other check of it failed."""
        if name in self.known.missing:
            return StreamProof(stream=name, proven=False, reason=self.known.missing[name])
        if name in self.bindings.unbound:
            return StreamProof(stream=name, proven=False, reason=self.bindings.unbound[name])
        own = [check for check in checks if check.stream == name]
        bad = [check for check in own if check.outcome is Outcome.FAILED]
        read = [check for check in own if check.kind == completeness.KIND]
        if bad:
            return StreamProof(stream=name, proven=False, reason=f"{bad[0].id}: {bad[0].message}"[:300])
        if not read:
            return StreamProof(stream=name, proven=False, reason="it was never read")
        return StreamProof(stream=name, proven=True)


_OPEN = "the API, as documented, lets anybody in, or the connector takes no credentials"
