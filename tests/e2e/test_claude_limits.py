"""A key that is refused, and a budget that is reached: research with a model and the real router, on a real bus."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest
import yaml

from contracts import events as e
from contracts import subjects
from contracts.events import Engine
from contracts.pipeline import Status
from contracts.turns import Account
from infra.runtime.bus import Bus
from infra.runtime.nats_server import NatsServer
from infra.runtime.settings import BusSettings
from services.research.handler import agent
from services.research.settings import Settings
from tests.support.claude_server import KEY, ClaudeServer, by_turn, call, outcome, say, serving
from tests.support.graph import Stage, stage
from tests.support.openapi import array, document, get, obj
from tests.support.scripted import Scenario, decided

WRITTEN = yaml.safe_dump(document({"/things": get(obj(data=array(obj(id="string", name="string"))))}).raw)
STEPS = (
    say("I think about it for a while. " * 1500) + call("write", file_path="openapi.yaml", content=WRITTEN),
    call("analyse"),
    outcome({"summary": "Things.", "sources": [{"url": "https://docs.acme.io/", "taken": "all"}], "gaps": []}),
)
"""The first costs 0.30 USD."""

ONE_TURN_USD = 3.5
"""The most that a turn of research can cost is 3.36 USD: ten pages and five searches, 32,000 tokens of output."""


@dataclass(frozen=True)
class Undocumented(Scenario):
    """Submitted without a document, for the Claude engine."""

    def submitted(self) -> e.PipelineSubmitted:
        return super().submitted().model_copy(update={"document": None, "engine": Engine.CLAUDE})


@asynccontextmanager
async def researching(
    nats_server: NatsServer, bus: Bus, settings: BusSettings, key: str, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[tuple[Stage, ClaudeServer]]:
    """Research asks the scripted server, which takes `KEY`; all others follow the happy script."""
    async with serving(by_turn(*STEPS)) as server:
        monkeypatch.setenv("ANTHROPIC_API_KEY", key)
        monkeypatch.setenv("ANTHROPIC_BASE_URL", server.url)
        async with stage(nats_server, bus, settings, themselves=[agent(Settings())]) as theatre:
            yield theatre, server


async def test_a_key_that_is_refused_ends_the_pipeline_with_clear_words(
    nats_server: NatsServer, bus: Bus, bus_settings: BusSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At once: a wrong key does not become right by asking again. Nobody works on, nothing is published."""
    async with researching(nats_server, bus, bus_settings, "sk-wrong", monkeypatch) as (theatre, server):
        pipeline = await theatre.submit(Undocumented("wrong key", ""))
        state = await theatre.end(pipeline)
        facts = await theatre.facts(pipeline)

    assert state.status is Status.FAILED
    assert state.reason == "research failed: the Anthropic key was refused (401): check ANTHROPIC_API_KEY"
    failed = next(fact.fact() for fact in facts if fact.type == e.AgentFailed.TYPE)
    assert isinstance(failed, e.AgentFailed)
    assert (failed.kind, failed.attempt) == ("permanent", 1)
    assert [fact.type for fact in facts] == ["pipeline.submitted", "agent.failed", "pipeline.failed"]
    assert len(server.requests) == 1
    assert not any(b"sk-wrong" in fact.encode() for fact in facts)


async def test_a_budget_that_is_reached_is_asked_about_and_nothing_is_paid_twice(
    nats_server: NatsServer, bus: Bus, bus_settings: BusSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with researching(nats_server, bus, bus_settings, KEY, monkeypatch) as (theatre, server):
        pipeline = await theatre.submit(Undocumented("budget", "", policy={"budget_usd": ONE_TURN_USD}))
        state = await theatre.until(pipeline, lambda state: state.approval is not None)
        assert state.approval_about == "budget"
        assert len(server.requests) == 1, "the second turn could have been too much, and was not sent"

        assert state.approval is not None
        granted = e.ApprovalGranted(request=state.approval, by="ada")
        await theatre.tell(pipeline, granted)
        state = await theatre.end(pipeline)
        facts = await theatre.facts(pipeline)
        stored = await bus.reader.last(subjects.TURNS_STREAM, subjects.account(pipeline))

    assert state.status is Status.SUCCESS
    assert decided(facts)[:2] == ["approval:budget", "research"]
    assert len(server.requests) == len(STEPS), "the first turn was answered from the ledger"
    assert stored is not None
    account = Account.model_validate_json(stored.data)
    assert (account.total.turns, account.reserved) == (len(STEPS), {})
    assert account.total.cost_usd < ONE_TURN_USD < state.budget_usd
