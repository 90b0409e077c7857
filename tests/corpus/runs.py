"""One document through the real pipeline, or through research alone."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import httpx2

from contracts.blueprint import ApiBlueprint
from contracts.errors import ConnectorsError
from contracts.events import Engine
from contracts.pipeline import PipelineState, evolve
from infra.cli.client import Gateway
from infra.cli.describe import describe
from infra.runtime.documents import load
from services.research.openapi.engine import infer
from tests.corpus.compare import Offered
from tests.corpus.truth import place

Say = Callable[[str], None]


@dataclass(frozen=True)
class Run:
    """What came of a document. ``outcome`` is the pipeline's status, or ``researched`` where research alone was
    asked for; ``reason`` why it was not published, or not in full. ``proven`` of ``total`` streams were read
    completely; ``unproven`` says why not, by stream. Seconds are wall clock."""

    document: str
    outcome: str
    seconds: float
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


async def pipeline(document: str, path: Path, gateway: Gateway, output: Path, timeout_s: float, say: Say) -> Run:
    """The whole pipeline, from the submit to its last fact; cancelled after ``timeout_s``."""
    began = time.monotonic()
    states = [PipelineState()]
    live = ""
    reason = ""
    try:
        async with asyncio.timeout(timeout_s):
            accepted = await gateway.generate(
                connector_name(document), document=path, spec_url=None, engine=Engine.OFFLINE
            )
            live = accepted["links"]["live"]
            async for message in gateway.follow(live):
                if message.fact is not None:
                    states.append(evolve(states[-1], message.fact))
                    line = describe(message.fact.fact())
                    say(f"{document}: {line.actor} {line.text}")
    except ConnectorsError as error:
        reason = str(error)
    except TimeoutError:
        reason = f"it had not ended after {timeout_s:.0f} s"
        await _cancel(gateway, states[-1].id)
    return _told(document, states[-1], time.monotonic() - began, reason, output)


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
