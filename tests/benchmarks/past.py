"""How long the state of a pipeline at an event takes, over HTTP: gateway, bus, event store, SQLite."""

from __future__ import annotations

import asyncio
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx2
from sqlalchemy import delete

from contracts.envelope import Envelope
from contracts.services import Service
from gateway.settings import Settings
from infra.runtime.bus import connect
from infra.runtime.bus_users import ADMIN
from infra.runtime.nats_server import NatsServer
from services.event_store.database.copy import Copy
from services.event_store.database.engine import open_engine
from services.event_store.database.milestones import MILESTONES
from tests.benchmarks.overhead import process
from tests.benchmarks.recorded import decoded, long_life, messages, peak_mib
from tests.benchmarks.report import Cell, Report, Table, goal
from tests.support.facts import pipeline_id
from tests.support.gateway import running_gateway
from tests.support.nats import provision_all

FACTS = 10_000
ASKED = 15
STARTS = 5
"""Of the store, for what it takes to answer the first question after one."""

GOAL_MS = 200.0


@dataclass(frozen=True)
class Asked:
    """A gateway whose event store answers from a database that was written before."""

    client: httpx2.AsyncClient
    store_pid: int

    @property
    def url(self) -> str:
        return str(self.client.base_url)


@asynccontextmanager
async def recorded(folder: Path, facts: Iterable[Envelope], *, milestones: bool = True) -> AsyncIterator[Asked]:
    """``facts`` in SQLite, and the three processes that answer questions about them. Without ``milestones``: as
    after an upgrade, whose code reads none of the old."""
    url = f"sqlite:///{folder / 'events.db'}"
    await asyncio.to_thread(_write, url, facts, milestones)
    async with NatsServer(folder / "nats").running() as server:
        async with connect(server.settings(ADMIN), ADMIN) as bus:
            await provision_all(bus, server.settings(ADMIN))
        command = ["tests.benchmarks.store_alone", url]
        environment = server.environment(Service.EVENT_STORE)
        async with process(folder, "store", command, environment) as ready:
            await ready()
            gateway = running_gateway(Settings(store_timeout_s=60), server.settings(Service.GATEWAY))
            async with gateway as client:
                client.timeout = httpx2.Timeout(60)
                yield Asked(client, int((folder / "store.log").read_text().split()[1]))


def _write(url: str, facts: Iterable[Envelope], milestones: bool) -> None:
    engine = open_engine(url)
    copy = Copy(engine)
    for batch in messages(iter(facts)):
        copy.append(decoded(batch))
    if not milestones:
        with engine.begin() as connection:
            connection.execute(delete(MILESTONES))
    engine.dispose()


def run(report: Report) -> None:
    asyncio.run(_run(report))


async def _run(report: Report) -> None:
    with tempfile.TemporaryDirectory() as name:
        facts = long_life(FACTS)
        whole = await _first(Path(name) / "whole", facts, milestones=False)
        first = await _first(Path(name) / "first", facts, milestones=True)
        async with recorded(Path(name) / "later", facts) as asked:
            rows = [await _row(asked, at) for at in (10, FACTS // 10, FACTS - 1, FACTS)]
            peak = peak_mib(asked.store_pid)
    rows = [
        [f"N = {FACTS - 1:,}, first after an upgrade", *whole],
        [f"N = {FACTS - 1:,}, first after a restart", *first],
        *rows,
    ]
    notes = [
        goal("first after a restart, median", float(first[1] or 0), GOAL_MS, at_most=True, unit=" ms"),
        goal("first after an upgrade, median", float(whole[1] or 0), GOAL_MS, at_most=True, unit=" ms"),
        goal("median", float(rows[-1][2] or 0), GOAL_MS, at_most=True, unit=" ms"),
        f"after an upgrade every fact is folded, else those after a milestone; peak of the store {peak:.0f} MiB",
        report.conditions(ASKED),
    ]
    columns = ("GET /pipelines/{id}/state?at=N", "best ms", "median ms", "slowest ms")
    report.add(Table("the state at an event, over HTTP", columns, rows, notes))


async def _first(folder: Path, facts: Iterable[Envelope], *, milestones: bool) -> list[Cell]:
    """The very first question, as far from a milestone as can be, to a store that just started."""
    taken = []
    for start in range(STARTS):
        async with recorded(folder, () if start else facts, milestones=milestones) as asked:
            taken.append(await _asked(asked, FACTS - 1))
    return [min(taken), statistics.median(taken), max(taken)]


async def _row(asked: Asked, at: int) -> list[Cell]:
    taken = [await _asked(asked, at) for _ in range(ASKED)]
    return [f"N = {at:,}", min(taken), statistics.median(taken), max(taken)]


async def _asked(asked: Asked, at: int) -> float:
    """Milliseconds."""
    began = time.perf_counter()
    answer = await asked.client.get(f"/pipelines/{pipeline_id(1)}/state?at={at}")
    taken = (time.perf_counter() - began) * 1000
    assert answer.json()["state"]["position"] == at
    return taken
