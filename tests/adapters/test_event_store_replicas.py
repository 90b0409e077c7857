"""Two event stores on one database: one writes, the other answers and goes on when the writer is gone."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from sqlalchemy import Engine, text

from contracts import subjects
from contracts.artifacts import ArtifactRef
from contracts.envelope import Envelope
from contracts.queries import Counts, CountsQuery, HistoryPage, HistoryQuery, VerifyQuery
from contracts.services import Service
from contracts.verification import Part, VerifyPage
from infra.runtime.bus import Bus
from infra.runtime.bus_users import ADMIN
from infra.runtime.gate import GATED, until_open
from infra.runtime.nats_server import NatsServer
from infra.runtime.provision import provision
from infra.runtime.runtime import Runtime
from services.event_store.database.copy import Copy
from services.event_store.database.engine import open_engine
from services.event_store.database.folded import Message
from services.event_store.database.writer_lock import writer_lock
from services.event_store.leadership import STALLED_S, Lag
from tests.support.facts import interleaved, life, pipeline_id, subject
from tests.support.nats import fast
from tests.support.store import ask, copied, problems, running_store


async def some_artifact(bus: Bus) -> ArtifactRef:
    return await bus.artifacts.put(b"{}", "application/json")


async def append(bus: Bus, events: Sequence[Envelope]) -> int:
    last = (await bus.log.read(events[0].pipeline))[1]
    for event in events:
        last = await bus.log.append(event, expected_last=last)
    return last


async def equal(bus: Bus) -> None:
    """Every part of the log equals its copy, whoever is asked."""
    for part in Part:
        page = await ask(bus, "verify", VerifyQuery(part=part), VerifyPage)
        assert (page.differences, page.next) == ((), None)


async def well(*stores: Runtime) -> None:
    """Soon, if not now: this machine may be busy."""
    async with asyncio.timeout(10):
        while any([await problems(store) for store in stores]):
            await asyncio.sleep(0.05)


async def end_the_writers_session(engine: Engine) -> None:
    """Waits until there is one."""
    end = text("SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND granted")
    async with asyncio.timeout(10):
        while True:
            with engine.connect() as connection:
                if connection.execute(end).all():
                    return
            await asyncio.sleep(0.05)


async def test_the_second_store_answers_and_goes_on_when_the_writer_ends(
    nats_server: NatsServer, bus: Bus, tmp_path: Path, database_url: str
) -> None:
    events = life(pipeline_id(1), artifact=await some_artifact(bus))
    async with AsyncExitStack() as first, running_store(nats_server, tmp_path, url=database_url) as second:
        other = await first.enter_async_context(running_store(nats_server, tmp_path, url=database_url))
        last = await append(bus, events[:6])
        for _ in range(12):  # whoever of the two is asked has read what was just said
            page = await ask(bus, "history", HistoryQuery(pipeline=pipeline_id(1), min_seq=last), HistoryPage)
            assert page.position == 6
        await well(second, other)

    async with running_store(nats_server, tmp_path, url=database_url) as standby:
        async with running_store(nats_server, tmp_path, url=database_url):
            await equal(bus)
        last = await append(bus, events[6:])
        assert (await ask(bus, "counts", CountsQuery(min_seq=last), Counts)).facts == 12
        await well(standby)
        await equal(bus)


async def test_a_writer_whose_lock_is_lost_stands_by_and_nothing_is_written_twice(
    nats_server: NatsServer, bus: Bus, tmp_path: Path, postgres_server: str
) -> None:
    events = list(interleaved([life(pipeline_id(n), artifact=await some_artifact(bus)) for n in range(6)]))
    engine = open_engine(postgres_server)
    lasts: dict[str, int] = {}
    async with (
        running_store(nats_server, tmp_path, url=postgres_server) as one,
        running_store(nats_server, tmp_path, url=postgres_server) as other,
    ):
        for number, event in enumerate(events):
            lasts[event.pipeline] = await bus.log.append(event, expected_last=lasts.get(event.pipeline, 0))
            if number % 24 == 12:
                await end_the_writers_session(engine)
        assert (await copied(bus)).facts == len(events)
        await well(one, other)
        await equal(bus)
    engine.dispose()


async def test_a_log_that_lost_its_end_is_refilled_by_one_of_two(
    nats_server: NatsServer, bus: Bus, tmp_path: Path
) -> None:
    lives = [life(pipeline_id(n), artifact=await some_artifact(bus)) for n in range(20)]
    async with running_store(nats_server, tmp_path):
        for events in lives:
            last = await append(bus, events)
        await ask(bus, "counts", CountsQuery(min_seq=last), Counts)
    for stream in GATED:
        await bus.js.delete_stream(stream)
    await provision(bus.js, Service.EVENT_STORE, nats_server.settings(ADMIN, fast(tmp_path)), closed=True)
    async with running_store(nats_server, tmp_path), running_store(nats_server, tmp_path):
        await until_open(bus.js, GATED, lambda _: None)
        assert (await copied(bus)).facts == len(lives) * 12
        await equal(bus)
        assert (await bus.js.stream_info(subjects.EVENTS_STREAM)).config.subjects == [subjects.ALL_EVENTS]
        last = await append(bus, life(pipeline_id(99), artifact=await some_artifact(bus)))
        assert (await ask(bus, "counts", CountsQuery(min_seq=last), Counts)).last_sequence == last


def test_two_that_write_in_turns_remember_nothing_old(database_url: str) -> None:
    """As when one has lost its lock and does not know it yet."""
    engine = open_engine(database_url)
    one, other = Copy(engine), Copy(engine)
    events = life(pipeline_id(1))
    log = [Message(n, subject(event), event.encode(), event) for n, event in enumerate(events, start=1)]
    for number, message in enumerate(log):
        (one, other)[number % 2].append([message])
    with engine.connect() as connection:
        rows = connection.execute(text("SELECT position, previous FROM events ORDER BY sequence")).all()
    assert [tuple(row) for row in rows] == [(n, n - 1) for n in range(1, 13)]
    engine.dispose()


def test_a_lock_is_held_by_one_until_it_lets_go(database_url: str) -> None:
    engines = [open_engine(database_url) for _ in range(2)]
    one, other = map(writer_lock, engines)
    assert [one.take(), other.take(), one.take(), one.held(), other.held()] == [True, False, True, True, False]
    one.release()
    assert [one.held(), other.take()] == [False, True]
    other.release()
    for engine in engines:
        engine.dispose()


def test_stores_that_start_at_once_find_the_tables_made(database_url: str) -> None:
    with ThreadPoolExecutor(8) as threads:
        for engine in threads.map(open_engine, [database_url] * 8):
            assert Copy(engine).last_sequence() == 0
            engine.dispose()


@pytest.mark.parametrize(
    ("seen", "stalled"),
    [
        ([(0, 5, 9), (STALLED_S - 1, 5, 9)], False),
        ([(0, 5, 9), (STALLED_S, 5, 9)], True),
        ([(0, 5, 9), (STALLED_S, 6, 9), (STALLED_S + 9, 6, 9)], False),
        ([(0, 9, 9), (100, 9, 9), (101, 9, 10), (102, 9, 10)], False),
    ],
)
def test_a_copy_that_stands_still_behind_the_log_is_a_problem(
    seen: list[tuple[float, int, int]], stalled: bool
) -> None:
    lag = Lag()
    assert bool([lag.judge(*look) for look in seen][-1]) is stalled
