"""Streams that a field of the configuration opens: without it they are left out, and the rest is read."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.blueprints import opened_by_fields
from tests.support.connector_process import Connector, Said
from tests.support.generated import config, connector
from tests.support.paged_api import Api, collection, records, serving

ALWAYS = {"contacts", "avatars"}
BY_FOLDER = {"items", "comments", "locks"}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Connector:
    return connector(opened_by_fields(), tmp_path_factory.mktemp("opened"))


@pytest.fixture
def api() -> Api:
    held = records(3)
    api = Api(routes={"/contacts": collection("page", held), "/reports": collection("none", held)})
    api.routes |= {path: collection("none", held) for path in ("/folders/7/items", "/locks", "/avatars/round")}
    api.routes |= {
        f"/items/{item['id']}/comments": collection("none", records(2, item["id"] * 10)) for item in held
    }
    return api


def listed(said: Said) -> set[str]:
    (catalog,) = said.of("CATALOG")
    return {stream["name"] for stream in catalog["streams"]}


@pytest.mark.parametrize(
    ("set_", "opened"),
    [
        ({}, set()),
        ({"folder_id": ""}, set()),
        ({"folder_id": "7"}, BY_FOLDER),
        ({"from": "2024-01-01"}, {"reports"}),
        ({"folder_id": "7", "from": "2024-01-01"}, {*BY_FOLDER, "reports"}),
    ],
)
def test_discover_lists_what_the_fields_open(made: Connector, set_: dict[str, str], opened: set[str]) -> None:
    assert listed(made.discover(config("http://127.0.0.1:9", **set_))) == ALWAYS | opened


def test_form_says_what_a_field_opens(made: Connector) -> None:
    (spec,) = made.run("spec").of("SPEC")
    form = spec["connectionSpecification"]
    assert form["required"] == ["credentials"]
    assert form["properties"]["folder_id"]["description"] == "Opens the streams items, locks, comments."
    assert form["properties"]["from"]["description"] == "Opens the stream reports."
    assert form["properties"]["kind"] | {"order": 0} == {
        "type": "string", "title": "Kind", "enum": ["round", "square"], "default": "round", "order": 0,
    }  # fmt: skip


def test_check_succeeds_without_the_fields(made: Connector, api: Api) -> None:
    with serving(api):
        assert made.check(config(api.url)).connection_status["status"] == "SUCCEEDED"


def test_read_without_a_field_fails_its_streams_alone(made: Connector, api: Api) -> None:
    with serving(api):
        said = made.read(config(api.url), "contacts", "items", "comments", "reports")
    assert said.code == 1
    assert said.statuses("contacts")[-1] == "COMPLETE"
    assert len(said.records("contacts")) == 3
    errors = {error["stream_descriptor"]["name"]: error for error in said.errors()}
    assert set(errors) == {"items", "comments", "reports"}
    for name, field in (("items", "folder_id"), ("comments", "folder_id"), ("reports", "from")):
        assert errors[name]["failure_type"] == "config_error"
        assert f"needs {field} in the configuration" in errors[name]["message"]
        assert said.statuses(name) == ["INCOMPLETE"]
    assert {asked.path for asked in api.asked} == {"/contacts"}


def test_read_with_the_fields_reads_all(made: Connector, api: Api) -> None:
    with serving(api):
        said = made.read(config(api.url, folder_id="7", **{"from": "2024-01-01"}), *ALWAYS, *BY_FOLDER, "reports")
    assert said.code == 0
    assert not said.errors()
    counts = {name: len(said.records(name)) for name in (*ALWAYS, *BY_FOLDER, "reports")}
    assert counts == dict.fromkeys((*ALWAYS, "items", "locks", "reports"), 3) | {"comments": 6}
    assert all(asked.query["folder_id"] == "7" for asked in api.asked if asked.path == "/locks")
    assert all(asked.query["from"] == "2024-01-01" for asked in api.asked if asked.path == "/reports")


def test_readme_says_which_stream_needs_which_field(made: Connector) -> None:
    readme = Path(made.folder / "README.md").read_text()
    rows = {line.split("`")[1]: line.split("|")[-2].strip() for line in readme.splitlines() if "GET /" in line}
    assert rows["comments"] == rows["items"] == r"folder\_id"
    assert rows["contacts"] == ""
