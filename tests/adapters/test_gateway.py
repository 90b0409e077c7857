"""The gateway over real HTTP, on a real bus with a real event store."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
from nats.aio.msg import Msg
from pydantic import SecretStr

from contracts import events as e
from contracts import subjects
from contracts.artifacts import ArtifactRef
from contracts.catalogue import CatalogueEntry
from contracts.envelope import Envelope
from contracts.pipeline import fold
from contracts.queries import Answer, Capability, HistoryQuery, Refusal
from contracts.services import Service
from gateway.reads import Reads
from gateway.settings import Settings
from gateway.store import Store
from infra.runtime.bus import Bus, connect
from infra.runtime.nats_server import NatsServer
from infra.runtime.service import serving
from infra.runtime.settings import BusSettings
from services.event_store.handler import store
from services.event_store.settings import Settings as StoreSettings
from tests.support.facts import life, pipeline_id
from tests.support.gateway import Sent, running_gateway, sent_events
from tests.support.nats import append

SPEC = {"connector_name": "acme", "spec_url": "https://api.example.com/openapi.json"}
DOCUMENT = b'{"openapi": "3.1.0", "info": {"title": "Acme", "version": "1"}, "paths": {}}'


@asynccontextmanager
async def event_store(server: NatsServer, settings: BusSettings) -> AsyncIterator[None]:
    setup = store(StoreSettings(artifact_patience_s=0.1))
    async with serving(Service.EVENT_STORE, setup, server.settings(Service.EVENT_STORE, settings)):
        yield


@asynccontextmanager
async def gateway(server: NatsServer, settings: BusSettings, **own: Any) -> AsyncIterator[httpx2.AsyncClient]:
    wanted = Settings(**{"capability_timeout_s": 0.1, "capability_cache_s": 0, **own})
    async with running_gateway(wanted, server.settings(Service.GATEWAY, settings)) as client:
        yield client


@pytest.fixture
async def client(nats_server: NatsServer, bus: Bus, bus_settings: BusSettings) -> AsyncIterator[httpx2.AsyncClient]:
    async with event_store(nats_server, bus_settings), gateway(nats_server, bus_settings) as client:
        yield client


def problem(response: httpx2.Response, status: int) -> dict[str, Any]:
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    body: dict[str, Any] = response.json()
    assert body["status"] == status
    assert "Traceback" not in response.text
    return body


async def put_life(bus: Bus, number: int, facts: int = 12) -> list[Envelope]:
    ref = await bus.artifacts.put(b"{}", "application/json")
    events = life(pipeline_id(number), artifact=ref)[:facts]
    for event in events:
        _, last = await bus.log.read(event.pipeline)
        await bus.log.append(event, expected_last=last)
    return events


# --- submitting ---------------------------------------------------------------------------------


async def test_what_is_accepted_is_in_the_log_and_seen_at_once(client: httpx2.AsyncClient, bus: Bus) -> None:
    response = await client.post("/generate", json={**SPEC, "policy": {"test_repairs": 1}})
    assert response.status_code == 202, response.text
    body = response.json()
    facts = await bus.log.history(body["pipeline_id"])
    submitted = facts[0][1].fact()
    assert isinstance(submitted, e.PipelineSubmitted)
    assert (submitted.name, submitted.spec_url, submitted.policy.test_repairs) == ("acme", SPEC["spec_url"], 1)
    assert facts[0][1].source == "gateway"
    assert response.headers["location"] == body["links"]["self"]
    seen = (await client.get(body["links"]["self"])).json()
    assert (seen["name"], seen["status"], seen["position"]) == ("acme", "running", 1)
    assert [task["service"] for task in seen["tasks"]] == ["research"]
    listed = (await client.get("/pipelines?name=acme&status=running")).json()
    assert [line["pipeline"]["id"] for line in listed["pipelines"]] == [body["pipeline_id"]]


@pytest.mark.parametrize("way", ["object", "text", "form"])
async def test_a_document_is_stored_before_the_fact_that_names_it(
    client: httpx2.AsyncClient, bus: Bus, way: str
) -> None:
    if way == "form":
        fields = {
            "connector_name": "acme",
            "connector_type": "source",
            "engine": "offline",
            "policy": '{"researches": 0}',
        }
        response = await client.post("/generate", data=fields, files={"document": ("a.json", DOCUMENT)})
    else:
        given = json.loads(DOCUMENT) if way == "object" else DOCUMENT.decode()
        response = await client.post("/generate", json={"connector_name": "acme", "document": given})
    assert response.status_code == 202, response.text
    submitted = (await bus.log.history(response.json()["pipeline_id"]))[0][1].fact()
    assert isinstance(submitted, e.PipelineSubmitted)
    assert submitted.document is not None
    assert json.loads(await bus.artifacts.get(submitted.document)) == json.loads(DOCUMENT)


async def test_the_same_key_is_the_same_pipeline_and_another_request_is_refused(
    client: httpx2.AsyncClient, bus: Bus
) -> None:
    headers = {"Idempotency-Key": "order 66"}
    answers = await asyncio.gather(*(client.post("/generate", json=SPEC, headers=headers) for _ in range(5)))
    assert {answer.status_code for answer in answers} == {202}
    bodies = [answer.json() for answer in answers]
    assert all(body == bodies[0] for body in bodies)
    assert len(await bus.log.history(bodies[0]["pipeline_id"])) == 1
    other = await client.post("/generate", json={**SPEC, "connector_name": "other"}, headers=headers)
    assert problem(other, 422)["type"].endswith("key-reused")


async def test_a_submit_whose_acknowledgement_does_not_come_is_asked_for_again_with_its_id(
    nats_server: NatsServer, bus: Bus, bus_settings: BusSettings
) -> None:
    hasty = bus_settings.model_copy(update={"request_timeout_s": 0.2})
    async with event_store(nats_server, bus_settings), gateway(nats_server, hasty) as client:
        assert nats_server.pid is not None
        os.kill(nats_server.pid, signal.SIGSTOP)
        answer = asyncio.create_task(client.post("/generate", json=SPEC))
        try:
            await asyncio.sleep(1)
        finally:
            os.kill(nats_server.pid, signal.SIGCONT)
        response = await answer
    assert response.status_code == 202, response.text
    stored = await bus.reader.since(subjects.EVENTS_STREAM, subjects.any_pipeline(e.PipelineSubmitted))
    assert [message.subject.split(".")[1] for message in stored] == [response.json()["pipeline_id"]]


async def test_without_document_or_model_there_is_nothing_to_go_on(
    client: httpx2.AsyncClient, nats_server: NatsServer
) -> None:
    body = {"connector_name": "google-sheets", "connector_type": "source"}
    claude = {**SPEC, "engine": "claude"}

    async def lacking(sent: dict[str, str]) -> str:
        return problem(await client.post("/generate", json=sent), 422)["detail"].partition("without a model: ")[2]

    detail = problem(await client.post("/generate", json=body), 422)["detail"]
    assert "without a document" in detail
    assert "spec_url" in detail
    assert await lacking(body) == await lacking(claude) == "research and generator)"
    async with announcing(nats_server, Service.RESEARCH):
        assert await lacking(body) == await lacking(claude) == "generator)"
        async with announcing(nats_server, Service.GENERATOR):
            assert (await client.post("/generate", json=body)).status_code == 202
            assert (await client.post("/generate", json=claude)).status_code == 202
            assert problem(await client.post("/generate", json={**body, "engine": "offline"}), 422)


@asynccontextmanager
async def announcing(server: NatsServer, service: Service) -> AsyncIterator[None]:
    """An agent with a model, as far as others can tell."""

    async def answer(msg: Msg) -> None:
        await msg.respond(Capability(service=service, models=("claude-opus-4-5",)).model_dump_json().encode())

    async with connect(server.settings(service), service) as agent:
        await agent.nc.subscribe(subjects.CAPABILITIES, cb=answer)
        for _ in range(2):
            await agent.nc.flush()
        yield


BAD_INPUT: tuple[tuple[bytes, dict[str, str], int, str], ...] = (
    (b"{", {}, 400, "no JSON"),
    (b"[" * 100_000, {}, 400, "no JSON"),
    (b"\xff\xfe", {}, 400, "no JSON"),
    (b"null", {}, 422, "JSON object"),
    (b'{"connector_name": "../../.."}', {}, 422, "single hyphens"),
    (b'{"connector_name": "a", "connector_type": "destination"}', {}, 422, "come later"),
    (b'{"connector_name": "a", "document": {"x": 1}}', {}, 422, "no OpenAPI"),
    (b'{"connector_name": "a", "document": "<html>"}', {}, 422, "web page"),
    (b'{"connector_name": "a", "spec_url": "file:///etc/passwd"}', {}, 422, "http"),
    (b'{"connector_name": "a", "spec_url": "http://127.0.0.1/"}', {}, 422, "not public"),
    (b"a=b", {"content-type": "application/x-www-form-urlencoded"}, 415, "JSON"),
    (b"x", {"content-type": "multipart/form-data"}, 400, "form"),
    (b"{}", {"content-type": "application/json", "idempotency-key": "x" * 256}, 422, "255"),
)


async def test_bad_input_is_a_problem_that_says_what_and_where(client: httpx2.AsyncClient, bus: Bus) -> None:
    for content, headers, status, words in BAD_INPUT:
        answer = await client.post(
            "/generate", content=content, headers={"content-type": "application/json", **headers}
        )
        assert words in problem(answer, status)["detail"], content[:100]
    assert (await bus.js.stream_info(subjects.EVENTS_STREAM)).state.messages == 0


async def test_too_large_a_document_is_refused_while_it_comes(
    nats_server: NatsServer, bus: Bus, bus_settings: BusSettings
) -> None:
    async with gateway(nats_server, bus_settings, max_document_bytes=100_000, max_json_bytes=50_000) as client:
        at_limit = b"openapi: 3.0.0\n".ljust(100_000)
        sent = {"connector_name": "acme"}
        ok = await client.post("/generate", data=sent, files={"document": ("a.yaml", at_limit)})
        assert ok.status_code == 202, ok.text
        over = await client.post("/generate", data=sent, files={"document": ("a.yaml", at_limit + b"x")})
        assert "100,000" in problem(over, 413)["detail"]
        big = json.dumps({"connector_name": "acme", "document": "x" * 60_000}).encode()
        headers = {"content-type": "application/json"}
        assert "form" in problem(await client.post("/generate", content=big, headers=headers), 413)["detail"]
        assert await _endless(client) == 413


async def test_recorded_answers_are_stored_without_credentials_or_refused(
    client: httpx2.AsyncClient, bus: Bus
) -> None:
    sent = {"connector_name": "acme", "spec_url": SPEC["spec_url"]}
    url = "https://api.acme.io/things?api_key=s3cr3t-key&page=2"
    entry = {
        "request": {"method": "GET", "url": url, "headers": [{"name": "Cookie", "value": "sid=s3cr3t-sid"}]},
        "response": {"status": 200, "content": {"mimeType": "application/json", "text": '[{"id": "s3cr3t-sid"}]'}},
    }
    recording = json.dumps({"log": {"entries": [entry]}}).encode()
    made = await client.post("/generate", data=sent, files={"answers": ("a.har", recording)})
    assert made.status_code == 202, made.text
    ((_, stored),) = await bus.log.history(made.json()["pipeline_id"])
    fact = stored.fact()
    assert isinstance(fact, e.PipelineSubmitted)
    assert fact.answers is not None
    kept = await bus.artifacts.get(fact.answers)
    assert b"s3cr3t" not in kept
    assert b'"/things"' in kept
    bad = await client.post("/generate", data=sent, files={"answers": ("a.har", b"no har")})
    assert problem(bad, 422)["errors"][0]["pointer"] == "#/answers"
    both = {"answers": ("a.har", recording), "document": ("a.json", DOCUMENT)}
    assert (await client.post("/generate", data={"connector_name": "acme"}, files=both)).status_code == 202


async def _endless(client: httpx2.AsyncClient) -> int:
    """The status that answers a form that never ends, sent in chunks without a length."""
    reader, writer = await asyncio.open_connection(client.base_url.host, client.base_url.port)
    writer.write(
        b"POST /generate HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n"
        b"Content-Type: multipart/form-data; boundary=b\r\n\r\n"
    )
    head = b'--b\r\nContent-Disposition: form-data; name="document"; filename="x"\r\n\r\n'
    writer.write(b"%x\r\n%b\r\n" % (len(head), head))
    answer = asyncio.create_task(reader.readline())
    try:
        for _ in range(10_000):
            writer.write(b"10000\r\n" + b"x" * 65536 + b"\r\n")
            await asyncio.wait({answer}, timeout=0.002)
            if answer.done():
                break
            await writer.drain()
    except ConnectionError:
        pass
    status = int((await asyncio.wait_for(answer, 5)).split()[1])
    writer.close()
    return status


# --- reading ------------------------------------------------------------------------------------


async def test_history_and_state_at_n_are_those_of_the_log(client: httpx2.AsyncClient, bus: Bus) -> None:
    events = await put_life(bus, 7)
    id = pipeline_id(7)
    await _until_known(client, id, 12)
    page = (await client.get(f"/pipelines/{id}/events?limit=5")).json()
    seen = page["events"]
    while page["next"]:
        page = (await client.get(page["next"])).json()
        seen += page["events"]
    assert [Envelope.model_validate(fact["event"]) for fact in seen] == events
    assert [fact["position"] for fact in seen] == list(range(1, 13))
    at_6 = (await client.get(f"/pipelines/{id}/state?at=6")).json()
    assert at_6["state"] == fold(events[:6]).model_dump(mode="json")
    assert problem(await client.get(f"/pipelines/{id}/state?at=13"), 404)
    now = (await client.get(f"/pipelines/{id}")).json()
    assert (now["status"], now["version"], now["tasks"]) == ("success", "0.1.0", [])


async def test_what_was_shown_from_the_log_is_not_missing_from_the_next_answer(bus: Bus) -> None:
    """A copy that is behind refuses what needs more than it has; what it has it would show."""
    events = await put_life(bus, 8)
    asked: list[int] = []

    async def behind(message: Msg) -> None:
        asked.append(HistoryQuery.model_validate_json(message.data).min_seq)
        await message.respond(Answer[None](refusal=Refusal(kind="behind", what="wait")).model_dump_json().encode())

    await bus.nc.subscribe(subjects.query("history"), cb=behind)
    reads = Reads(Store(bus.nc, timeout_s=5), bus.log)
    pages = [await reads.history(pipeline_id(8)) for _ in range(2)]
    assert [page.position for page in pages] == [len(events)] * 2
    assert asked == [0, pages[0].events[-1].sequence]


async def _until_known(client: httpx2.AsyncClient, id: str, position: int) -> None:
    async with asyncio.timeout(10):
        while (await client.get(f"/pipelines/{id}/events?limit=1")).json()["position"] < position:
            await asyncio.sleep(0.01)


NOT_THERE = (
    (f"/pipelines/{pipeline_id(404)}", 404),
    (f"/pipelines/{pipeline_id(404)}/events", 404),
    (f"/pipelines/{pipeline_id(404)}/state", 404),
    (f"/pipelines/{pipeline_id(404)}/live", 404),
    (f"/pipelines/{pipeline_id(404)}/costs", 404),
    (f"/pipelines/{pipeline_id(404)}/package", 404),
    ("/pipelines/..%2f..%2fetc", 404),
    ("/pipelines/xyz", 422),
    ("/pipelines?status=odd", 422),
    ("/pipelines?limit=0", 422),
    ("/nothing", 404),
    ("/connectors/acme", 404),
    ("/connectors/acme/0.1.0/..%2f..%2fsecret", 404),
)


async def test_what_is_not_there_is_a_problem(client: httpx2.AsyncClient) -> None:
    for path, status in NOT_THERE:
        assert problem(await client.get(path), status)["detail"]


async def test_a_pipeline_is_read_from_the_log_while_the_store_is_away(
    nats_server: NatsServer, bus: Bus, bus_settings: BusSettings
) -> None:
    async with gateway(nats_server, bus_settings, store_timeout_s=0.3) as client:
        events = await put_life(bus, 3)
        at_4 = (await client.get(f"/pipelines/{pipeline_id(3)}/state?at=4")).json()
        assert at_4["state"] == fold(events[:4]).model_dump(mode="json")
        page = (await client.get(f"/pipelines/{pipeline_id(3)}/events?after=10")).json()
        assert [fact["position"] for fact in page["events"]] == [11, 12]
        assert problem(await client.get("/pipelines"), 503)
        ready = await client.get("/readyz")
        assert ready.status_code == 503
        assert "event_store" in ready.json()["problems"]
        assert (await client.get("/healthz")).status_code == 200


# --- live ---------------------------------------------------------------------------------------


async def take(client: httpx2.AsyncClient, id: str, last: int | None = None, limit: int = 100) -> list[Sent]:
    headers = {} if last is None else {"Last-Event-ID": str(last)}
    seen = []
    async with client.stream("GET", f"/pipelines/{id}/live", headers=headers) as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        async for event in sent_events(response):
            seen.append(event)
            if len(seen) == limit:
                break
    return seen


async def test_the_live_stream_shows_facts_and_progress_and_ends_with_the_last(
    client: httpx2.AsyncClient, bus: Bus
) -> None:
    ref = await bus.artifacts.put(b"{}", "application/json")
    id = pipeline_id(5)
    events = life(id, artifact=ref)
    await bus.log.append(events[0], expected_last=0)
    watching = [asyncio.create_task(take(client, id)) for _ in range(3)]
    leaving = await take(client, id, limit=1)  # somebody who goes away changes nothing
    assert leaving[0].data["id"] == events[0].id
    await asyncio.sleep(0.3)
    await bus.nc.publish(subjects.progress(id), b'{"service": "research", "message": "reading"}')
    await bus.nc.publish(subjects.progress(id), b"not json")
    for event in events[1:]:
        _, last = await bus.log.read(id)
        await bus.log.append(event, expected_last=last)
    for task in watching:
        seen = await asyncio.wait_for(task, 10)
        facts = [event for event in seen if event.event == "fact"]
        assert [(fact.id, fact.data["id"]) for fact in facts] == [
            (str(position), event.id) for position, event in enumerate(events, start=1)
        ]
        progress = [event for event in seen if event.event == "progress"]
        assert [(event.id, event.data["message"]) for event in progress] == [(None, "reading")]
    assert [fact.data["id"] for fact in await take(client, id, last=9)] == [event.id for event in events[9:]]
    async with client.stream("GET", f"/pipelines/{id}/live", headers={"Last-Event-ID": "12"}) as response:
        assert response.status_code == 204
    assert len(await bus.log.history(id)) == 12


async def test_the_live_stream_outlives_a_restart_of_the_bus(
    nats_server: NatsServer, bus: Bus, bus_settings: BusSettings
) -> None:
    async with (
        event_store(nats_server, bus_settings),
        gateway(nats_server, bus_settings, heartbeat_s=0.5) as client,
    ):
        events = await put_life(bus, 6, facts=4)
        id = pipeline_id(6)
        watching = asyncio.create_task(take(client, id))
        await asyncio.sleep(0.3)
        await nats_server.kill()
        await nats_server.start()
        ref = ArtifactRef.of(b"{}", "application/json")
        async with asyncio.timeout(20):
            while not bus.nc.is_connected:
                await asyncio.sleep(0.02)
        for event in life(id, artifact=ref)[4:]:
            _, last = await bus.log.read(id)
            await bus.log.append(event, expected_last=last)
            events.append(event)
        seen = await asyncio.wait_for(watching, 20)
        assert [event.data["id"] for event in seen] == [event.id for event in events]


# --- asking for something -----------------------------------------------------------------------


async def test_a_cancel_is_written_once_and_broadcast_each_time(
    client: httpx2.AsyncClient, bus: Bus, nats_server: NatsServer
) -> None:
    await put_life(bus, 1, facts=3)
    id = pipeline_id(1)
    heard: list[str] = []

    async def hear(msg: Any) -> None:
        heard.append(msg.subject)

    async with connect(nats_server.settings(Service.TESTER), Service.TESTER) as agent:
        await agent.nc.subscribe(subjects.CANCELS, cb=hear)
        for _ in range(2):
            await agent.nc.flush()
        for _ in range(3):
            assert (await client.post(f"/pipelines/{id}/cancel")).status_code == 202
        facts = await bus.log.history(id)
        assert [event.type for _, event in facts].count("pipeline.cancel_requested") == 1
        assert (await client.get(f"/pipelines/{id}")).json()["cancel_requested"] is True
        await append(bus, id, e.PipelineCancelled(), source="router", causation=facts[-1][1].id)
        assert (await client.post(f"/pipelines/{id}/cancel")).status_code == 202
        await agent.nc.flush()
    assert heard == [subjects.cancel(id)] * 4


async def test_what_has_ended_cannot_be_changed(client: httpx2.AsyncClient, bus: Bus) -> None:
    await put_life(bus, 2)
    answer = {"request": "0" * 32, "decision": "granted"}
    for request, body in {"cancel": None, "pause": None, "resume": None, "approval": answer}.items():
        problem(await client.post(f"/pipelines/{pipeline_id(2)}/{request}", json=body), 409)
        problem(await client.post(f"/pipelines/{pipeline_id(404)}/{request}", json=body), 404)
    assert len(await bus.log.history(pipeline_id(2))) == 12


async def test_pause_and_resume_set_a_level(client: httpx2.AsyncClient, bus: Bus) -> None:
    await put_life(bus, 1, facts=1)
    id = pipeline_id(1)
    for request in ("resume", "pause", "pause", "resume", "resume", "pause"):
        assert (await client.post(f"/pipelines/{id}/{request}")).status_code == 202
    said = [event.type for _, event in await bus.log.history(id)][1:]
    assert said == ["pipeline.pause_requested", "pipeline.resume_requested", "pipeline.pause_requested"]


@pytest.mark.parametrize("decision", ["granted", "denied"])
async def test_an_approval_names_the_request_that_it_answers(
    client: httpx2.AsyncClient, bus: Bus, decision: str
) -> None:
    events = await put_life(bus, 1, facts=9)
    id = pipeline_id(1)
    decided = {"policy_hash": "0" * 12, "code_version": "test"}
    answer = {"request": "0" * 32, "decision": decision, "by": "ada", "reason": "seen"}
    assert problem(await client.post(f"/pipelines/{id}/approval", json=answer), 409)["type"].endswith(
        "nothing-to-approve"
    )
    request = e.ApprovalRequested(outcome="success", **decided)
    asked = await append(bus, id, request, source="router", causation=events[-1].id)
    async with asyncio.timeout(10):
        while (await client.get(f"/pipelines/{id}")).json()["approval"] != asked.id:
            await asyncio.sleep(0.02)
    other = problem(await client.post(f"/pipelines/{id}/approval", json=answer), 409)
    assert other["type"].endswith("another-request")
    assert asked.id in other["detail"]

    answer["request"] = asked.id
    for _ in range(2):
        said = await client.post(f"/pipelines/{id}/approval", json=answer)
        assert said.status_code == 202, said.text
    otherwise = {"granted": "denied", "denied": "granted"}[decision]
    late = await client.post(f"/pipelines/{id}/approval", json={**answer, "decision": otherwise})
    assert problem(late, 409)["type"].endswith("answered-otherwise")
    facts = [event for _, event in await bus.log.history(id)]
    assert [fact.type for fact in facts[9:]] == ["approval.requested", f"approval.{decision}"]
    assert facts[-1].data == {"request": asked.id, "by": "ada", "reason": "seen"}


async def test_approval_may_be_asked_for_in_the_submit(client: httpx2.AsyncClient, bus: Bus) -> None:
    for body in ({"approval": "required"}, {"policy": {"approval": "required"}}):
        accepted = (await client.post("/generate", json={**SPEC, **body})).json()
        submitted = (await bus.log.history(accepted["pipeline_id"]))[0][1].fact()
        assert isinstance(submitted, e.PipelineSubmitted)
        assert submitted.policy.approval == "required"
    twice = {"approval": "required", "policy": {"approval": "none"}}
    assert "twice" in problem(await client.post("/generate", json={**SPEC, **twice}), 422)["detail"]


# --- forking ------------------------------------------------------------------------------------


async def test_a_fork_is_begun_once_with_what_differs(client: httpx2.AsyncClient, bus: Bus) -> None:
    events = await put_life(bus, 1)
    id = pipeline_id(1)
    body = {"at": 7, "policy": {"code_repairs": 7}, "engine": "offline"}
    headers = {"Idempotency-Key": "again"}
    answers = [await client.post(f"/pipelines/{id}/fork", json=body, headers=headers) for _ in range(2)]
    assert {answer.status_code for answer in answers} == {202}
    accepted = answers[0].json()
    assert answers[1].json() == accepted
    fork = accepted["pipeline_id"]
    assert answers[0].headers["location"] == f"/pipelines/{fork}" == accepted["links"]["self"]
    own = [event for _, event in await bus.log.history(fork)]
    assert [event.type for event in own] == ["pipeline.forked"]
    seen = (await client.get(accepted["links"]["self"])).json()
    assert (seen["parent"], seen["forked_at"], seen["position"], seen["name"]) == (id, 7, 8, "acme")
    history = (await client.get(f"/pipelines/{fork}/events")).json()
    assert [recorded["event"]["id"] for recorded in history["events"]] == [
        event.id for event in [*events[:7], *own]
    ]
    state = (await client.get(f"/pipelines/{fork}/state")).json()["state"]
    assert (state["policy"]["code_repairs"], state["policy"]["test_repairs"]) == (7, 3)
    assert state["engine"] == "offline"
    listed = (await client.get("/pipelines")).json()["pipelines"]
    assert [(line["pipeline"]["id"], line["pipeline"]["name"]) for line in listed] == [(fork, "acme"), (id, "acme")]
    again = await client.post(f"/pipelines/{id}/fork", json={"at": 6}, headers=headers)
    assert problem(again, 422)["type"].endswith("key-reused")


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ({"at": 0}, "#/at"),
        ({"at": 13}, "has 12 facts"),
        ({"at": 12}, "fork at 11 or before"),
        ({}, "#/at"),
        ({"at": 3, "policy": {"code_repair": 1}}, "#/policy/code_repair"),
        ({"at": 3, "policy": {"partial_percent": 10}}, "research_percent must not exceed"),
        ({"at": 3, "engine": "claude"}, "without a model: research and generator"),
        ({"at": 3, "until": 5}, "#/until"),
    ],
)
async def test_a_fork_that_makes_no_sense_is_refused(
    client: httpx2.AsyncClient, bus: Bus, body: dict[str, Any], says: str
) -> None:
    await put_life(bus, 1)
    refused = await client.post(f"/pipelines/{pipeline_id(1)}/fork", json=body)
    assert re.search(says, problem(refused, 422)["detail"])
    problem(await client.post(f"/pipelines/{pipeline_id(404)}/fork", json={"at": 1}), 404)
    await client.get(f"/pipelines/{pipeline_id(1)}")  # the list has what was seen, however late the copy is
    assert len((await client.get("/pipelines")).json()["pipelines"]) == 1


# --- who may ask --------------------------------------------------------------------------------


async def test_foreign_names_and_pages_are_turned_away(client: httpx2.AsyncClient) -> None:
    assert problem(await client.get("/pipelines", headers={"Host": "evil.example:8002"}), 421)
    for headers in ({"Origin": "http://evil.example"}, {"Sec-Fetch-Site": "cross-site"}, {"Origin": "null"}):
        assert problem(await client.post("/generate", json=SPEC, headers=headers), 403)
    own = {"Origin": str(client.base_url).rstrip("/")}
    ok = await client.post("/generate", json=SPEC, headers=own)
    assert ok.status_code == 202
    assert "access-control-allow-origin" not in ok.headers


async def test_with_a_token_nothing_is_told_without_it(
    nats_server: NatsServer, bus: Bus, bus_settings: BusSettings
) -> None:
    async with gateway(nats_server, bus_settings, token=SecretStr("open sesame 123")) as client:
        for path in ("/pipelines", "/connectors", "/openapi.json", "/metrics", f"/pipelines/{pipeline_id(1)}/live"):
            answer = await client.get(path)
            assert problem(answer, 401)
            assert answer.headers["www-authenticate"].startswith("Bearer")
        assert problem(await client.post("/generate", json=SPEC, headers={"Authorization": "Bearer open"}), 401)
        headers = {"Authorization": "Bearer open sesame 123"}
        assert (await client.post("/generate", json=SPEC, headers=headers)).status_code == 202
        assert (await client.get("/")).status_code == 200
        assert (await client.get("/healthz")).status_code == 200


async def test_an_unexpected_error_is_told_without_its_trace(
    client: httpx2.AsyncClient, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def explode(*_: object) -> None:
        raise RuntimeError("secret internals")

    monkeypatch.setattr("gateway.catalogue.Catalogue.names", explode)
    body = problem(await client.get("/connectors"), 500)
    assert "secret internals" not in json.dumps(body)
    assert body["detail"].rpartition(" ")[2] in caplog.text


# --- what is published --------------------------------------------------------------------------


async def test_published_versions_are_listed_and_downloaded(
    nats_server: NatsServer, bus: Bus, bus_settings: BusSettings, tmp_path: Path
) -> None:
    for version in ("0.2.0", "0.10.0"):
        _publish(tmp_path / "output", version)
    (tmp_path / "output" / "connectors" / "source-acme" / "0.11.0").mkdir()  # reserved only
    (tmp_path / "output" / "secret").write_text("no")
    async with gateway(nats_server, bus_settings, output_dir=tmp_path / "output") as client:
        listed = (await client.get("/connectors")).json()["connectors"]
        assert [(line["name"], line["version"]) for line in listed] == [("acme", "0.10.0")]
        versions = (await client.get("/connectors/acme")).json()["versions"]
        assert [entry["version"] for entry in versions] == ["0.10.0", "0.2.0"]
        wheel = await client.get(versions[0]["links"]["wheel"])
        assert wheel.content == b"wheel of 0.10.0"
        assert wheel.headers["content-disposition"].startswith("attachment")
        for path in (
            "acme/0.11.0",
            "acme/0.2.0/pipeline",
            "acme/0.2.0/catalogue.json",
            "acme/0.2.0/..%2f..%2f..%2fsecret",
        ):
            problem(await client.get(f"/connectors/{path}"), 404)


def _publish(output: Path, version: str) -> None:
    ref = ArtifactRef.of(b"{}", "application/json")
    entry = CatalogueEntry.model_validate(
        {
            "name": "acme",
            "distribution": "source-acme",
            "version": version,
            "outcome": "success",
            "score": 99,
            "pipeline": pipeline_id(1),
            "published": "2026-11-22T00:00:00Z",
            "code": ref.sha256,
            "wheel_file": f"source_acme-{version}-py3-none-any.whl",
            "sdist_file": f"source_acme-{version}.tar.gz",
            **dict.fromkeys(("package", "wheel", "sdist", "report", "review"), ref),
        }
    )
    folder = output / "connectors" / "source-acme" / version
    folder.mkdir(parents=True)
    (folder / "pipeline").write_text(pipeline_id(1))
    (folder / entry.wheel_file).write_bytes(f"wheel of {version}".encode())
    (folder / "catalogue.json").write_text(entry.model_dump_json())


async def test_the_page_and_the_api_description_are_served(client: httpx2.AsyncClient) -> None:
    page = await client.get("/")
    policy = page.headers["content-security-policy"]
    assert "unsafe" not in policy
    assert "script-src 'sha256-" in policy
    assert "http://" not in page.text.replace("http://www.w3.org/", "")
    document = (await client.get("/openapi.json")).json()
    assert {"/generate", "/pipelines", "/pipelines/{id}/live"} <= document["paths"].keys()
    text = json.dumps(document)
    names = {name.split('"')[0] for name in text.split("#/components/schemas/")[1:]}
    assert names <= document["components"]["schemas"].keys()
    async with asyncio.timeout(10):
        while not (await client.get("/readyz")).json()["ready"]:
            await asyncio.sleep(0.05)
