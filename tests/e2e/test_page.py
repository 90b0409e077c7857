"""The page as a person sees it: a real browser, the real gateway, a real bus."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx2
import pytest
from pydantic import SecretStr

from contracts import events as e
from contracts import subjects
from contracts.artifacts import ArtifactRef
from contracts.catalogue import CatalogueEntry
from contracts.pipeline import Task
from contracts.services import Service
from gateway.settings import Settings
from infra.runtime import clock
from infra.runtime.bus import Bus
from infra.runtime.nats_server import NatsServer
from infra.runtime.service import serving
from infra.runtime.settings import BusSettings
from services.event_store.handler import store
from services.event_store.settings import Settings as StoreSettings
from tests.support.browser import Tab, browsing, find_browser
from tests.support.facts import life, pipeline_id
from tests.support.gateway import running_gateway
from tests.support.nats import append, fact_of
from tests.support.turns import put_account, reply

BROWSER = find_browser()
pytestmark = pytest.mark.skipif(BROWSER is None, reason="no chromium on PATH to see the page with")

HOSTILE = "<img src=x onerror=\"document.title='owned'\"><script>document.title='owned'</script>"
LONG = HOSTILE + " and " + "a-reason-without-any-space-" * 20
SPEC = {"connector_name": "acme", "spec_url": "https://api.example.com/openapi.json"}
CLICK = "[...document.querySelectorAll('button')].find((one) => one.textContent === %s).click()"


@asynccontextmanager
async def gateway(
    server: NatsServer, settings: BusSettings, output: Path, token: str | None = None
) -> AsyncIterator[httpx2.AsyncClient]:
    own = Settings(output_dir=output, capability_timeout_s=0.1, token=SecretStr(token) if token else None)
    setup = store(StoreSettings(artifact_patience_s=0.1))
    async with (
        serving(Service.EVENT_STORE, setup, server.settings(Service.EVENT_STORE, settings)),
        running_gateway(own, server.settings(Service.GATEWAY, settings)) as client,
    ):
        yield client


@pytest.fixture
async def client(
    nats_server: NatsServer, bus: Bus, bus_settings: BusSettings, tmp_path: Path
) -> AsyncIterator[httpx2.AsyncClient]:
    async with gateway(nats_server, bus_settings, tmp_path / "output") as client:
        yield client


@pytest.fixture
async def tab(tmp_path: Path) -> AsyncIterator[Tab]:
    assert BROWSER is not None
    async with browsing(BROWSER, tmp_path / "profile") as tab:
        yield tab


async def submitted(client: httpx2.AsyncClient) -> str:
    response = await client.post("/generate", json=SPEC)
    assert response.status_code == 202, response.text
    pipeline: str = response.json()["pipeline_id"]
    return pipeline


async def step(tab: Tab, name: str) -> str:
    """What the box of a step says."""
    texts: list[str] = await tab.evaluate("[...document.querySelectorAll('.step')].map((step) => step.innerText)")
    return next(text for text in texts if text.startswith(name))


async def test_a_pipeline_is_watched_from_the_empty_page_to_its_hostile_end(
    client: httpx2.AsyncClient, bus: Bus, tab: Tab
) -> None:
    """Nothing is reloaded: list, facts and progress come by themselves, and markup in them stays text."""
    await tab.open(str(client.base_url))
    await tab.until("nav", "No pipelines yet")
    home = await tab.text("main")
    assert f"curl -F connector_name=NAME -F document=@openapi.yaml {client.base_url}/generate" in home
    assert "connectors generate NAME" in home

    pipeline = await submitted(client)
    await tab.until("nav", "acme")
    await tab.evaluate("document.querySelector('nav a').click()")
    await tab.until("tbody", SPEC["spec_url"])
    assert "running" in await step(tab, "research")

    ref = await bus.artifacts.put(b"{}", "application/json")
    submission = (await bus.log.history(pipeline))[0][1].id
    researched = e.ResearchCompleted(blueprint=ref, document=ref, streams=3)
    fact = await append(bus, pipeline, researched, source="research", causation=submission)
    await tab.until("tbody", "3 streams")
    assert "done" in await step(tab, "research")
    assert "running" in await step(tab, "generator")

    said = {"service": "generator", "message": HOSTILE, "done": 2, "total": 3, "time": clock.now().isoformat()}
    await bus.nc.publish(subjects.progress(pipeline), json.dumps(said).encode())
    await tab.until("#steps", f"{HOSTILE} · 2/3")

    left_out = e.ConnectorGenerated(mode=e.GeneratorMode.GENERATE, code=ref, degraded=(HOSTILE,))
    await append(bus, pipeline, left_out, source="generator", causation=fact.id)
    await tab.until(".wait", "1 stream left out of the connector")
    assert HOSTILE in await tab.text("details")

    await append(bus, pipeline, e.PipelineFailed(reason=LONG, where=HOSTILE), source="router")
    assert LONG in await tab.until(".reason", HOSTILE)
    await tab.until("nav", "failed")
    assert "stopped" in await step(tab, "fixtures")
    assert await tab.evaluate("document.title") == "acme: failed"
    assert await tab.evaluate("document.querySelectorAll('img, main script, main button').length") == 0
    assert tab.complaints == []


async def test_a_cancel_is_asked_about_first_and_done(client: httpx2.AsyncClient, bus: Bus, tab: Tab) -> None:
    pipeline = await submitted(client)
    await tab.open(f"{client.base_url}/#{pipeline}")
    await tab.until("main", "Cancel")
    await tab.evaluate(CLICK % "'Cancel'")
    await tab.until("main", "cancel requested")
    assert len(tab.dialogs) == 1
    assert "source-acme" in tab.dialogs[0]
    assert "Cancel" not in await tab.text("main")
    facts = [event.type for _, event in await bus.log.history(pipeline)]
    assert facts == ["pipeline.submitted", "pipeline.cancel_requested"]
    assert tab.complaints == []


async def test_publishing_is_approved_with_a_click(client: httpx2.AsyncClient, bus: Bus, tab: Tab) -> None:
    events = life(pipeline_id(1), artifact=await bus.artifacts.put(b"{}", "application/json"))[:9]
    for last, event in enumerate(events):
        await bus.log.append(event, expected_last=last)
    request = e.ApprovalRequested(outcome="success")
    asked = await append(bus, pipeline_id(1), request, source="router", causation=events[-1].id)
    await tab.open(f"{client.base_url}/#{pipeline_id(1)}")
    await tab.until("main", "waits for your approval")
    await tab.evaluate(CLICK % "'Publish'")
    granted = await fact_of(bus, pipeline_id(1), e.ApprovalGranted)
    assert granted.data["request"] == asked.id
    assert tab.complaints == []


async def test_more_budget_is_granted_with_a_click(client: httpx2.AsyncClient, bus: Bus, tab: Tab) -> None:
    pipeline = await submitted(client)
    research = (await bus.log.history(pipeline))[0][1].id
    failed = e.AgentFailed(service="research", kind="budget", what="it is spent", attempt=1, budget_usd=20)
    failure = await append(bus, pipeline, failed, source="research", causation=research)
    await put_account(bus, pipeline, reply(pipeline, Task(id=research, service=Service.RESEARCH), 1, 19.5))
    asked = await append(bus, pipeline, e.ApprovalRequested(about="budget"), source="router", causation=failure.id)
    await tab.open(f"{client.base_url}/#{pipeline}")
    await tab.until("main", "waits for your approval to spend more · 19.50 of 20.00 USD spent")
    await tab.evaluate(CLICK % "'Spend more'")
    granted = await fact_of(bus, pipeline, e.ApprovalGranted)
    assert granted.data["request"] == asked.id
    assert tab.complaints == []


async def test_a_published_connector_offers_its_files_also_on_a_small_screen(
    client: httpx2.AsyncClient, bus: Bus, tab: Tab, tmp_path: Path
) -> None:
    ref = await bus.artifacts.put(b"{}", "application/json")
    pipeline = pipeline_id(1)
    for event in life(pipeline, artifact=ref):
        _, last = await bus.log.read(pipeline)
        await bus.log.append(event, expected_last=last)
    files = publish(tmp_path / "output", pipeline, ref)
    await tab.open(f"{client.base_url}/#{pipeline}")
    await tab.send("Emulation.setDeviceMetricsOverride", width=420, height=900, deviceScaleFactor=1, mobile=True)
    await tab.until("main", "test report")
    assert "100 % proven" in await tab.text("main")
    for service in ("research", "generator", "fixtures", "tester", "test reviewer", "reviewer", "publisher"):
        assert "done" in await step(tab, service)
    links = await tab.evaluate("[...document.querySelectorAll('main a')].map((link) => link.pathname)")
    assert [link.rpartition("/")[2] for link in links] == files
    assert {(await client.get(link)).status_code for link in links} == {200}
    assert await tab.evaluate("document.documentElement.scrollWidth") == 420
    assert tab.complaints == []


def publish(output: Path, pipeline: str, ref: ArtifactRef) -> list[str]:
    """Put version 0.1.0 of source-acme on the shelf; its files' names."""
    entry = CatalogueEntry(
        name="acme",
        distribution="source-acme",
        version="0.1.0",
        outcome="success",
        score=97,
        pipeline=pipeline,
        published=clock.now(),
        code="0" * 64,
        package=ref,
        wheel=ref,
        wheel_file="source_acme-0.1.0-py3-none-any.whl",
        sdist=ref,
        sdist_file="source_acme-0.1.0.tar.gz",
        report=ref,
        review=ref,
    )
    folder = output / "connectors" / "source-acme" / "0.1.0"
    folder.mkdir(parents=True)
    files = [entry.wheel_file, entry.sdist_file, "report.json", "review.json"]
    for file in files:
        (folder / file).write_text("{}")
    (folder / "catalogue.json").write_text(entry.model_dump_json())
    return files


async def test_the_token_is_asked_for_once_and_then_used(
    nats_server: NatsServer, bus: Bus, bus_settings: BusSettings, tmp_path: Path, tab: Tab
) -> None:
    async with gateway(nats_server, bus_settings, tmp_path / "output", "open sesame") as client:
        client.headers["Authorization"] = "Bearer open sesame"
        pipeline = await submitted(client)
        await tab.open(f"{client.base_url}/#{pipeline}")
        await tab.until("#login", "token")
        assert "acme" not in await tab.text()
        await tab.evaluate("document.getElementById('token').value = 'open sesame'")
        await tab.evaluate(CLICK % "'Send'")
        await tab.until("nav", "acme")
        await tab.until("main", "source-acme")
        assert await tab.text("#login") == ""
