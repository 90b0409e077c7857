"""Documents through the real pipeline, or through research alone."""

from __future__ import annotations

import asyncio
import json
import tempfile
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

import httpx2

from contracts.blueprint import ApiBlueprint
from contracts.errors import ConnectorsError
from contracts.events import Engine
from contracts.pipeline import PipelineState, evolve
from infra.cli.client import Gateway
from infra.cli.describe import describe
from infra.runtime.documents import load
from infra.runtime.stack import StackConfig, running_stack
from services.research.openapi.engine import infer
from tests.corpus.compare import Offered
from tests.corpus.truth import place

Say = Callable[[str], None]
T = TypeVar("T")


@dataclass(frozen=True)
class Order:
    """How a connector is asked for. ``withheld``: without the document, so that research has to find out by itself
    what the API is. ``policy`` as in a submit."""

    engine: Engine = Engine.OFFLINE
    withheld: bool = False
    policy: Mapping[str, Any] = field(default_factory=dict)
    timeout_s: float = 1800


@dataclass(frozen=True)
class Site:
    """Where pipelines run: the gateway, and where it publishes."""

    gateway: Gateway
    output: Path


@dataclass(frozen=True)
class Run:
    """What came of a document. ``outcome`` is the pipeline's status, or ``researched`` where research alone was
    asked for; ``reason`` why it was not published, or not in full. ``proven`` of ``total`` streams were read
    completely; ``unproven`` says why not, by stream. Seconds are wall clock. ``pipeline`` is its id, if it came to
    one."""

    document: str
    outcome: str
    seconds: float
    pipeline: str = ""
    reason: str = ""
    streams: int = 0
    gaps: int = 0
    proven: int = 0
    total: int = 0
    unproven: Mapping[str, str] = field(default_factory=dict)


def connector_name(document: str) -> str:
    return document.replace("_", "-")


def research(document: str, path: Path) -> tuple[Run, ApiBlueprint | None]:
    """Research alone, in this process: the pure function that the service runs."""
    began = time.monotonic()
    try:
        blueprint = infer(load(path.read_bytes(), where=document), name=connector_name(document), document_url=None)
    except ConnectorsError as error:
        return Run(document, "failed", time.monotonic() - began, reason=str(error)), None
    seconds = time.monotonic() - began
    found = Run(document, "researched", seconds, streams=len(blueprint.streams), gaps=len(blueprint.gaps))
    return found, blueprint


def offered(document: str, path: Path) -> Offered:
    """The parameters of each operation of a document."""
    return {
        place(operation.method, operation.path): frozenset(parameter["name"] for parameter in operation.parameters)
        for operation in load(path.read_bytes(), where=document).operations()
    }


async def on_a_stack(
    picked: Mapping[str, Path],
    one: Callable[[str, Path, Site], Awaitable[T]],
    *,
    at_a_time: int = 1,
    environment: Mapping[str, str] | None = None,
) -> list[T]:
    """What comes of ``one`` for every document, on a stack of their own: on free ports, with its data in a
    temporary folder. ``environment`` is added to that of its services."""
    slots = asyncio.Semaphore(at_a_time)
    with tempfile.TemporaryDirectory(prefix="corpus-") as folder:
        config = StackConfig.at(Path(folder) / "data", Path(folder) / "output", port=0)
        config = replace(config, environment=environment or {})
        async with running_stack(config) as stack, Gateway(stack.url) as gateway:
            site = Site(gateway, config.output)

            async def in_turn(document: str, path: Path) -> T:
                async with slots:
                    return await one(document, path, site)

            return list(await asyncio.gather(*(in_turn(document, path) for document, path in picked.items())))


async def pipeline(document: str, path: Path, site: Site, say: Say, order: Order = Order()) -> Run:
    """The whole pipeline, from the submit to its last fact; cancelled after the order's time. What it asks a person
    for is denied: nobody is there."""
    began = time.monotonic()
    states = [PipelineState()]
    reason = ""
    try:
        async with asyncio.timeout(order.timeout_s):
            accepted = await site.gateway.generate(
                connector_name(document),
                document=None if order.withheld else path,
                spec_url=None,
                engine=order.engine,
                policy=order.policy,
            )
            async for message in site.gateway.follow(accepted["links"]["live"]):
                if message.fact is not None:
                    states.append(evolve(states[-1], message.fact))
                    line = describe(message.fact.fact())
                    say(f"{document}: {line.actor} {line.text}")
                    if states[-1].approval == message.fact.id:
                        await _deny(site.gateway, states[-1])
    except ConnectorsError as error:
        reason = str(error)
    except TimeoutError:
        reason = f"it had not ended after {order.timeout_s:.0f} s"
        await _cancel(site.gateway, states[-1].id)
    run = _told(document, states[-1], time.monotonic() - began, reason, site.output)
    say(f"{document}: {run.outcome} after {run.seconds:.1f} s, {run.proven}/{run.total} read completely")
    return run


async def _deny(gateway: Gateway, state: PipelineState) -> None:
    answer = {"request": state.approval, "decision": "denied", "reason": "nobody is here to grant it"}
    await gateway.post(f"/pipelines/{state.id}/approval", answer)


async def _cancel(gateway: Gateway, pipeline_id: str) -> None:
    """Stop what is running, so that the next document does not wait for it."""
    if pipeline_id:
        async with httpx2.AsyncClient(base_url=gateway.url, timeout=30) as http:
            await http.post(f"/pipelines/{pipeline_id}/cancel")


def _told(document: str, state: PipelineState, seconds: float, reason: str, output: Path) -> Run:
    coverage = state.coverage
    unproven = _unproven(output / "connector-implementations" / f"source-{connector_name(document)}")
    left_out = dict.fromkeys(state.degraded, "left out by a repair")
    return Run(
        document=document,
        outcome="failed" if reason else state.status.value,
        seconds=seconds,
        pipeline=state.id,
        reason=reason or state.reason or "",
        streams=state.streams,
        gaps=state.gaps,
        proven=coverage.proven if coverage else 0,
        total=coverage.total if coverage else state.streams,
        unproven={**dict.fromkeys(state.unproven, "not proven"), **left_out, **unproven},
    )


def _unproven(package: Path) -> dict[str, str]:
    """Of a published package, by stream; nothing where nothing was published."""
    results = package / "tests" / "test_results.json"
    if not results.is_file():
        return {}
    proofs = json.loads(results.read_bytes())["streams"]
    return {proof["stream"]: proof["reason"] for proof in proofs if not proof["proven"]}
