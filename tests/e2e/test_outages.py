"""The bus, the database, room or the right time is missing for a while: all wait, say so, and go on."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from contracts import subjects
from contracts.pipeline import Status
from contracts.services import Service
from gateway.settings import Settings
from infra.runtime import clock
from infra.runtime.bus import Bus
from infra.runtime.health import Health
from infra.runtime.nats_server import NatsServer
from infra.runtime.service import Runtime
from infra.runtime.settings import BusSettings
from tests.support.facts import life, pipeline_id
from tests.support.gateway import running_gateway
from tests.support.graph import Stage, stage
from tests.support.postgres import NoPostgres, local_postgres
from tests.support.scripted import Scenario, decided, transient
from tests.support.store import copied, problems, running_store, store_problem

OUTAGE_S = 0.5
HELD = Scenario("held", "", hold=(Service.TESTER, "nothing that is ever said"))
STEPS = ["tests:GENERATE", "review", "publish:success", "completed:success"]


async def says(health: Health, text: str, *, timeout_s: float = 15) -> None:
    """Until readiness says no, with ``text`` among the reasons."""
    said: object = None
    try:
        async with asyncio.timeout(timeout_s):
            while text not in str(said):
                _, report = await health.report()
                said = report["problems"]
                await asyncio.sleep(0.05)
    except TimeoutError:
        raise AssertionError(f"readiness never said {text!r}: {said}") from None


async def well(services: Sequence[Runtime]) -> None:
    async with asyncio.timeout(20):
        while any([await problems(service) for service in services]):
            await asyncio.sleep(0.05)


async def finish(theatre: Stage, pipelines: Sequence[str]) -> None:
    for pipeline in pipelines:
        assert (await theatre.end(pipeline)).status is Status.SUCCESS
        facts = await theatre.facts(pipeline)
        assert decided(facts) == STEPS
        assert len({fact.id for fact in facts}) == len(facts)


async def test_bus_that_is_away_is_waited_for_by_all(
    nats_server: NatsServer, bus: Bus, bus_settings: BusSettings, tmp_path: Path
) -> None:
    own = nats_server.settings(Service.GATEWAY, bus_settings)
    async with (
        running_store(nats_server, tmp_path) as store,
        running_gateway(Settings(submit_timeout_s=0.5), own) as client,
        stage(nats_server, bus, bus_settings, slots=3) as theatre,
    ):
        pipelines = await theatre.held(HELD, 3)
        await nats_server.kill()
        for service in (*theatre.services, store):
            await says(service.health, "not connected to the bus")
        answer = await client.get("/readyz")
        assert (answer.status_code, "not connected to the bus" in answer.text) == (503, True)
        refused = await client.post("/generate", json={"connector_name": "x", "spec_url": "https://example.com/a"})
        assert refused.status_code == 503
        theatre.released.update(pipelines)  # the testers answer while the bus is away
        await asyncio.sleep(OUTAGE_S)
        await nats_server.start()

        await well([*theatre.services, store])
        await finish(theatre, pipelines)
        await copied(bus)


async def test_log_at_its_limit_is_waited_for_and_goes_on_when_it_is_raised(
    nats_server: NatsServer, bus: Bus, bus_settings: BusSettings, tmp_path: Path
) -> None:
    async with (
        running_store(nats_server, tmp_path),
        stage(nats_server, bus, bus_settings, slots=3) as theatre,
    ):
        pipelines = await theatre.held(HELD, 3)
        found = await bus.js.stream_info(subjects.EVENTS_STREAM)
        await bus.js.update_stream(found.config.evolve(max_bytes=found.state.bytes))
        theatre.released.update(pipelines)  # the testers' answers do not fit any more
        for service in theatre.services:
            await says(service.health, "stream EVENTS is full")
        await asyncio.sleep(OUTAGE_S)
        await bus.js.update_stream(found.config)

        await well(theatre.services)
        await finish(theatre, pipelines)


@contextmanager
def locked_sqlite(folder: Path) -> Iterator[None]:
    """Somebody else writes into the file, and does not end."""
    connection = sqlite3.connect(folder / "events.db", isolation_level=None)
    connection.execute("BEGIN EXCLUSIVE")
    try:
        yield
    finally:
        connection.execute("ROLLBACK")
        connection.close()


async def append(bus: Bus, number: int) -> None:
    ref = await bus.artifacts.put(b"{}", "application/json")
    for event in life(pipeline_id(number), artifact=ref):
        await bus.js.publish(subjects.event(event.pipeline, event.type), event.encode())


async def test_locked_sqlite_file_is_waited_for(
    nats_server: NatsServer, bus: Bus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.event_store.database.engine.LOCK_TIMEOUT_MS", 100)
    async with running_store(nats_server, tmp_path) as store:
        await append(bus, 1)
        await copied(bus)
        with locked_sqlite(tmp_path):
            await append(bus, 2)
            await says(store.health, "the database does not answer: database is locked")
            await asyncio.sleep(OUTAGE_S)
            assert "copy" in await problems(store)
        await copied(bus)
        await well([store])


async def test_stopped_postgresql_is_waited_for(nats_server: NatsServer, bus: Bus, tmp_path: Path) -> None:
    try:
        server = local_postgres()
        postgres = await asyncio.to_thread(server.__enter__)
    except NoPostgres as error:
        pytest.skip(str(error))
    try:
        async with running_store(nats_server, tmp_path, url=postgres.url) as store:
            await append(bus, 1)
            await copied(bus)
            await asyncio.to_thread(postgres.stop)
            await says(store.health, "the database does not answer")  # though there is nothing to write
            assert "the database does not answer" in str(await store_problem(bus))
            await append(bus, 2)
            await asyncio.sleep(OUTAGE_S)
            found = await problems(store)
            assert "does not answer" in found["copy"]
            assert postgres.url.split(":")[2].split("@")[0] not in str(found)  # the password
            await asyncio.to_thread(postgres.start)
            await copied(bus)
            await well([store])
    finally:
        await asyncio.to_thread(server.__exit__, None, None, None)


async def test_clock_that_steps_back_costs_no_more_than_a_back_off(
    nats_server: NatsServer, bus: Bus, bus_settings: BusSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A failure is told, and its timer set, when the clock is an hour ahead; then the clock is set right."""
    ahead = timedelta(hours=1)
    right_now, right_epoch = clock.now, clock.epoch_s
    monkeypatch.setattr(clock, "now", lambda: right_now() + ahead)
    monkeypatch.setattr(clock, "epoch_s", lambda: right_epoch() + ahead.total_seconds())
    scenario = Scenario("back", "", script={Service.RESEARCH: [transient]}, policy={"retry_backoff_s": 1})
    async with stage(nats_server, bus, bus_settings) as theatre:
        pipeline = await theatre.submit(scenario)
        await theatre.until(pipeline, lambda state: bool(state.failures))
        await asyncio.sleep(0.2)  # the timer is set
        monkeypatch.setattr(clock, "now", right_now)
        monkeypatch.setattr(clock, "epoch_s", right_epoch)

        state = await theatre.end(pipeline)
        assert state.status is Status.SUCCESS
        for service in theatre.services:
            _, report = await service.health.report()
            assert "was set back by 3600 s" in str(report["warnings"])
    assert decided(await theatre.facts(pipeline)) == ["timer", "research#2", *STEPS]
