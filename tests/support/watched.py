"""A walk with everything that is told of it: facts, spans at a collector, metrics of each service, the log.

The real bus, gateway, router and event store, agents that follow a script; the generator asks a scripted model, and
fails once after it was answered, so that its second attempt is answered from the ledger.
"""

from __future__ import annotations

import contextlib
import io
import json
import logging
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import pytest

from contracts import subjects
from contracts.envelope import Envelope
from contracts.errors import Transient
from contracts.events import Fact, GeneratorMode
from contracts.queries import Counts, CountsQuery
from contracts.services import Service
from contracts.turns import Account, Spent
from gateway.settings import Settings
from gateway.writes import pipeline_for
from infra.runtime import logs
from infra.runtime.agent import Agent, Job, Tools
from infra.runtime.bus import Bus, connect
from infra.runtime.bus_users import ADMIN
from infra.runtime.claude.announce import announced_models
from infra.runtime.claude.brief import Brief
from infra.runtime.nats_server import NatsServer
from infra.runtime.telemetry import scrape
from tests.support.claude import Done
from tests.support.claude_server import KEY, by_turn, call, outcome, serving
from tests.support.collector import Collector, SpanSeen, collecting
from tests.support.gateway import running_gateway
from tests.support.graph import Stage, stage
from tests.support.nats import fast
from tests.support.scripted import Cast, Scenario, bad_code, generated
from tests.support.store import ask, running_store

NAME = "a-name-of-a-connector"
CLIENT = ("c" * 32, "d" * 16)
"""The trace and span that the client of the gateway is in."""

PROMPT = "the words of a prompt"
TITLE = "the words of a document"
COLLECTOR_KEY = "key-of-the-collector"
SCENARIO = Scenario("watched", "", script={Service.TEST_REVIEWER: [bad_code()]})


@dataclass(frozen=True)
class Watched:
    """One pipeline that has ended. ``scrapes``: the metrics before, after it, and after another one like it."""

    pipeline: str
    facts: list[tuple[dict[str, str], Envelope]]
    spans: list[SpanSeen]
    spent: Spent
    log: list[dict[str, Any]]
    scrapes: tuple[str, str, str]
    collector: Collector


async def generator(job: Job, workspace: Path, tools: Tools) -> Fact:
    if job.task.mode == GeneratorMode.GENERATE:
        assert tools.model is not None
        brief = Brief(system="generator\n" + PROMPT * 1000, task=PROMPT, outcome=Done, tools=("write",))
        await tools.model.converse(brief, workspace)
        if job.task.attempt == 1:
            raise Transient("the disk was away", where=TITLE)
    return generated(job.state, job.task)


@dataclass
class Watch:
    """What runs."""

    bus: Bus
    theatre: Stage
    client: httpx2.AsyncClient
    looks: list[scrape.Look]
    pipelines: list[str] = field(default_factory=list)

    async def walk(self, key: str) -> str:
        """One pipeline from its submit to its end."""
        pipeline = pipeline_for(key)
        self.theatre.casts[pipeline] = (SCENARIO, Cast(SCENARIO.script))
        answer = await self.client.post(
            "/generate",
            json={"connector_name": NAME, "document": {"openapi": "3.1.0", "info": {"title": TITLE}}},
            headers={"Idempotency-Key": key, "traceparent": f"00-{CLIENT[0]}-{CLIENT[1]}-01"},
        )
        assert answer.status_code == 202, answer.text
        await self.theatre.end(pipeline)
        await self.client.get(f"/pipelines/{pipeline}/state?at=1")
        await self.client.get(f"/nowhere/{pipeline}")
        await self.client.request(f"X{pipeline}", "/pipelines")
        return pipeline

    async def scrape(self) -> str:
        """All of this process: what it counts, and what is looked up for every service."""
        await ask(self.bus, "counts", CountsQuery(), Counts)
        for look in self.looks:
            await look()
        return (await self.client.get("/metrics")).text


@asynccontextmanager
async def watching(folder: Path, store: Path, collector: str, *, tracing: bool = True) -> AsyncIterator[Watch]:
    """``store``: that of a provisioned bus. Without a model in the environment the generator follows its script."""
    server = NatsServer(folder / "nats")
    shutil.copytree(store, server.store)
    base = fast(folder / "data").model_copy(update={"tracing": tracing})
    settings = Settings(
        OTEL_EXPORTER_OTLP_ENDPOINT=collector,  # type: ignore[call-arg]
        OTEL_EXPORTER_OTLP_HEADERS=f"authorization=Bearer%20{COLLECTOR_KEY}",
    )
    claude = Agent(Service.GENERATOR, generator, models=announced_models(Service.GENERATOR))
    themselves = [claude] if claude.models else []
    async with (
        server.running(),
        connect(server.settings(ADMIN, base), ADMIN) as bus,
        running_store(server, folder) as copy,
        running_gateway(settings, server.settings(Service.GATEWAY, base)) as client,
        stage(server, bus, base, themselves=themselves) as theatre,
    ):
        looks = [look for runtime in (copy, *theatre.services) for look in runtime.health.looks]
        yield Watch(bus, theatre, client, looks)


async def watched(folder: Path, store: Path) -> Watched:
    told = io.StringIO()
    steps = [call("write", file_path="a.txt", content=PROMPT), outcome({"summary": PROMPT})]
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stderr(told):
        patch.setenv("OTEL_EXPORTER_OTLP_HEADERS", f"authorization=Bearer%20{COLLECTOR_KEY}")
        async with serving(by_turn(*steps)) as model, collecting() as collector:
            patch.setenv("ANTHROPIC_API_KEY", KEY)
            patch.setenv("ANTHROPIC_BASE_URL", model.url)
            handlers = logging.getLogger().handlers[:]
            async with watching(folder, store, collector.url) as watch:
                logs.configure(watch.theatre.services[0].settings.model_copy(update={"log_format": "json"}), "all")
                before = await watch.scrape()
                pipeline = await watch.walk("first")
                once = await watch.scrape()
                await watch.walk("second")
                twice = await watch.scrape()
                kept = await watch.bus.reader.since(subjects.EVENTS_STREAM, subjects.history(pipeline))
                account = await watch.bus.reader.last(subjects.TURNS_STREAM, subjects.account(pipeline))
            logging.getLogger().handlers[:] = handlers
    assert account is not None
    return Watched(
        pipeline,
        [(dict(one.headers), Envelope.decode(one.data)) for one in kept],
        collector.of(pipeline),
        Account.model_validate_json(account.data).total,
        [json.loads(line) for line in told.getvalue().splitlines() if line.startswith("{")],
        (before, once, twice),
        collector,
    )
