"""Streams, consumers, permissions and timers on a real server."""

from __future__ import annotations

import asyncio
import shutil
import stat
from datetime import timedelta
from pathlib import Path

import nats.errors
import pytest
from nats.js.api import DiscardPolicy, RetentionPolicy, StorageType
from nats.js.errors import APIError

from contracts import events as e
from contracts import subjects
from contracts.services import AGENTS, FACES, Service
from infra.runtime import clock
from infra.runtime.bus import Bus, connect
from infra.runtime.bus_users import ADMIN
from infra.runtime.health import Health
from infra.runtime.log import Conflict
from infra.runtime.nats_server import NatsServer
from infra.runtime.object_store import OBJECT_STREAM
from infra.runtime.provision import Misconfigured, provision, provisioned
from infra.runtime.settings import BusSettings
from infra.runtime.timers import set_timer
from tests.support.nats import append, submit


async def test_streams_have_the_properties_that_the_log_relies_on(bus: Bus, bus_settings: BusSettings) -> None:
    for name in (subjects.EVENTS_STREAM, subjects.TURNS_STREAM, subjects.DEAD_STREAM):
        config = (await bus.js.stream_info(name)).config
        assert (config.retention, config.storage, config.discard) == (
            RetentionPolicy.LIMITS,
            StorageType.FILE,
            DiscardPolicy.NEW,
        )
        assert (config.deny_delete, config.deny_purge, config.allow_direct) == (True, True, True)
        assert (config.max_age, config.duplicate_window) == (0, 120)
        assert 0 < (config.max_bytes or 0) < 2**40
    events = (await bus.js.stream_info(subjects.EVENTS_STREAM)).config
    assert events.max_bytes == bus_settings.events_max_bytes
    for service in AGENTS:
        consumer = (await bus.js.consumer_info(subjects.EVENTS_STREAM, service.value)).config
        assert (consumer.max_deliver, consumer.ack_wait) == (-1, bus_settings.ack_wait_s)


async def test_facts_can_neither_be_deleted_nor_purged(bus: Bus) -> None:
    await submit(bus)
    with pytest.raises(APIError):
        await bus.js.delete_msg(subjects.EVENTS_STREAM, 1)
    with pytest.raises(APIError):
        await bus.js.purge_stream(subjects.EVENTS_STREAM)


async def test_changed_settings_reach_streams_and_consumers_that_exist(bus: Bus, bus_settings: BusSettings) -> None:
    await submit(bus)
    larger = bus_settings.model_copy(
        update={"events_max_bytes": bus_settings.events_max_bytes * 2, "ack_wait_s": 7.0}
    )
    for service in (Service.EVENT_STORE, Service.RESEARCH):
        await provision(bus.js, service, larger)
    stream = await bus.js.stream_info(subjects.EVENTS_STREAM)
    consumer = await bus.js.consumer_info(subjects.EVENTS_STREAM, "research")
    assert (stream.config.max_bytes, stream.state.messages) == (larger.events_max_bytes, 1)
    assert consumer.config.ack_wait == 7.0
    assert sorted(consumer.config.filter_subjects or ()) == [
        "pipelines.*.pipeline.submitted",
        "pipelines.*.research.requested",
    ]


async def test_stream_from_before_there_were_accounts_takes_them(bus: Bus, bus_settings: BusSettings) -> None:
    config = (await bus.js.stream_info(subjects.TURNS_STREAM)).config
    await bus.js.update_stream(config.evolve(subjects=[subjects.ALL_TURNS, subjects.ALL_ATTEMPTS]))
    await bus.js.publish(subjects.turn("task", "request"), b"{}")
    await provision(bus.js, Service.EVENT_STORE, bus_settings)
    assert (await bus.js.publish(subjects.account("0" * 32), b"{}")).seq == 2


async def test_store_from_before_there_were_accounts_is_adopted(
    tmp_path: Path, provisioned_store: Path, bus_settings: BusSettings
) -> None:
    server = NatsServer(tmp_path / "nats")
    shutil.copytree(provisioned_store / "jetstream" / subjects.LOG_ACCOUNT, server.store / "jetstream" / "$G")
    async with server.running(), connect(server.settings(ADMIN, bus_settings), ADMIN) as bus:
        assert (await bus.js.stream_info(subjects.EVENTS_STREAM)).state.consumer_count == len(AGENTS) + 1


async def test_bucket_that_a_header_could_purge_is_made_one_that_it_cannot(
    bus: Bus, bus_settings: BusSettings
) -> None:
    ref = await bus.artifacts.put(b"kept", "text/plain")
    config = (await bus.js.stream_info(OBJECT_STREAM)).config
    await bus.js.update_stream(config.evolve(allow_rollup_hdrs=True))
    await provision(bus.js, Service.EVENT_STORE, bus_settings)
    assert not (await bus.js.stream_info(OBJECT_STREAM)).config.allow_rollup_hdrs
    assert await bus.artifacts.get(ref) == b"kept"


async def test_durable_of_another_layout_is_brought_up_to_date(bus: Bus, bus_settings: BusSettings) -> None:
    config = (await bus.js.consumer_info(subjects.EVENTS_STREAM, "research")).config
    await bus.js.add_consumer(subjects.EVENTS_STREAM, config.evolve(filter_subjects=["pipelines.*.old.subject"]))
    await provision(bus.js, Service.RESEARCH, bus_settings)
    config = (await bus.js.consumer_info(subjects.EVENTS_STREAM, "research")).config
    assert "pipelines.*.pipeline.submitted" in (config.filter_subjects or ())


async def test_all_services_may_start_at_the_same_moment(
    nats_server: NatsServer, bus_settings: BusSettings
) -> None:
    async def start(service: Service) -> None:
        settings = nats_server.settings(service, bus_settings)
        async with connect(settings, service.value) as bus:
            if service is not Service.EVENT_STORE:
                await provisioned(bus.js, service, settings, Health())
            await provision(bus.js, service, settings)

    await asyncio.gather(*(start(service) for service in Service))


async def test_more_replicas_than_servers_is_a_clear_error(
    nats_server: NatsServer, bus_settings: BusSettings
) -> None:
    settings = nats_server.settings(Service.EVENT_STORE, bus_settings).model_copy(update={"replicas": 3})
    async with connect(settings, "event_store") as bus:
        with pytest.raises(Misconfigured, match=r"stream .*replicas"):
            await provision(bus.js, Service.EVENT_STORE, settings)


async def test_timer_fires_once_for_its_subject_and_a_second_setting_replaces_it(bus: Bus) -> None:
    pipeline = clock.new_id()
    await set_timer(bus, pipeline, "late", clock.now() + timedelta(seconds=60))
    await set_timer(bus, pipeline, "soon", clock.now() + timedelta(seconds=60))
    await set_timer(bus, pipeline, "soon", clock.now() + timedelta(seconds=1))
    sub = await bus.js.pull_subscribe_bind(durable="router-timers", stream=subjects.TIMERS_STREAM)
    (msg,) = await sub.fetch(1, timeout=5)
    assert (msg.data, msg.subject) == (b"soon", subjects.timer_fired(pipeline))
    await msg.ack_sync()
    with pytest.raises(nats.errors.TimeoutError):
        await sub.fetch(1, timeout=0.5)


async def test_timer_of_the_past_fires_at_once(bus: Bus) -> None:
    await set_timer(bus, clock.new_id(), "overdue", clock.now() - timedelta(seconds=5))
    sub = await bus.js.pull_subscribe_bind(durable="router-timers", stream=subjects.TIMERS_STREAM)
    (msg,) = await sub.fetch(1, timeout=3)
    assert msg.data == b"overdue"


# --- permissions ---------------------------------------------------------------------------------


@pytest.fixture
def hasty(bus_settings: BusSettings) -> BusSettings:
    return bus_settings.model_copy(update={"request_timeout_s": 0.3})


async def test_service_publishes_its_own_facts_only(bus: Bus, nats_server: NatsServer, hasty: BusSettings) -> None:
    pipeline = await submit(bus)
    ref = await bus.artifacts.put(b"{}", "application/json")
    own = e.ResearchCompleted(blueprint=ref, streams=1)
    foreign: tuple[e.Fact, ...] = (
        e.PipelineCompleted(outcome="success", version="1"),
        e.ReviewApproved(report=ref, score=100),
        e.PipelineSubmitted(name="x"),
    )
    async with connect(nats_server.settings(Service.RESEARCH, hasty), "research") as research:
        await append(research, pipeline, own, source="research")
        for fact in foreign:
            with pytest.raises(Conflict):  # the server drops it and no acknowledgement ever comes
                await append(research, pipeline, fact, source="research")
    facts = [envelope.type for _, envelope in await bus.log.history(pipeline)]
    assert facts == ["pipeline.submitted", "research.completed"]


@pytest.mark.parametrize("service", list(Service))
async def test_every_service_does_its_work_with_its_own_user(
    bus: Bus, nats_server: NatsServer, hasty: BusSettings, service: Service
) -> None:
    settings = nats_server.settings(service, hasty)
    async with connect(settings, service.value) as own:
        await provision(own.js, service, settings)
        pipeline = await submit(bus)
        assert len(await own.log.history(pipeline)) == 1
        for fact in FACES[service].emits:
            subject = subjects.event(pipeline, fact)
            assert (await own.js.publish(subject, b"{}")).stream == subjects.EVENTS_STREAM
        if service is not Service.ROUTER:
            ref = await own.artifacts.put(service.value.encode(), "text/plain")
            assert await own.artifacts.get(ref) == service.value.encode()
        if service in AGENTS:
            for subject in (subjects.turn("t", "r"), subjects.effect("t", "r", 1), subjects.account(pipeline)):
                assert (await own.js.publish(subject, b"{}")).stream == subjects.TURNS_STREAM
        if service in {*AGENTS, Service.GATEWAY}:
            await bus.js.publish(subjects.account(pipeline), b"{}")
            assert await own.reader.last(subjects.TURNS_STREAM, subjects.account(pipeline))
        if service in {*AGENTS, Service.ROUTER}:
            sub = await own.js.pull_subscribe_bind(durable=service.value, stream=subjects.EVENTS_STREAM)
            assert (await sub.consumer_info()).name == service.value
        if service is Service.ROUTER:
            await set_timer(own, pipeline, "t", clock.now())


async def test_nobody_gets_in_without_a_password(nats_server: NatsServer, hasty: BusSettings) -> None:
    with pytest.raises(nats.errors.Error):
        await nats.connect(nats_server.url, allow_reconnect=False, connect_timeout=2)


def test_passwords_are_in_files_that_only_their_owner_reads(nats_server: NatsServer) -> None:
    files = [nats_server.folder / "nats.conf", *(nats_server.folder / "passwords").iterdir()]
    assert len(files) == 2 + len(Service)
    for file in files:
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
