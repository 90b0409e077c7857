"""Runs the connector against a simulated API: one process, one fresh server, one `Transcript`."""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from airbyte_protocol.models import Type  # type: ignore[import-untyped]

from contracts.blueprint import JsonPath
from contracts.reports import Isolation
from contracts.simulation import SimulatedApi
from infra.runtime import sandbox
from infra.runtime.sandbox import Limits, Stop
from infra.runtime.simulator import Plan, Seen, Simulator
from services.tester.conformance.configuration import Config, Form
from services.tester.conformance.given import Given
from services.tester.conformance.leaks import leaked_forms, leaks
from services.tester.conformance.transcript import Checkpoint, Problem, Transcript

OUTPUT_BYTES = 512 * 1024 * 1024
WATCH_EVERY_S = 0.05
HOLDS_SECRETS = b'"CONNECTOR_CONFIG"'


@dataclass(frozen=True)
class Subject:
    """The executable to be judged, as the sandbox starts it (`sandbox.start` says what the tokens mean)."""

    tree: Path
    argv: tuple[str, ...]
    python: Path | None = None
    env: dict[str, str] = field(default_factory=dict)
    readable: tuple[Path, ...] = ()


@dataclass(frozen=True)
class Pace:
    """``runs`` processes work at a time, and ``waiting`` more that mostly wait. ``command_s`` bounds each `check`
    and the like, ``read_s`` each read, ``total_s`` all of them together. ``slack`` requests may go beyond ten
    times those that a complete read takes. ``full`` adds what takes long: a server that fails for ever, and every
    stream in depth. ``silence``: also a server that never answers, which takes as long as the connector is
    patient. ``many``: how many records are many."""

    full: bool = False
    silence: bool = True
    runs: int = 2
    waiting: int = 8
    command_s: float = 20.0
    read_s: float = 75.0
    total_s: float = 480.0
    slack: int = 200
    many: int = 10_000


@dataclass(frozen=True)
class Run:
    """One process that is over: what it said, and what the server saw. ``runaway``: it was killed because it asked
    far more often than a complete read takes."""

    transcript: Transcript
    simulator: Simulator
    runaway: bool = False
    leaks: tuple[str, ...] = ()
    kept: tuple[Checkpoint, ...] = ()

    @property
    def requests(self) -> list[Seen]:
        return self.simulator.requests

    def asked(self, endpoint: str) -> list[Seen]:
        return [seen for seen in self.requests if seen.endpoint == endpoint]

    @property
    def finished(self) -> bool:
        """It came to an end of its own."""
        return self.transcript.stopped is None and not self.runaway

    @property
    def out_of_time(self) -> bool:
        """It was stopped because its time was up, which on a busy machine is nobody's fault."""
        return self.transcript.stopped is Stop.WALL_TIME and not self.runaway

    @property
    def ended(self) -> str:
        if self.runaway:
            return f"was killed after {len(self.requests)} requests, far more than a complete read takes"
        return self.transcript.ended


Kill = Callable[[Transcript, Type | None], signal.Signals | None]
"""Looks at what has been said so far and the last message's type; the signal to send now, if any."""


class Bench:
    """Everything that all runs share."""

    def __init__(
        self, subject: Subject, api: SimulatedApi, folder: Path, isolation: Isolation, pace: Pace | None = None
    ) -> None:
        self.subject = subject
        self.api = api
        self.isolation = isolation
        self.pace = pace or Pace()
        self.form: Form | Given = Form({})
        self.variables: dict[str, str] = {}
        self.runs = 0
        self.cpu_s = 0.0
        self.leaks: dict[str, None] = {}
        self.problems: dict[tuple[str, Problem], None] = {}
        self._folder = folder
        self._working = asyncio.Semaphore(self.pace.runs)
        self._waiting = asyncio.Semaphore(self.pace.waiting)

    def accepted(self) -> frozenset[str]:
        """Every value of the config that the server has to let in, of any way to give credentials."""
        ways = range(len(self.form.variants))
        return frozenset().union(*(self.form.fill("http://localhost", None, way).accepted for way in ways))

    async def spec(self) -> Run:
        return await self._run("spec", Plan(), None, wall_s=self.pace.command_s)

    async def command(
        self,
        name: str,
        plan: Plan,
        *,
        variant: int = 0,
        form: Form | Given | None = None,
        listening: bool = True,
        waits: bool = False,
    ) -> Run:
        """`check` or `discover`. Without ``listening`` nobody answers at the config's base URL. ``form``: another
        than that of all runs."""
        return await self._run(
            name, plan, variant, wall_s=self.pace.command_s, form=form, listening=listening, waits=waits
        )

    async def read(
        self,
        plan: Plan,
        streams: Sequence[dict[str, Any]],
        *,
        incremental: bool = False,
        state: Sequence[dict[str, Any]] | None = None,
        variant: int = 0,
        form: Form | Given | None = None,
        kill: Kill | None = None,
        bound: int | None = None,
        waits: bool = False,
        trimmed: JsonPath | None = None,
    ) -> Run:
        """``streams`` as `discover` gave them. ``bound``: how many requests a complete read may take. ``trimmed``:
        of each record only the member at this path is kept."""
        catalog = {"streams": [configured(stream, incremental) for stream in streams]}
        files = {"catalog.json": json.dumps(catalog).encode()}
        if state is not None:
            files["state.json"] = json.dumps(list(state)).encode()
        return await self._run(
            "read",
            plan,
            variant,
            wall_s=self.pace.read_s,
            files=files,
            transcript=Transcript("read", tuple(stream["name"] for stream in streams), trimmed=trimmed),
            form=form,
            kill=kill,
            bound=bound,
            waits=waits,
        )

    async def _run(
        self,
        command: str,
        plan: Plan,
        variant: int | None,
        *,
        wall_s: float,
        files: dict[str, bytes] | None = None,
        transcript: Transcript | None = None,
        form: Form | Given | None = None,
        kill: Kill | None = None,
        bound: int | None = None,
        listening: bool = True,
        waits: bool = False,
    ) -> Run:
        async with self._waiting if waits else self._working:
            self.runs += 1
            port = sandbox.free_port()
            path = self._folder / f"{self.runs}.sock"
            limits = Limits(wall_s=wall_s, cpu_s=int(wall_s) + 5, output_bytes=OUTPUT_BYTES)
            async with Simulator(self.api, plan, socket=path) as simulator:
                config = Config({})
                files = dict(files or {})
                argv = [*self.subject.argv, command]
                if variant is not None:
                    config = (form or self.form).fill(
                        simulator.base_url_at(port), simulator.token_url_at(port), variant
                    )
                    files["config.json"] = json.dumps(config.values).encode()
                for name in ("config", "catalog", "state"):
                    if f"{name}.json" in files:
                        argv += [f"--{name}", f"{{input}}/{name}.json"]
                request = sandbox.Request(
                    self.subject.tree,
                    argv,
                    python=self.subject.python,
                    endpoints={port: path} if listening else {},
                    limits=limits,
                    env=self.subject.env,
                    files=files,
                    readable=self.subject.readable,
                )
                async with sandbox.start(request, self.isolation) as session:
                    said = transcript or Transcript(command)
                    run = await _follow(session, simulator, said, config, kill, bound)
            self.take_account(run)
            return run

    def take_account(self, run: Run) -> None:
        """Keep what concerns all runs. The words of one that was killed may be cut in two: they prove nothing."""
        self.cpu_s += run.transcript.cpu_s
        self.leaks.update(dict.fromkeys(run.leaks))
        if not run.transcript.killed and run.transcript.stopped is None:
            command = run.transcript.command
            self.problems.update(dict.fromkeys((command, problem) for problem in run.transcript.problems))


def configured(stream: dict[str, Any], incremental: bool) -> dict[str, Any]:
    """A stream of the catalog as `read` takes it."""
    mode = (
        "incremental" if incremental and "incremental" in stream.get("supported_sync_modes", ()) else "full_refresh"
    )
    entry = {"stream": stream, "sync_mode": mode, "destination_sync_mode": "append"}
    if mode == "incremental" and stream.get("default_cursor_field"):
        entry["cursor_field"] = stream["default_cursor_field"]
    if stream.get("source_defined_primary_key"):
        entry["primary_key"] = stream["source_defined_primary_key"]
    return entry


async def _follow(
    session: sandbox.Session,
    simulator: Simulator,
    transcript: Transcript,
    config: Config,
    kill: Kill | None,
    bound: int | None,
) -> Run:
    """Read what it says until it ends, is killed, or asks without end."""
    forms = leaked_forms(config)
    found: dict[str, None] = {}
    kept: tuple[Checkpoint, ...] = ()
    sent: signal.Signals | None = None
    runaway = asyncio.Event()
    watch = asyncio.create_task(_watch(session, simulator, bound, runaway))
    try:
        async for line in session.lines():
            kind = transcript.feed(line)
            if kind is not Type.CONTROL or HOLDS_SECRETS not in line:
                found.update(dict.fromkeys(leaks(line, forms, f"`{transcript.command}` wrote to stdout")))
            if kill is not None and sent is None and (sent := kill(transcript, kind)) is not None:
                session.send(sent)
                kept = tuple(transcript.checkpoints)
        report = await session.finish()
    finally:
        watch.cancel()
    transcript.close(report, killed=sent is not None or runaway.is_set())
    found.update(dict.fromkeys(leaks(report.stderr, forms, f"`{transcript.command}` wrote to stderr")))
    return Run(transcript, simulator, runaway.is_set(), tuple(found), kept)


async def _watch(session: sandbox.Session, simulator: Simulator, bound: int | None, runaway: asyncio.Event) -> None:
    """End a run that asks without end long before its time is up."""
    while bound is not None:
        if len(simulator.requests) > bound:
            runaway.set()
            session.send(signal.SIGKILL)
            return
        await asyncio.sleep(WATCH_EVERY_S)
