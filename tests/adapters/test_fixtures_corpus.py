"""Real documents: each gives a simulated API in bounded time, and what it serves can be read to the end."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import httpx2 as httpx
import jsonschema
import pytest

from contracts.simulation import Endpoint, SimulatedApi
from infra.runtime.simulator import Plan, Simulator, Size
from infra.runtime.simulator.mould import Mould
from infra.runtime.simulator.population import variables_of
from services.fixtures.handler import simulate
from tests.support.walker import walk

CORPUS = Path(os.environ.get("CORPUS_DIR", Path(__file__).parents[3] / "shared")) / "specs"
DOCUMENTS = sorted(
    (path for path in CORPUS.glob("*") if path.suffix in (".json", ".yaml")), key=lambda path: path.stat().st_size
)
HEAVY_BYTES = 1_000_000


def _weighed(path: Path) -> object:
    """The large ones take seconds each: `make test-all` has them."""
    marks = pytest.mark.slow if path.stat().st_size > HEAVY_BYTES else ()
    return pytest.param(path, id=path.stem, marks=marks)


pytestmark = pytest.mark.skipif(not DOCUMENTS, reason="no corpus here: set CORPUS_DIR")
LIMIT_S = 90
"""Generous: the machine may be busy. The largest need seconds."""


def _api(document: Path) -> SimulatedApi:
    return SimulatedApi.model_validate_json(simulate(document.read_bytes(), document.name))


@pytest.mark.parametrize("document", [_weighed(path) for path in DOCUMENTS])
def test_a_real_document_gives_a_simulated_api(document: Path) -> None:
    started = time.monotonic()
    made = simulate(document.read_bytes(), document.name)
    assert time.monotonic() - started < LIMIT_S
    assert len(made) < 16 * 1024 * 1024
    api = SimulatedApi.model_validate_json(made)
    assert api.endpoints
    for endpoint in api.endpoints.values():
        known = {source.endpoint for binding in endpoint.bindings for source in binding.sources}
        assert known <= api.endpoints.keys()
        assert endpoint.key not in known
        assert {ground.subject for ground in endpoint.grounds} >= {"records", "paging", "identity", "auth"}


@pytest.mark.parametrize("document", DOCUMENTS[:10], ids=lambda path: path.stem)
async def test_every_endpoint_of_a_small_document_can_be_read_to_the_end(document: Path) -> None:
    api = _api(document)
    async with Simulator(api, port=0) as simulator, httpx.AsyncClient(timeout=20) as client:
        for endpoint in api.endpoints.values():
            sources = {s.endpoint: 2 for b in endpoint.bindings for s in b.sources}
            free = dict.fromkeys(variables_of(endpoint.path), "chosen") if not endpoint.bindings else {}
            parents = {key: 2 for key in api.endpoints if key != endpoint.key}
            plan = Plan(records=Size("page", +1), counts={**parents, **sources}, variables=free, page_size=3)
            simulator.reset(plan)
            await _read_all(client, simulator, endpoint, free)


async def _read_all(
    client: httpx.AsyncClient, simulator: Simulator, endpoint: Endpoint, free: dict[str, str]
) -> None:
    key, names = endpoint.key, variables_of(endpoint.path)
    partitions = {partition for partition, _ in simulator.rows(key)}
    if not partitions and names:
        partitions = {tuple("chosen" for _ in names)} if free else set()
    got = []
    for values in partitions:
        got += await walk(client, simulator.base_url, endpoint, dict(zip(names, values, strict=True)))
    assert sorted(simulator.delivered(key)) == sorted(simulator.rows(key)), key
    assert sorted(map(json.dumps, got)) == sorted(map(json.dumps, simulator.expected(key))), key
    if endpoint.records.identity and endpoint.records.shape != "single" and len(partitions) < 2:
        top = endpoint.records.identity[0]
        values = [json.dumps(_at(record, top)) for record in got]
        assert len(set(values)) == len(values), (key, top)


def _at(record: object, path: tuple[str, ...]) -> object:
    for name in path:
        record = record[name] if isinstance(record, dict) else None
    return record


@pytest.mark.parametrize("document", DOCUMENTS[:10], ids=lambda path: path.stem)
def test_records_of_a_small_document_are_valid(document: Path) -> None:
    for endpoint in _api(document).endpoints.values():
        mould = Mould(endpoint, seed=3)
        validator = jsonschema.Draft7Validator(endpoint.records.json_schema)
        variables = dict.fromkeys(variables_of(endpoint.path), "7")
        for index in range(8):
            validator.validate(mould.record(index, 0, variables))
