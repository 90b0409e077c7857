"""What a pipeline spends on model turns, over real HTTP, on a real bus, and in the terminal."""

from __future__ import annotations

import io
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from rich.console import Console

from contracts import events as e
from contracts.pipeline import PipelineState, Task, evolve
from contracts.services import Service
from gateway.settings import Settings
from infra.cli.cost import cost
from infra.runtime.bus import Bus
from infra.runtime.log import States
from infra.runtime.nats_server import NatsServer
from infra.runtime.settings import BusSettings
from tests.support import turns
from tests.support.gateway import running_gateway
from tests.support.nats import append, submit
from tests.support.scripted import ref

DECIDED = {"policy_hash": "0" * 12, "code_version": "test"}


@pytest.fixture
async def client(nats_server: NatsServer, bus: Bus, bus_settings: BusSettings) -> AsyncIterator[httpx2.AsyncClient]:
    """A gateway without an event store: pipelines are read from the log."""
    own = nats_server.settings(Service.GATEWAY, bus_settings)
    async with running_gateway(Settings(store_timeout_s=0.3), own) as client:
        yield client


async def state(bus: Bus, pipeline: str) -> PipelineState:
    return (await States(bus.log, evolve).load(pipeline)).state


async def task_of(bus: Bus, pipeline: str, service: Service) -> Task:
    return next(task for task in (await state(bus, pipeline)).tasks if task.service == service)


async def at_the_budget(bus: Bus) -> str:
    """Research had a turn, the generator one in each of two attempts; then it reached the budget."""
    pipeline = await submit(bus)
    research = await task_of(bus, pipeline, Service.RESEARCH)
    fact = e.ResearchCompleted(blueprint=ref("blueprint"), streams=1)
    await append(bus, pipeline, fact, source="research", causation=research.id)
    first = await task_of(bus, pipeline, Service.GENERATOR)
    failed = e.AgentFailed(service="generator", kind="transient", what="no answer", attempt=1)
    failure = await append(bus, pipeline, failed, source="generator", causation=first.id)
    again = e.GenerationRequested(mode=e.GeneratorMode.GENERATE, attempt=2, **DECIDED)
    await append(bus, pipeline, again, source="router", causation=failure.id)
    second = await task_of(bus, pipeline, Service.GENERATOR)
    assert second.id != first.id

    paid = [
        turns.reply(pipeline, research, 1, 0.25),
        turns.reply(pipeline, first, 1, 0.5),
        turns.reply(pipeline, second, 2, 0.0625, priced=False),
    ]
    for task, said in zip((research, first, second), paid, strict=True):
        await turns.put_turn(bus, task, said)
    await turns.put_account(bus, pipeline, *paid[:1])
    await turns.put_account(bus, pipeline, *paid, reserved_usd=0.125)

    broke = e.AgentFailed(service="generator", kind="budget", what="it is spent", attempt=2, budget_usd=20)
    failure = await append(bus, pipeline, broke, source="generator", causation=second.id)
    await append(bus, pipeline, e.ApprovalRequested(about="budget", **DECIDED), causation=failure.id)
    return pipeline


async def costs(client: httpx2.AsyncClient, pipeline: str) -> dict[str, Any]:
    answer = await client.get(f"/pipelines/{pipeline}/costs")
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def test_costs_are_told_by_agent_in_total_and_turn_by_turn(client: httpx2.AsyncClient, bus: Bus) -> None:
    pipeline = await at_the_budget(bus)

    found = await costs(client, pipeline)

    usage = turns.USAGE.model_dump()
    assert found["agents"] == {
        "generator": {
            "turns": 2,
            "usage": {name: 2 * count for name, count in usage.items()},
            "cost_usd": 0.5625,
            "unpriced": 1,
        },
        "research": {"turns": 1, "usage": usage, "cost_usd": 0.25, "unpriced": 0},
    }
    assert (found["total"]["turns"], found["total"]["cost_usd"], found["total"]["unpriced"]) == (3, 0.8125, 1)
    assert (found["reserved_usd"], found["budget_usd"]) == (0.125, 20)
    told = [(turn["service"], turn["turn"], turn["model"], turn["cost_usd"]) for turn in found["turns"]]
    assert told == [
        ("research", 1, "claude-test", 0.25),
        ("generator", 1, "claude-test", 0.5),
        ("generator", 2, "local-test", 0.0625),
    ]
    assert {(turn["duration_s"], turn["usage"]["output_tokens"]) for turn in found["turns"]} == {(1.5, 20)}


async def test_pipeline_says_that_it_waits_for_money_and_what_was_spent(
    client: httpx2.AsyncClient, bus: Bus
) -> None:
    pipeline = await at_the_budget(bus)

    now = (await client.get(f"/pipelines/{pipeline}")).json()

    assert now["approval"] is not None
    assert (now["approval_about"], now["spent_usd"], now["budget_usd"]) == ("budget", 0.8125, 20)
    assert now["links"]["costs"] == f"/pipelines/{pipeline}/costs"
    answer = {"request": now["approval"], "decision": "granted"}
    assert (await client.post(f"/pipelines/{pipeline}/approval", json=answer)).status_code == 202
    assert (await client.get(f"/pipelines/{pipeline}")).json()["budget_usd"] == 40


async def test_pipeline_without_a_turn_cost_nothing(client: httpx2.AsyncClient, bus: Bus) -> None:
    sent = {"connector_name": "acme", "spec_url": "https://api.example.com/openapi.json"}
    accepted = await client.post("/generate", json={**sent, "policy": {"budget_usd": 5}})
    pipeline = accepted.json()["pipeline_id"]

    found = await costs(client, pipeline)

    assert (found["agents"], found["turns"], found["reserved_usd"], found["budget_usd"]) == ({}, [], 0, 5)
    assert found["total"] == {
        "turns": 0,
        "usage": dict.fromkeys(turns.USAGE.model_dump(), 0),
        "cost_usd": 0,
        "unpriced": 0,
    }
    refused = await client.post("/generate", json={**sent, "policy": {"budget_usd": -1}})
    assert "#/policy/budget_usd" in refused.json()["detail"]


async def test_fork_does_not_pay_again_what_its_parent_paid(client: httpx2.AsyncClient, bus: Bus) -> None:
    parent = await at_the_budget(bus)
    fork = (await client.post(f"/pipelines/{parent}/fork", json={"at": 2})).json()["pipeline_id"]
    stale = await task_of(bus, fork, Service.GENERATOR)
    again = e.GenerationRequested(mode=e.GeneratorMode.GENERATE, **DECIDED)
    await append(bus, fork, again, source="router", causation=stale.id)
    task = await task_of(bus, fork, Service.GENERATOR)
    own = turns.reply(fork, task, 3, 1.0)
    await turns.put_turn(bus, task, own)
    await turns.put_account(bus, fork, own)

    found = await costs(client, fork)

    assert task.ledger == stale.ledger
    assert [(turn["turn"], turn["cost_usd"]) for turn in found["turns"]] == [(3, 1.0)]
    assert found["total"]["cost_usd"] == 1.0


async def test_what_cannot_be_read_is_said_and_not_counted_as_nothing(client: httpx2.AsyncClient, bus: Bus) -> None:
    pipeline = await at_the_budget(bus)
    await bus.js.publish(f"accounts.{pipeline}", b'{"spent": "much"}')

    answer = await client.get(f"/pipelines/{pipeline}/costs")

    assert answer.status_code == 503
    assert f"on accounts.{pipeline} is no Account" in answer.json()["detail"]


async def test_command_line_shows_costs_as_a_table_and_as_json(client: httpx2.AsyncClient, bus: Bus) -> None:
    pipeline, url = await at_the_budget(bus), str(client.base_url)

    async def printed(wanted: str, *, as_json: bool = False) -> str:
        out = Console(file=io.StringIO(), width=120)
        assert await cost(wanted, as_json, url, Path("nowhere"), out) == 0
        assert isinstance(out.file, io.StringIO)
        return out.file.getvalue()

    text = await printed(pipeline)
    rows = [line.split() for line in text.splitlines()]
    assert ["generator", "2", "200", "2,000", "100", "40", "0", "0", "0.5625"] in rows
    assert ["all", "3", "300", "3,000", "150", "60", "0", "0", "0.8125"] in rows
    assert "spent 0.81 of 20.00 USD, 19.19 are left; 0.12 of them are reserved for turns that run" in text
    assert "the price of local-test is not known: 1 turn is counted with the most" in text
    assert json.loads(await printed(pipeline, as_json=True)) == await costs(client, pipeline)
    assert (await printed(await submit(bus))).strip() == "spent 0.00 of 20.00 USD, 20.00 are left"
