"""The four commands as Airbyte's platform and PyAirbyte call them."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from jsonschema import Draft7Validator

from infra.runtime.toolchain import prepare
from services.generator.compiler import compile_connector
from tests.support.blueprints import blueprint, small_crm, stream
from tests.support.connector_process import Connector, validated
from tests.support.generated import config, connector
from tests.support.paged_api import Answer, Api, collection, records, serving


@pytest.fixture(scope="module")
def crm(tmp_path_factory: pytest.TempPathFactory) -> Connector:
    return connector(small_crm(), tmp_path_factory.mktemp("crm"))


def test_spec_describes_a_config_that_the_connector_accepts(crm: Connector) -> None:
    said = validated(crm.run("spec"))
    assert said.code == 0
    assert said.stderr == ""
    specification = said.of("SPEC")[0]["connectionSpecification"]
    Draft7Validator.check_schema(specification)
    Draft7Validator(specification).validate(config("https://api.example.com", start_date="2024-01-01T00:00:00Z"))
    variant = specification["properties"]["credentials"]["oneOf"][0]
    assert variant["properties"]["auth_type"]["const"] == "token"
    assert variant["properties"]["access_token"]["airbyte_secret"] is True
    assert "$ref" not in json.dumps(specification)


def test_spec_loads_neither_the_http_client_nor_the_config(crm: Connector) -> None:
    code = (
        f"import sys; from {crm.package}.__main__ import main; main(['spec']); "
        "sys.exit(bool({'pydantic', 'msgspec', 'urllib3'} & set(sys.modules)))"
    )
    done = subprocess.run([crm.python, "-c", code], env=crm.environment, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr


def test_discover_describes_every_stream(crm: Connector) -> None:
    said = crm.discover(config("https://api.example.com"))
    assert said.code == 0
    streams = {item["name"]: item for item in said.of("CATALOG")[0]["streams"]}
    assert list(streams) == [item.name for item in small_crm().streams]
    assert streams["by_none"]["is_resumable"] is False
    assert streams["by_page"]["is_resumable"] is True
    assert streams["by_page"]["supported_sync_modes"] == ["full_refresh"]
    assert streams["contacts"]["source_defined_primary_key"] == [["id"]]
    assert streams["contacts"]["default_cursor_field"] == ["updated_at"]
    assert streams["contacts"]["supported_sync_modes"] == ["full_refresh", "incremental"]
    assert streams["contacts"]["source_defined_cursor"] is True


def test_pyairbytes_catalog_and_state_files_are_accepted(crm: Connector) -> None:
    """It asks for incremental where there is none, gives no cursor field, and hands states back with nulls."""
    descriptor = {"name": "by_page", "namespace": None}
    state = {
        "type": "STREAM",
        "stream": {"stream_descriptor": descriptor, "stream_state": None},
        "global": None,
        "global_": None,
        "data": None,
        "sourceStats": None,
        "destinationStats": None,
    }
    with serving(Api()) as api:
        api.routes["/by_page"] = collection("page", records(7), api=api)
        arguments = crm.read_arguments(config(api.url), ["by_page"], mode="incremental", state=[state])
        said = validated(crm.run(*arguments))
    assert said.code == 0, said.stdout
    assert said.records("by_page") == records(7)


def test_every_message_is_one_compact_line_and_nothing_else_is_said(crm: Connector) -> None:
    with serving(Api()) as api:
        api.routes["/by_page"] = collection("page", records(7), api=api)
        said = crm.read(config(api.url), "by_page")
    assert said.stderr == ""
    for line in said.stdout.splitlines():
        assert line.startswith('{"type":"')
    kinds = [message["type"] for message in said.messages]
    assert kinds[0] == "TRACE"
    assert kinds.index("RECORD") < kinds.index("STATE")


def test_unexpected_error_is_a_trace_and_not_the_end_of_the_others(crm: Connector, tmp_path: Path) -> None:
    deep = b'{"data": [' + b"[" * 200_000
    with serving(Api()) as api:
        api.routes["/by_page"] = lambda asked: Answer(raw=deep + b"]" * 200_000 + b"]}")
        api.routes["/by_none"] = collection("none", records(1), api=api)
        said = crm.read(config(api.url), "by_page", "by_none")
    assert said.code == 1
    assert said.errors()[0]["failure_type"] == "system_error"
    assert said.records("by_none") == records(1)


def test_usage_error_exits_with_2_and_says_nothing_on_stdout(crm: Connector) -> None:
    for arguments in ([], ["read"], ["spec", "--config", "x"], ["dance"]):
        said = crm.run(*arguments)
        assert (said.code, said.stdout) == (2, "")
        assert "usage" in said.stderr


def test_connector_of_a_hostile_document_runs(tmp_path: Path) -> None:
    names = [
        '"""',
        "\\",
        "a\nb",
        "{{ x }}",
        "class",
        "../../x",
        "\u2028",
        "x" * 10_000,
        "ünï \U0001f600",
        "%s",
        "''",
    ]
    schema = {"type": "object", "properties": {name: {"type": "string"} for name in names}}
    made = connector(blueprint(*(stream(name, path="/all", schema=schema) for name in names), schemes=()), tmp_path)
    with serving(Api()) as api:
        api.routes["/all"] = collection("none", records(1), api=api)
        found = [item["name"] for item in made.discover({"base_url": api.url}).of("CATALOG")[0]["streams"]]
        said = made.read({"base_url": api.url}, *names)
    assert found == names
    assert said.code == 0, said.stdout
    assert all(said.records(name) == records(1) for name in names)


def test_installed_wheel_has_its_data_and_a_console_script(tmp_path: Path) -> None:
    folder = tmp_path / "source-small-crm"
    Connector(compile_connector(small_crm(), {}, frozenset()), folder, prepare().python)
    build = [str(prepare().python), "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path / "dist")]
    done = subprocess.run(build, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (wheel,) = (tmp_path / "dist").iterdir()
    inside = subprocess.run(
        [str(prepare().python), "-m", "zipfile", "-l", str(wheel)], capture_output=True, text=True, check=True
    ).stdout
    for name in ("spec.json", "py.typed", "schemas/contacts.json", "entry_points.txt"):
        assert name in inside
