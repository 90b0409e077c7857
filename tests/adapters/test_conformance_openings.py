"""From a small document to a verdict: streams that a field of the config opens, with it and without."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from contracts.artifacts import Tree
from contracts.reports import Check, Outcome
from infra.runtime import sandbox
from infra.runtime.toolchain import prepare
from infra.runtime.trees import write_tree
from services.fixtures.inference.infer import infer
from services.generator.compiler import compile_connector
from services.research.openapi import engine
from services.tester.conformance import Subject, commands, openings, reading
from services.tester.conformance.bench import Bench
from services.tester.conformance.binding import bind
from services.tester.conformance.completeness import compared
from services.tester.conformance.configuration import Form
from services.tester.conformance.variables import free_variables
from services.tester.work import Package, knowledge_of
from tests.support.openapi import THING, array, document, get, obj, query, variable

LINE = array(obj(id="string", line="string"))


def choice(name: str, *values: str) -> dict[str, Any]:
    return {**variable(name), "schema": {"type": "string", "enum": list(values)}}


PATHS = {
    **{f"/{name}": get(array(THING)) for name in ("contacts", "deals", "tasks", "users", "boards")},
    "/folders/{folder_id}/items": get(array(THING), variable("folder_id")),
    "/items/{item_id}/comments": get(LINE, variable("item_id")),
    "/locks": get(array(THING), query("folder_id", required=True)),
    "/boards/{board_id}/cards/{filter}": get(LINE, variable("board_id"), choice("filter", "open", "all")),
    "/avatars/{kind}/system": get(array(THING), choice("kind", "round", "square")),
    "/reports/hours": get(array(obj(id="string")), query("from", "string", "From that date on", required=True)),
}


@pytest.fixture(scope="module")
def package() -> Package:
    read = document(PATHS)
    blueprint = engine.infer(read, name="opened", document_url=None)
    return Package(compile_connector(blueprint, {}, frozenset()), infer(read), blueprint)


@pytest.fixture
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="kit-") as name:  # a unix socket's path must be short
        yield Path(name)


class Judged:
    """The kit's bench at work, after `discover` with all fields set."""

    def __init__(self, package: Package, folder: Path, code: Tree) -> None:
        self.api, self.known, _ = knowledge_of(package)
        write_tree(folder / "tree", code)
        self.subject = Subject(
            folder / "tree", ("{python}", "-m", "source_opened"), prepare().python, {"PYTHONPATH": "{work}/src"}
        )
        (folder / "s").mkdir()
        self.folder = folder / "s"

    async def begin(self) -> None:
        self.bench = Bench(self.subject, self.api, self.folder, await sandbox.probe())
        spec = (await self.bench.spec()).transcript.spec
        assert spec is not None
        self.bench.form = Form(spec, also=self.known.filled)
        config = self.bench.form.fill("http://localhost", None).values
        self.bench.variables = free_variables(self.api, config, self.known.fields)
        catalog, _ = await commands.discover(self.bench)
        self.bound = bind(catalog, self.api, self.known.endpoints, self.known.parents).bound


def failed(checks: list[Check]) -> list[str]:
    return [check.id for check in checks if check.outcome is Outcome.FAILED]


async def test_opened_streams_are_judged_like_all_others(package: Package, folder: Path) -> None:
    at_work = Judged(package, folder, package.code)
    await at_work.begin()
    assert at_work.known.opens == {"folder_id": ("items", "comments", "locks"), "from": ("hours",)}
    assert {one.name for one in at_work.bound} == {stream.name for stream in package.blueprint.streams}
    flat = [one for one in at_work.bound if one.flat]
    run = await at_work.bench.read(reading.plan_for(at_work.bench, flat, 3), [one.catalog for one in flat])
    assert {"items", "locks", "hours", "systems"} <= {one.name for one in flat}
    assert {one.name: compared(run, one).words for one in flat if not compared(run, one).exact} == {}
    (cards,) = (one for one in at_work.bound if one.name == "cards")
    assert cards.endpoint.path == "/boards/{board_id}/cards/all"

    checks = await openings.judge_openings(at_work.bench, at_work.known.opens, at_work.bound)
    assert len(checks) == 3
    assert failed(checks) == []


async def test_a_connector_that_offers_what_it_cannot_read_is_caught(package: Package, folder: Path) -> None:
    place = "src/source_opened/connector.py"
    source = package.code[place].decode()
    for right, broken in (
        ("readable(config.unset())", "readable(frozenset())"),
        ("needs {' and '.join(missing)} in", "needs something in"),
    ):
        assert right in source
        source = source.replace(right, broken)
    at_work = Judged(package, folder, {**package.code, place: source.encode()})
    await at_work.begin()
    checks = await openings.judge_openings(at_work.bench, at_work.known.opens, at_work.bound)
    assert failed(checks) == ["openings/connector/discover", "openings/connector/read"]
