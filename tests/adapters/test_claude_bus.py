"""The ledger, the account and a whole agent on the real bus; the key is in none of what it leaves."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

import pytest

from contracts import subjects
from contracts.artifacts import ArtifactRef
from contracts.events import AgentFailed, Fact, PipelineForked, ResearchCompleted
from contracts.services import Service
from contracts.turns import Account, Effect, Reply
from infra.runtime import clock, logs
from infra.runtime.agent import Agent, Job, Tools
from infra.runtime.bus import Bus, connect
from infra.runtime.claude.accounts import BusAccounts, Till
from infra.runtime.claude.announce import announced_models
from infra.runtime.claude.brief import Brief
from infra.runtime.claude.ledger import BusTurns
from infra.runtime.health import Health
from infra.runtime.nats_server import NatsServer
from infra.runtime.service import running
from infra.runtime.settings import BusSettings
from tests.support.claude import PIPELINE, Done
from tests.support.claude_server import KEY, by_turn, call, outcome, serving
from tests.support.graph import routing
from tests.support.nats import append, fact_of, submit

REQUEST = "a" * 64


async def test_two_services_write_a_turn_once_and_hear_the_first(
    nats_server: NatsServer, bus: Bus, bus_settings: BusSettings
) -> None:
    subject = subjects.turn("ledger", REQUEST)
    async with (
        connect(nats_server.settings(Service.RESEARCH, bus_settings), "research") as one,
        connect(nats_server.settings(Service.GENERATOR, bus_settings), "generator") as two,
    ):
        turns = [BusTurns(each, Health()) for each in (one, two)]
        heard = await asyncio.gather(*(each.put(subject, f"{n}".encode()) for n, each in enumerate(turns)))
        assert heard[0] == heard[1] == await turns[0].get(subject)
        assert await turns[1].get(subjects.effect("ledger", REQUEST, 1)) is None


async def test_services_that_reserve_at_once_never_exceed_the_budget(
    nats_server: NatsServer, bus: Bus, bus_settings: BusSettings
) -> None:
    services = (Service.RESEARCH, Service.GENERATOR, Service.TESTER)
    async with (
        connect(nats_server.settings(services[0], bus_settings), services[0]) as one,
        connect(nats_server.settings(services[1], bus_settings), services[1]) as two,
        connect(nats_server.settings(services[2], bus_settings), services[2]) as three,
    ):
        tills = [Till(BusAccounts(each, Health(), PIPELINE), 1.0) for each in (one, two, three)]
        ended = await asyncio.gather(
            *(till.reserve(f"{n:02}{at:062}", 0.15) for at in range(4) for n, till in enumerate(tills)),
            return_exceptions=True,
        )
    stored = await bus.reader.last(subjects.TURNS_STREAM, subjects.account(PIPELINE))
    assert stored is not None
    assert sum(Account.model_validate_json(stored.data).reserved.values()) == pytest.approx(0.9)
    assert [end is None for end in ended].count(True) == 6


async def test_an_agent_goes_on_with_its_turns_after_its_process_ended(
    bus: Bus,
    nats_server: NatsServer,
    bus_settings: BusSettings,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """The first process is stopped while the third turn is in flight. The second one pays only what is new."""
    settings = nats_server.settings(Service.RESEARCH, bus_settings)
    steps = [call("write", file_path="a.txt", content="a"), call("bash", command="env; cat a.txt > b.txt")]
    slow = outcome({"summary": "done"}).after(20)
    done = outcome({"summary": "done"})

    async def run(job: Job, workspace: Path, tools: Tools) -> Fact:
        assert tools.model is not None
        asked = Brief(system="research", task="Go.", outcome=Done, tools=("write", "bash"))
        said = await tools.model.converse(asked, workspace)
        tree = sorted(path.name for path in workspace.iterdir())
        ref = await tools.artifacts.put(f"{said.summary} {tree}".encode(), "text/plain")
        return ResearchCompleted(blueprint=ref, streams=1)

    async with serving(by_turn(*steps, done, before={2: [slow]})) as server:
        monkeypatch.setenv("ANTHROPIC_API_KEY", KEY)
        monkeypatch.setenv("ANTHROPIC_BASE_URL", server.url)
        agent = Agent(Service.RESEARCH, run, models=announced_models(Service.RESEARCH))
        assert agent.models == ("claude-opus-5",)
        logs.configure(settings.model_copy(update={"log_level": "DEBUG"}), "research")
        async with running(agent, settings):
            pipeline = await submit(bus)
            while len(server.requests) < 3:
                await asyncio.sleep(0.01)
        async with running(agent, settings):
            answer = await fact_of(bus, pipeline, ResearchCompleted)
        logging.getLogger().handlers.clear()

    assert len(server.requests) == 4
    told = await bus.artifacts.get(ArtifactRef.model_validate(answer.data["blueprint"]))
    assert told == b"done ['a.txt', 'b.txt']"
    turns = await bus.reader.since(subjects.TURNS_STREAM, subjects.ALL_TURNS)
    replies = [Reply.model_validate_json(one.data) for one in turns if one.subject.count(".") == 2]
    effects = [Effect.model_validate_json(one.data) for one in turns if one.subject.count(".") == 3]
    assert (len(replies), len(effects)) == (3, 2)
    stored = await bus.reader.last(subjects.TURNS_STREAM, subjects.account(pipeline))
    assert stored is not None
    account = Account.model_validate_json(stored.data)
    assert (account.total.turns, account.reserved) == (3, {})
    assert account.total.cost_usd == pytest.approx(sum(reply.cost_usd for reply in replies))
    await _key_is_nowhere(bus, capfd.readouterr())
    assert KEY not in str([request.body for request in server.requests])


async def test_a_fork_goes_on_with_the_recorded_turns_and_pays_nothing(
    bus: Bus, nats_server: NatsServer, bus_settings: BusSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def run(job: Job, workspace: Path, tools: Tools) -> Fact:
        assert tools.model is not None
        asked = Brief(system="research", task="Go.", outcome=Done, tools=("write",))
        await tools.model.converse(asked, workspace)
        ref = await tools.artifacts.put((workspace / "a.txt").read_bytes(), "text/plain")
        return ResearchCompleted(blueprint=ref, streams=1)

    steps = [call("write", file_path="a.txt", content="a"), outcome({"summary": "done"})]
    async with serving(by_turn(*steps)) as server, routing(nats_server, bus_settings):
        monkeypatch.setenv("ANTHROPIC_API_KEY", KEY)
        monkeypatch.setenv("ANTHROPIC_BASE_URL", server.url)
        agent = Agent(Service.RESEARCH, run, models=announced_models(Service.RESEARCH))
        async with running(agent, nats_server.settings(Service.RESEARCH, bus_settings)):
            pipeline, fork = await submit(bus), clock.new_id()
            first = await fact_of(bus, pipeline, ResearchCompleted)
            await append(bus, fork, PipelineForked(parent=pipeline, at=1), source=Service.GATEWAY)
            again = await fact_of(bus, fork, ResearchCompleted)

    assert again.data == first.data
    assert len(server.requests) == 2
    assert await bus.reader.last(subjects.TURNS_STREAM, subjects.account(fork)) is None


async def _key_is_nowhere(bus: Bus, output: tuple[str, str]) -> None:
    assert KEY not in "".join(output)
    for stream in (subjects.EVENTS_STREAM, subjects.TURNS_STREAM, f"OBJ_{subjects.ARTIFACTS_BUCKET}"):
        messages = await bus.reader.since(stream, ">")
        assert messages
        assert not any(KEY.encode() in message.data for message in messages)


async def test_a_wrong_key_fails_the_task_for_good_and_is_not_told(
    bus: Bus, nats_server: NatsServer, bus_settings: BusSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def run(job: Job, workspace: Path, tools: Tools) -> Fact:
        assert tools.model is not None
        await tools.model.converse(Brief(system="research", task="Go.", outcome=Done), workspace)
        raise AssertionError

    async with serving(by_turn(), key="another") as server:
        monkeypatch.setenv("ANTHROPIC_API_KEY", KEY)
        monkeypatch.setenv("ANTHROPIC_BASE_URL", server.url)
        agent = Agent(Service.RESEARCH, run, models=announced_models(Service.RESEARCH))
        async with running(agent, nats_server.settings(Service.RESEARCH, bus_settings)):
            pipeline = await submit(bus)
            failed = (await fact_of(bus, pipeline, AgentFailed)).fact()

    assert isinstance(failed, AgentFailed)
    assert (failed.kind, failed.what) == (
        "permanent",
        "the Anthropic key was refused (401): check ANTHROPIC_API_KEY",
    )


async def test_without_a_key_there_is_no_model(
    bus: Bus, nats_server: NatsServer, bus_settings: BusSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("ANTHROPIC_API_KEY", raising=False)
    models: list[object] = []

    async def run(job: Job, workspace: Path, tools: Tools) -> Fact:
        models.append(tools.model)
        return ResearchCompleted(blueprint=ArtifactRef.of(b"{}", "application/json"), streams=1)

    agent = Agent(Service.RESEARCH, run, models=announced_models(Service.RESEARCH))
    async with running(agent, nats_server.settings(Service.RESEARCH, bus_settings)):
        await fact_of(bus, await submit(bus), ResearchCompleted)
    assert models == [None]
