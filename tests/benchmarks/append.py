"""How fast facts are written into the SQL copy, in the store's batches, beside a bare loop into the same table.

``python -m tests.benchmarks.append WHO URL PIPELINES`` is one contender, a process of its own: it prints JSON.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path

from contracts.envelope import Envelope
from services.event_store.database.copy import EVENTS, Copy
from services.event_store.database.engine import open_engine
from tests.benchmarks.recorded import decoded, interleaved, messages, peak_mib
from tests.benchmarks.report import Cell, Report, Table, goal
from tests.support.postgres import NoPostgres, postgres

PIPELINES = 100
LARGE = 400
"""Four times the facts, for what memory does."""

TIMEOUT_S = 900.0
GOALS = {"sqlite": 5_000, "postgresql": 3_000}
Raw = list[tuple[int, str, bytes]]
Append = Callable[[Raw], object]
COLUMNS = "sequence, id, pipeline, position, previous, subject, type, dataversion, time, causation, source, payload"


@dataclass(frozen=True)
class Taken:
    facts: int
    wall_s: float
    cpu_s: float
    peak_mib: float


def run(report: Report) -> None:
    for name, server in (("sqlite", None), ("postgresql", _durable_postgres)):
        try:
            with server() if server else nullcontext("") as url:
                report.add(_table(name, url, report))
        except NoPostgres as error:
            print(f"append into {name}: {error}\n")


def _table(name: str, url: str, report: Report) -> Table:
    best: dict[str, Taken] = {}
    for _ in range(report.rounds):
        for who in ("bare", "ours"):
            taken = _child(who, url, PIPELINES)
            best[who] = min(taken, best.get(who, taken), key=lambda one: one.wall_s)
    large = _child("ours", url, LARGE)
    ours = best["ours"]
    rows = [_row("bare executemany, facts decoded", best["bare"]), _row("event store", ours)]
    rows.append(_row(f"event store, {LARGE // PIPELINES} times the facts", large))
    notes = [
        goal("facts/s appended", ours.facts / ours.wall_s, GOALS[name], unit=""),
        "decoded, folded, summarised and synced to disk, 512 facts a transaction",
        report.conditions(report.rounds),
    ]
    columns = ("", "facts", "facts/s", "of processor time", "peak MiB")
    return Table(f"append into {name}", columns, rows, notes)


def _row(name: str, taken: Taken) -> list[Cell]:
    return [name, taken.facts, taken.facts / taken.wall_s, taken.facts / taken.cpu_s, taken.peak_mib]


def _child(who: str, url: str, pipelines: int) -> Taken:
    with tempfile.TemporaryDirectory() as folder:
        where = url or f"sqlite:///{folder}/events.db"
        command = [sys.executable, "-m", "tests.benchmarks.append", who, where, str(pipelines)]
        done = subprocess.run(command, check=True, capture_output=True, timeout=TIMEOUT_S, cwd=Path.cwd())
    return Taken(**json.loads(done.stdout))


def _durable_postgres() -> AbstractContextManager[str]:
    return postgres(durable=True)


# --- one contender ----------------------------------------------------------------------------------


def main(who: str, url: str, pipelines: int) -> None:
    """Only writing is timed, not making the facts."""
    append = {"ours": _ours, "bare": _bare}[who](url)
    facts, wall_s, cpu_s = 0, 0.0, 0.0
    for batch in messages(interleaved(pipelines)):
        wall, cpu = time.perf_counter(), time.process_time()
        append(batch)
        wall_s += time.perf_counter() - wall
        cpu_s += time.process_time() - cpu
        facts += len(batch)
    print(json.dumps({"facts": facts, "wall_s": wall_s, "cpu_s": cpu_s, "peak_mib": peak_mib()}))


def _ours(url: str) -> Append:
    copy = Copy(_emptied(url))
    return lambda batch: copy.append(decoded(batch))


def _bare(url: str) -> Append:
    """The same rows by the driver alone; without position and the fact before it, which take a fold."""
    engine = _emptied(url)
    mark = "?" if engine.dialect.name == "sqlite" else "%s"
    statement = f"INSERT INTO events ({COLUMNS}) VALUES ({', '.join([mark] * 12)})"

    def append(batch: Raw) -> None:
        connection = engine.raw_connection()
        try:
            cursor = connection.cursor()
            cursor.executemany(statement, [_bare_row(*message) for message in batch])
            connection.commit()
        finally:
            connection.close()

    return append


def _bare_row(sequence: int, subject: str, payload: bytes) -> tuple[object, ...]:
    event = Envelope.decode(payload)
    named = (sequence, event.id, event.pipeline, sequence, 0, subject, event.type, event.dataversion)
    return (*named, event.time.isoformat(), event.causation, event.source, payload)


def _emptied(url: str):  # type: ignore[no-untyped-def]
    engine = open_engine(url)
    with engine.begin() as connection:
        for name in (EVENTS.name, "pipelines"):
            connection.exec_driver_sql(f"DELETE FROM {name}")
    return engine


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
