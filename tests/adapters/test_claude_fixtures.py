"""Fixtures with a model: records that it writes lend the simulated API their style, and can change nothing else."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from contracts.events import Engine, FixturesCreated
from contracts.pipeline import PipelineState, Task
from contracts.services import Service
from contracts.simulation import SimulatedApi
from infra.runtime.agent import Job, Tools
from infra.runtime.artifacts import MemoryArtifacts
from infra.runtime.documents.researched import MEMBER
from services.fixtures.handler import run
from tests.support.claude import Desk
from tests.support.claude_server import ClaudeServer, call, outcome, serving
from tests.support.openapi import array, document, get, obj, query

THING = obj(id="string", name="string")
PAGED = get(obj(data=array(THING), next_cursor="string"), query("cursor"), query("limit", "integer", maximum=50))
SCHEMES = {"securitySchemes": {"token": {"type": "http", "scheme": "bearer"}}}
RAW = document({"/things": PAGED}, components=SCHEMES, security=[{"token": []}]).raw
WRITTEN = {**RAW, MEMBER: {"text": json.dumps(RAW), "whole": True}}
EXAMPLES = {"GET /things": [{"id": "th_Xk29dP", "name": "Blue lamp"}]}
DONE = outcome({"summary": "Things."})


def wrote(examples: object) -> Any:
    return call("write", file_path="/workspace/examples.json", content=json.dumps(examples))


async def _quiet(message: str, *, done: int | None = None, total: int | None = None) -> None:
    assert message


async def made(
    server: ClaudeServer,
    artifacts: MemoryArtifacts,
    folder: Path,
    raw: object,
    desk: Desk | None = None,
    **state: Any,
) -> tuple[FixturesCreated, SimulatedApi]:
    ref = await artifacts.put(json.dumps(raw).encode(), "application/json")
    job = Job(
        Task(id="t", service=Service.FIXTURES), PipelineState(id="0" * 32, name="acme", document=ref, **state)
    )
    model = (desk or Desk(server, artifacts=artifacts)).model(service=Service.FIXTURES)
    fact = await run(job, folder, Tools(artifacts, _quiet, model=model))
    return fact, SimulatedApi.model_validate_json(await artifacts.get(fact.fixtures))


async def test_records_of_a_model_change_the_style_of_values_and_nothing_else(tmp_path: Path) -> None:
    read = call("read", file_path="/workspace/streams.md") + call("read", file_path="/workspace/openapi.yaml")
    evil = {"GET /things": [{**EXAMPLES["GET /things"][0], "next_cursor": None, "has_more": False, "token": "x"}]}
    async with serving([read, wrote(evil), DONE]) as server:
        artifacts = MemoryArtifacts()
        _, plain = await made(server, artifacts, tmp_path, WRITTEN, engine=Engine.OFFLINE)
        _, api = await made(server, artifacts, tmp_path, WRITTEN)
    assert "no example in the document" in "".join(server.requests[1].results.values())
    assert server.requests[0].tools == ["read", "write"]
    found, before = api.endpoints["GET /things"], plain.endpoints["GET /things"]
    assert found.records.json_schema["properties"]["id"]["examples"] == ["th_Xk29dP"]
    assert found.records.json_schema["properties"].keys() == before.records.json_schema["properties"].keys()
    assert found.model_copy(update={"records": before.records}) == before
    assert api.model_copy(update={"endpoints": plain.endpoints}) == plain


async def test_auto_asks_only_where_a_model_wrote_the_document_and_left_examples_out(tmp_path: Path) -> None:
    shown = json.loads(json.dumps(WRITTEN))
    media = shown["paths"]["/things"]["get"]["responses"]["200"]["content"]["application/json"]
    media["example"] = {"data": [{"id": "a", "name": "b"}]}
    async with serving([]) as server:
        artifacts = MemoryArtifacts()
        for raw in (RAW, shown):
            await made(server, artifacts, tmp_path, raw)
    assert server.requests == []


async def test_the_engine_claude_asks_for_any_document_and_once_for_a_task(tmp_path: Path) -> None:
    async with serving([wrote(EXAMPLES), DONE]) as server:
        artifacts = MemoryArtifacts()
        desk = Desk(server, artifacts=artifacts)
        first, _ = await made(server, artifacts, tmp_path / "1", RAW, desk, engine=Engine.CLAUDE)
        second, _ = await made(server, artifacts, tmp_path / "2", RAW, desk, engine=Engine.CLAUDE)
    assert first == second
    assert len(server.requests) == 2


async def test_records_that_do_not_fit_the_document_are_refused(tmp_path: Path) -> None:
    script = [DONE, wrote({"GET /others": [{"id": "1"}]}), DONE, wrote(EXAMPLES), DONE]
    async with serving(script) as server:
        _, api = await made(server, MemoryArtifacts(), tmp_path, WRITTEN)
    assert "there is no /workspace/examples.json" in server.requests[1].text
    assert "no endpoint of the document" in server.requests[3].text
    assert api.endpoints["GET /things"].records.examples == tuple(EXAMPLES["GET /things"])


async def test_records_stand_for_a_response_of_which_the_document_says_nothing(tmp_path: Path) -> None:
    silent = document({"/things": get(None)}).raw
    async with serving([wrote(EXAMPLES), DONE]) as server:
        _, api = await made(server, MemoryArtifacts(), tmp_path, silent, engine=Engine.CLAUDE)
    assert api.endpoints["GET /things"].records.json_schema["properties"]["name"]["examples"] == ["Blue lamp"]
