"""A document of 1,000 operations from submit to generated code, and the memory of the idle stack.

On a real embedded stack (every process its own); the target of the first is 10 s.
"""

from __future__ import annotations

import asyncio
import json
import tempfile
from pathlib import Path
from typing import Any

import psutil

from infra.cli.client import Gateway
from infra.runtime.stack import Stack, StackConfig, running_stack
from tests.benchmarks.report import Cell, Report, Table, goal

RESOURCES = 250
GOAL_S = 10.0


def document() -> dict[str, Any]:
    """An OpenAPI 3.0 document with 4 operations for each of 250 resources."""
    paths: dict[str, Any] = {}
    for n in range(RESOURCES):
        name = f"thing{n}s"
        item = {
            "type": "object",
            "required": ["id"],
            "properties": {
                "id": {"type": "string"},
                "name": {"type": "string"},
                "updated_at": {"type": "string", "format": "date-time"},
                **{f"field_{k}": {"type": ("string", "integer", "boolean")[k % 3]} for k in range(15)},
            },
        }
        page = {
            "type": "object",
            "properties": {"data": {"type": "array", "items": item}, "total": {"type": "integer"}},
        }
        parameters = [
            {"name": "offset", "in": "query", "schema": {"type": "integer", "default": 0}},
            {"name": "limit", "in": "query", "schema": {"type": "integer", "maximum": 100}},
        ]
        one = [{"name": "id", "in": "path", "required": True, "schema": {"type": "string"}}]
        paths[f"/{name}"] = {
            "get": {"operationId": f"list_{name}", "parameters": parameters, "responses": _answer(page)},
            "post": {"operationId": f"create_{name}", "responses": _answer(item)},
        }
        paths[f"/{name}/{{id}}"] = {
            "get": {"operationId": f"get_{name}", "parameters": one, "responses": _answer(item)},
            "delete": {
                "operationId": f"delete_{name}",
                "parameters": one,
                "responses": {"204": {"description": "Gone"}},
            },
        }
    return {
        "openapi": "3.0.3",
        "info": {"title": "Large", "version": "1"},
        "servers": [{"url": "https://large.example/v1"}],
        "paths": paths,
    }


def _answer(schema: dict[str, Any]) -> dict[str, Any]:
    return {"200": {"description": "OK", "content": {"application/json": {"schema": schema}}}}


def idle_memory_mib(stack: Stack) -> dict[str, float]:
    """Proportional set size of each process, in MiB: what would be free if the stack were not there."""
    return {p.service: psutil.Process(p.pid).memory_full_info().pss / 2**20 for p in stack.processes()}


async def seconds_to_code(gateway: Gateway, path: Path) -> float:
    """From `pipeline.submitted` to `connector.generated`, by the times of the facts."""
    accepted = await gateway.generate("large", document=path, spec_url=None, engine="offline")
    began = None
    async for message in gateway.follow(accepted["links"]["live"]):
        if message.fact is None:
            continue
        began = began or message.fact.time
        if message.fact.type == "connector.generated":
            return (message.fact.time - began).total_seconds()
    raise SystemExit("the pipeline ended without code")


def run(report: Report) -> None:
    asyncio.run(_run(report))


async def _run(report: Report) -> None:
    with tempfile.TemporaryDirectory(prefix="connectors-bench-") as folder:
        root = Path(folder)
        path = root / "large.json"
        path.write_text(json.dumps(document()))
        async with (
            running_stack(StackConfig.at(root / "data", root / "output", 0)) as stack,
            Gateway(stack.url) as gateway,
        ):
            await asyncio.sleep(3)
            memory = idle_memory_mib(stack)
            seconds = await seconds_to_code(gateway, path)
    rows: list[list[Cell]] = [[service, mib] for service, mib in memory.items()]
    total = [f"all {len(memory)} processes", sum(memory.values())]
    report.add(Table("idle stack", ("process", "MiB (PSS)"), [*rows, total], [report.conditions()]))
    notes = [goal("submit to code", seconds, GOAL_S, at_most=True, unit=" s"), report.conditions()]
    report.add(Table("pipeline for 1,000 operations", ("", "s"), [["submit to code", seconds]], notes))
