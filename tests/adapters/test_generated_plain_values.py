"""Lists of texts and numbers, from a document to the records that a connector reads of a real server."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest

from contracts.blueprint import ApiBlueprint
from contracts.simulation import SimulatedApi
from infra.runtime import sandbox
from infra.runtime.simulator import Plan, Simulator, Size
from infra.runtime.toolchain import prepare
from services.fixtures.inference.infer import infer as simulated
from services.generator.compiler import compile_connector
from services.research.openapi.engine import infer as researched
from services.tester.conformance import Knowledge, Subject, conform
from services.tester.conformance.bench import Bench, Pace
from services.tester.conformance.binding import bind
from services.tester.conformance.commands import discover
from services.tester.conformance.completeness import judge, read_nested, read_size
from services.tester.conformance.configuration import Form
from services.tester.work import Package, knowledge_of
from tests.support.blueprints import of_plain_values
from tests.support.connector_process import Connector
from tests.support.generated import config, connector
from tests.support.openapi import array, document, get, obj, query, variable
from tests.support.paged_api import Answer, Api, Asked, serving

TEXT, NUMBER = {"type": "string"}, {"type": "integer"}
PATHS = {
    "/labels": get(array(TEXT)),
    "/codes": get(
        obj(values=array(TEXT), total="integer", startAt="integer"),
        query("startAt", "integer"),
        query("maxResults", "integer", maximum=50),
    ),
    "/teams": get(array(obj(id="string", name="string"))),
    "/teams/{id}/members": get(
        obj(members=array(NUMBER), next_cursor="string"), variable("id"), query("cursor"), query("limit", "integer")
    ),
    "/labels/{label}/uses": get(array(obj(id="integer", text="string")), variable("label")),
}
PLAN = Plan(records=4, counts={"GET /codes": Size(plus=1), "GET /teams/{id}/members": (Size(plus=1), 0, 1)})


class Made:
    """A connector made from the document `PATHS` alone, and the simulated API as the kit uses it."""

    def __init__(self, folder: Path) -> None:
        found = document(PATHS)
        self.blueprint: ApiBlueprint = researched(found, name="acme", document_url=None)
        tree = compile_connector(self.blueprint, {}, frozenset())
        self.package = Package(tree, simulated(found), self.blueprint)
        self.api: SimulatedApi
        self.known: Knowledge
        self.api, self.known, gaps = knowledge_of(self.package)
        assert not [gap for gap in gaps if "records" in gap.id]
        self.connector = Connector(tree, folder, prepare().python)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return Made(tmp_path_factory.mktemp("acme"))


@pytest.fixture
def sockets() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="kit-") as name:  # a socket's path must be short
        yield Path(name)


@pytest.fixture
async def server(made: Made) -> AsyncIterator[Simulator]:
    async with Simulator(made.api, PLAN, port=0) as simulator:
        yield simulator


async def test_connector_from_a_document_reads_every_value_once(made: Made, server: Simulator) -> None:
    names = ("labels", "codes", "teams", "members", "uses")
    said = await asyncio.to_thread(made.connector.read, {"base_url": server.base_url}, *names)
    assert said.code == 0, said.stdout
    for name, key in (("labels", "GET /labels"), ("codes", "GET /codes")):
        assert said.records(name) == list(server.expected(key)), name
    assert len(said.records("codes")) == server.page_size("GET /codes") + 1, "so there were two pages"
    key = "GET /teams/{id}/members"
    members = sorted((record["team_id"], record["member"]) for record in said.records("members"))
    assert members == sorted((record["team_id"], record["member"]) for record in server.expected(key))
    assert {team for (team,), _ in server.rows(key)} == {team for team, _ in members}
    assert len(said.records("uses")) == 4 * len(said.records("labels")) == 16


async def test_simulated_api_answers_with_plain_values(server: Simulator) -> None:
    async with httpx.AsyncClient(base_url=server.base_url) as client:
        labels = (await client.get("/labels")).json()
        page = (await client.get("/codes", params={"startAt": 1, "maxResults": 3})).json()
    assert labels == [record["label"] for record in server.expected("GET /labels")]
    assert len(set(labels)) == 4, "they differ"
    assert page == {
        "values": [record["code"] for record in server.expected("GET /codes")][1:4],
        "total": 4,
        "startAt": 1,
    }
    assert len(server.delivered("GET /codes")) == 3, "they are counted like records"


def subject_in(folder: Path, made: Made) -> Subject:
    env = {"PYTHONPATH": "{work}/src", "PYTHONDONTWRITEBYTECODE": "1"}
    return Subject(folder, ("{python}", "-m", made.connector.package), made.connector.python, env)


@pytest.mark.slow
async def test_kit_finds_nothing_wrong(made: Made, sockets: Path) -> None:
    judgement = await conform(
        subject_in(made.connector.folder, made),
        made.api,
        folder=sockets,
        isolation=await sandbox.probe(),
        knowledge=made.known,
        pace=Pace(silence=False, many=300),
    )
    assert [check.id for check in judgement.checks if check.outcome == "failed"] == []
    assert "primary_key/members/parents" in {check.id for check in judgement.checks}


async def test_kit_finds_values_that_are_lost_or_of_another_parent(
    made: Made, sockets: Path, tmp_path: Path
) -> None:
    pages = "src/source_acme/pages.py"
    tree = dict(compile_connector(made.blueprint, {}, frozenset()))
    for right, wrong in (
        (b"for value in values]", b"for value in values[1:]]"),
        (b"variables[variable]", b'"another"'),
    ):
        assert tree[pages].count(right) == 1
        tree[pages] = tree[pages].replace(right, wrong)
    folder = Connector(tree, tmp_path, made.connector.python).folder
    bench = Bench(subject_in(folder, made), made.api, sockets, await sandbox.probe())
    bench.form = Form((await bench.spec()).transcript.spec or {})
    catalog, _ = await discover(bench)
    bound = {one.name: one for one in bind(catalog, made.api, made.known.endpoints, made.known.parents).bound}
    flat = await read_size(bench, "page+1", [bound["labels"], bound["codes"]])
    nested = await read_nested(bench, [bound["members"]])
    checks = [check for reading in (*flat, *nested) for one in reading.streams for check in judge(reading, one)]
    failing = {check.id for check in checks if check.outcome == "failed"}
    assert failing == {
        "completeness/labels/page+1",
        "completeness/codes/page+1",
        "completeness/members/over-parents",
        "primary_key/members/parents",
    }


# --- what the connector does, whoever wrote the blueprint ------------------------------------------


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Connector:
    return connector(of_plain_values(), tmp_path_factory.mktemp("plain"))


def labels_and_users(asked: Asked) -> Answer:
    """``/labels``, ``/labels/LABEL/users``: two labels have the same user."""
    users = {"/labels/a%20b/users": [1, 2], "/labels/c/users": [2.5, 2]}
    return Answer(body=["a b", "c"] if asked.path == "/labels" else {"data": users[asked.path]})


def test_records_below_a_plain_value_name_it(plain: Connector) -> None:
    with serving(Api()) as api:
        paths = ("/labels", "/labels/a%20b/users", "/labels/c/users")
        api.routes = dict.fromkeys(paths, labels_and_users)
        said = plain.read(config(api.url), "labels", "users")
    assert said.records("labels") == [{"label": "a b"}, {"label": "c"}]
    users = sorted((record["label"], record["user"]) for record in said.records("users"))
    assert users == [("a b", 1), ("a b", 2), ("c", 2), ("c", 2.5)]


def test_interrupted_read_of_plain_values_goes_on_at_the_next_page(plain: Connector) -> None:
    values = [f'tag {number} \u00e9"' for number in range(12)]

    def pages(asked: Asked) -> Answer:
        begin = int(asked.query["offset"])
        return Answer(body={"data": values[begin : begin + 5], "meta": {"total": len(values)}})

    with serving(Api()) as api:
        api.routes = {"/tags": pages}
        whole = plain.read(config(api.url), "tags")
        begun = [whole.states("tags")[0]]
        rest = plain.read(config(api.url), "tags", state=begun)
    assert [record["tag"] for record in whole.records("tags")] == values
    assert [record["tag"] for record in rest.records("tags")] == values[5:]


@pytest.mark.parametrize(
    ("labels", "tags"),
    [(["a", {"name": "b"}], [["a"]]), (["a", None], [True]), ({"labels": ["a"]}, {"a": "b"})],
    ids=["something else among them", "null and truth", "no list"],
)
def test_what_is_no_list_of_plain_values_is_no_success(plain: Connector, labels: Any, tags: Any) -> None:
    with serving(Api()) as api:
        api.routes = {
            "/labels": lambda asked: Answer(body=labels),
            "/tags": lambda asked: Answer(body={"data": tags}),
        }
        said = plain.read(config(api.url), "labels", "tags")
    assert said.code == 1
    for name in ("labels", "tags"):
        assert said.statuses(name)[-1] == "INCOMPLETE"
        assert said.records(name) == []
    assert all("document" in error["message"] for error in said.errors())


def test_plain_values_where_objects_are_promised_are_no_success(plain: Connector) -> None:
    with serving(Api()) as api:
        api.routes = {"/things": lambda asked: Answer(body={"data": ["a", "b"]})}
        said = plain.read(config(api.url), "things")
    assert (said.code, said.records("things")) == (1, [])
    assert "something else than objects" in said.errors()[0]["message"]


def test_catalog_tells_field_and_key(plain: Connector) -> None:
    said = plain.discover(config("http://127.0.0.1:9"))
    streams = {entry["name"]: entry for entry in said.of("CATALOG")[0]["streams"]}
    assert streams["labels"]["source_defined_primary_key"] == [["label"]]
    assert streams["users"]["source_defined_primary_key"] == [["label"], ["user"]]
