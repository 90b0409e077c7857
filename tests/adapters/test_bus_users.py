"""Every user of the bus tries everything: what is its own it may do, all else the server refuses and says so.

What there is to try comes from the contracts (facts, services, subjects) and from JetStream's list of requests, not
from the table of permissions: what that grants is compared here with what is meant.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import nats
import pytest
import pytest_asyncio
from nats.aio.client import Client

from contracts import events as e
from contracts import subjects
from contracts.services import AGENTS, FACES, Service
from infra.runtime.bus import Bus, connect, credentials, options
from infra.runtime.bus_users import ADMIN, USERS
from infra.runtime.durables import durables
from infra.runtime.gate import GATED
from infra.runtime.nats_server import NatsServer
from infra.runtime.object_store import OBJECT_STREAM
from infra.runtime.settings import BusSettings
from tests.support.nats import fast, provision_all

pytestmark = pytest.mark.asyncio(loop_scope="module")

API, EVENTS, TURNS, DEAD = subjects.API, subjects.EVENTS_STREAM, subjects.TURNS_STREAM, subjects.DEAD_STREAM
STREAMS = (EVENTS, TURNS, subjects.TIMERS_STREAM, DEAD, OBJECT_STREAM)
P = "0123456789abcdef0123456789abcdef"
"""A pipeline that nobody has."""

OBJECTS = f"$O.{subjects.ARTIFACTS_BUCKET}"
TAILS = (Service.EVENT_STORE, Service.GATEWAY)
"""Who reads the log by consumers of its own that are forgotten."""


# --- what there is ------------------------------------------------------------------------------


def everything() -> Iterator[str]:
    """Every subject that somebody might publish to, with all that could stand in its places."""
    names = [service.value for service in Service]
    for fact in e.FACTS.values():
        yield subjects.event(P, fact)
        yield subjects.imported(P, fact.TYPE)
    yield from ("pipelines", f"pipelines.{P}", f"pipelines.{P}.made.up")
    for name in names:
        yield from (
            subjects.dead(name, P),
            subjects.attempts(name, "task"),
            f"_INBOX.{name}.x.y",
            f"live.{P}.{name}",
        )
    yield from (subjects.turn("ledger", "request"), subjects.effect("ledger", "request", 1), subjects.account(P))
    yield from (subjects.timer(P, "id"), subjects.timer_fired(P), subjects.progress(P), subjects.cancel(P))
    yield from (subjects.PRESENCE, subjects.CAPABILITIES, subjects.SPANS, subjects.STORE_READY)
    yield from (subjects.query(name) for name in ("state", "made_up"))
    yield from (f"{subjects.REFILL}{subject}" for subject in (subjects.event(P, e.PipelineFailed), "turns.a.b"))
    yield from (f"{OBJECTS}.C.x", f"{OBJECTS}.M.x", f"{OBJECTS}.x", "$O.OTHER.C.x", "$KV.x.y", "anything.else")
    yield from ("$SYS.REQ.SERVER.PING", "$SYS.REQ.ACCOUNT.LOG.CONNZ", "$JS.FC.x", "$NRG.x", "_R_.x", "$JSC.x")
    for api in (API, "$JS.API"):
        yield from (f"{api}.{request}" for request in ("INFO", "ACCOUNT.PURGE.LOG", "META.LEADER.STEPDOWN"))
        yield from (f"{api}.STREAM.{request}" for request in ("NAMES", "LIST", "CREATE.OTHER"))
        yield from (request for stream in STREAMS for request in _of_stream(api, stream))


def _of_stream(api: str, stream: str) -> Iterator[str]:
    verbs = "CREATE UPDATE DELETE INFO PURGE SNAPSHOT RESTORE MSG.GET MSG.DELETE PEER.REMOVE LEADER.STEPDOWN"
    yield from (f"{api}.STREAM.{verb}.{stream}" for verb in verbs.split())
    yield from (f"{api}.DIRECT.GET.{stream}", f"{api}.DIRECT.GET.{stream}.pipelines.x")
    yield from (f"{api}.CONSUMER.{verb}.{stream}" for verb in ("CREATE", "NAMES", "LIST"))
    consumers = {name for service in Service if (name := durables(service).get(stream))}
    for name in (*sorted(consumers), "made_up"):
        verbs = "CREATE DURABLE.CREATE INFO DELETE MSG.NEXT PAUSE UNPIN RESET LEADER.STEPDOWN"
        yield from (f"{api}.CONSUMER.{verb}.{stream}.{name}" for verb in verbs.split())
        yield f"{api}.CONSUMER.CREATE.{stream}.{name}.{subjects.ALL_EVENTS}"
        yield f"$JS.ACK.{stream}.{name}.1.1.1.1.0"


# --- what is meant ------------------------------------------------------------------------------


def own(service: Service) -> set[str]:
    """Of `everything`, what this service's work needs."""
    found = {subjects.event(P, fact) for fact in FACES[service].emits}
    found |= {subjects.STORE_READY, subjects.SPANS, *(f"{API}.STREAM.INFO.{stream}" for stream in STREAMS)}
    for stream, name in durables(service).items():
        found |= {f"{API}.CONSUMER.{verb}.{stream}.{name}" for verb in ("CREATE", "INFO", "MSG.NEXT")}
        found.add(f"$JS.ACK.{stream}.{name}.1.1.1.1.0")
    found |= {f"{API}.DIRECT.GET.{stream}" for stream in _read_by(service)}
    if service is not Service.ROUTER:
        found |= {f"{OBJECTS}.C.x", f"{OBJECTS}.M.x"}
    if service in AGENTS:
        found |= {subjects.turn("ledger", "request"), subjects.effect("ledger", "request", 1), subjects.account(P)}
        found |= {subjects.dead(service, P), subjects.attempts(service, "task"), subjects.progress(P)}
    if service in TAILS:
        found |= {f"{API}.CONSUMER.{verb}.{EVENTS}.made_up" for verb in ("INFO", "MSG.NEXT")}
        found.add(f"{API}.CONSUMER.CREATE.{EVENTS}.made_up.{subjects.ALL_EVENTS}")
    return found | ALONE.get(service, set())


def _read_by(service: Service) -> Sequence[str]:
    if service is Service.ROUTER:
        return (EVENTS,)
    return (EVENTS, TURNS, OBJECT_STREAM) if service in AGENTS else (EVENTS, TURNS, DEAD, OBJECT_STREAM)


ALONE: dict[Service, set[str]] = {
    Service.ROUTER: {subjects.timer(P, "id"), subjects.cancel(P)},
    Service.EVENT_STORE: {
        *(f"{API}.STREAM.{verb}.{stream}" for verb in ("CREATE", "UPDATE") for stream in STREAMS),
        *(f"{API}.STREAM.MSG.GET.{stream}" for stream in GATED),
        *(subject for subject in everything() if subject.startswith(subjects.REFILL)),
    },
    Service.GATEWAY: {
        *(subjects.imported(P, fact) for fact in e.FACTS),
        *(subjects.query(name) for name in ("state", "made_up")),
        subjects.cancel(P),
        subjects.PRESENCE,
        subjects.CAPABILITIES,
    },
}

HEARD: dict[Service, set[str]] = {
    **{agent: {subjects.CANCELS, subjects.PRESENCE, subjects.CAPABILITIES} for agent in AGENTS},
    Service.EVENT_STORE: {subjects.query("*"), subjects.STORE_READY},
    Service.GATEWAY: {subjects.PROGRESS, subjects.SPANS},
}


# --- a bus, and who tries -----------------------------------------------------------------------


@dataclass(frozen=True)
class Place:
    """A provisioned bus, and the operator's connection to it."""

    server: NatsServer
    settings: BusSettings
    bus: Bus


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def place(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Place]:
    folder: Path = tmp_path_factory.mktemp("users")
    settings = fast(folder / "data")
    async with (
        NatsServer(folder / "nats", sync_always=False).running() as server,
        connect(server.settings(ADMIN, settings), ADMIN) as bus,
    ):
        await provision_all(bus, settings)
        yield Place(server, settings, bus)


@dataclass
class Trial:
    """A user's connection, and what the server refused it: its own words, lower case as nats-py gives them."""

    nc: Client
    refused: list[str] = field(default_factory=list)

    async def told(self) -> set[str]:
        """Subjects of the refusals so far; a reply to a PING comes after them, if it was not sent too early."""
        for _ in range(2):
            await self.nc.flush(timeout=10)
        return {text.split('"')[1] for text in self.refused}


@asynccontextmanager
async def trial(place: Place, user: str) -> AsyncIterator[Trial]:
    refused: list[str] = []

    async def hear(error: Exception) -> None:
        assert "permissions violation" in str(error), error
        refused.append(str(error))

    settings = place.server.settings(user, place.settings)
    given = {**options(settings, user), **credentials(settings, user)}
    nc = await nats.connect(settings.servers, error_cb=hear, **given)
    try:
        yield Trial(nc, refused)
    finally:
        await nc.close()


# --- the tests ----------------------------------------------------------------------------------


@pytest.mark.parametrize("service", Service, ids=str)
async def test_user_publishes_what_is_its_own_and_nothing_else(place: Place, service: Service) -> None:
    """Without a reply and with an empty body no request of JetStream does anything."""
    tried = set(everything())
    assert own(service) <= tried
    async with trial(place, service) as user:
        for subject in tried:
            await user.nc.publish(subject)
        refused = await user.told()
    allowed = {subject for subject in tried if _as_checked(service, subject).lower() not in refused}
    meant = {_as_checked(service, subject) for subject in own(service)}
    assert {_as_checked(service, subject) for subject in allowed} == meant


def _as_checked(service: Service, subject: str) -> str:
    """In the log's account there are two ways to say the same, and the server asks about the other one."""
    return subject.replace(API, "$JS.API", 1) if service is Service.EVENT_STORE else subject


@pytest.mark.parametrize("service", Service, ids=str)
async def test_user_hears_what_is_for_it_and_nothing_else(place: Place, service: Service) -> None:
    inboxes = {f"_INBOX.{user}.>" for user in USERS}
    plain = {subject for heard in HEARD.values() for subject in heard}
    streams = {subjects.ALL_EVENTS, subjects.ALL_TURNS, subjects.ALL_ACCOUNTS, subjects.ALL_DEAD}
    tried = {*inboxes, *plain, *streams, ">", "*.>", "live.>", "_INBOX.>", "$JS.>", "$SYS.>", "$O.>", "refill.>"}
    async with trial(place, service) as user:
        for subject in tried:
            await user.nc.subscribe(subject)
        refused = await user.told()
    allowed = {subject for subject in tried if subject.lower() not in refused}
    assert allowed == HEARD.get(service, set()) | {f"_INBOX.{service}.>"}


@pytest.mark.parametrize("service", sorted(set(Service) - {Service.EVENT_STORE}), ids=str)
async def test_server_speaks_for_nobody_in_its_answers(place: Place, service: Service) -> None:
    """A server does not ask whether who wants an answer might publish where it is to go. So each service lets it
    answer, with a message without a body, on everything that is not its own: as a fact, or as a request to delete
    the log."""
    foreign = set(everything()) - own(service)
    before = await _looks(place.bus)
    async with trial(place, service) as user:
        fact = subjects.event(P, FACES[service].emits[0])
        stored = json.loads((await user.nc.request(fact, b"", timeout=5)).data)
        look, get = f"{API}.STREAM.INFO.{EVENTS}", f"{API}.DIRECT.GET.{EVENTS}"
        which = json.dumps({"seq": stored["seq"]}).encode()
        for reply in foreign:
            await user.nc.publish(look, reply=reply)
            await user.nc.publish(get, which, reply=reply)
        await user.told()
        assert (await user.nc.request(get, which, timeout=5)).data == b""
    after = await _looks(place.bus)
    before[EVENTS]["last"] += 1
    assert after == before


async def _looks(bus: Bus) -> dict[str, dict[str, object]]:
    """What each stream is: made when, with what, up to which message, with which durables."""
    found = {}
    for stream in STREAMS:
        info = await bus.js.stream_info(stream)
        durable = {one.name: one.config for one in await bus.js.consumers_info(stream) if one.config.durable_name}
        found[stream] = {
            "created": info.created,
            "config": info.config,
            "last": info.state.last_seq,
            "messages": info.state.messages - info.state.last_seq,
            "durables": durable,
        }
    return found


@pytest.mark.parametrize("subject", [f"{OBJECTS}.C.x", "turns.a.b", subjects.event(P, e.ResearchCompleted)])
async def test_header_purges_no_stream(place: Place, subject: str) -> None:
    async with trial(place, Service.RESEARCH) as user:
        reply = await user.nc.request(subject, b"", headers={"Nats-Rollup": "all"}, timeout=5)
    assert json.loads(reply.data)["error"]["description"] == "rollup not permitted"


@pytest.mark.parametrize("api", [API, "$JS.API"])
async def test_consumer_that_is_pushed_asks_nothing_of_the_server(place: Place, api: str) -> None:
    """Its maker chooses where it delivers, and the server does not ask whether that is allowed either."""
    before = await _looks(place.bus)
    async with trial(place, Service.RESEARCH) as user:
        await user.nc.request(subjects.event(P, e.ResearchCompleted), b"", timeout=5)
        name = Service.RESEARCH.value
        await place.bus.js.delete_consumer(EVENTS, name)
        config = {"name": name, "durable_name": name, "deliver_policy": "all", "ack_policy": "explicit"}
        push = {"deliver_subject": f"{api}.STREAM.DELETE.{DEAD}", "headers_only": True}
        request = json.dumps({"stream_name": EVENTS, "config": config | push}).encode()
        made = await user.nc.request(f"{API}.CONSUMER.CREATE.{EVENTS}.{name}", request, timeout=5)
        await user.told()
    assert "error" not in json.loads(made.data)
    await place.bus.js.delete_consumer(EVENTS, name)
    await provision_all(place.bus, place.settings)
    after = await _looks(place.bus)
    assert after[DEAD] == before[DEAD]
