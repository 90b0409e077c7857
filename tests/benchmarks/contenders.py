"""Ours and its peers, set up to read the same API: see ``paged_server.py``."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import yaml

from infra.runtime.toolchain import prepare
from tests.benchmarks.measure import Contender, Count
from tests.benchmarks.paged_server import PAGE_SIZE
from tests.support.compiled import generated
from tests.support.connector_process import Connector
from tests.support.peers import QUIET, Peer, Unavailable, peer

PEERS = Path(__file__).parent / "peers"
OURS = "ours"
CDK = "airbyte-cdk 7.39.1"
ORJSON = "orjson loop"
MSGSPEC = "msgspec.Raw loop"
DLT = "dlt 1.31.0"


STREAMS = (
    *("contacts", "companies", "deals", "notes", "tasks"),
    *("users", "invoices", "orders", "products", "payments"),
)


def available(name: str) -> Peer | None:
    """The peer with the pins of that name; None, and said so, where no registry answers."""
    try:
        return peer(PEERS / f"{name}.txt")
    except Unavailable as error:
        print(f"SKIPPED {name}: {error}", flush=True)
        return None


def contenders(
    folder: Path, url: str, streams: Sequence[str], *others: Callable[..., Contender | None]
) -> list[Contender]:
    """Ours and those of ``others`` that are available."""
    made = (make(folder, url, streams) for make in (ours, *others))
    return [contender for contender in made if contender is not None]


def ours(folder: Path, url: str, streams: Sequence[str]) -> Contender:
    """The connector that research and generator make of the API's document, as it is run anywhere."""
    connector = connector_of(document(streams), folder / "ours")
    arguments = connector.read_arguments({"base_url": url}, streams)
    return Contender(OURS, connector.command(*arguments), airbyte_records, connector.environment)


def connector_of(described: dict[str, Any], folder: Path) -> Connector:
    tree = generated(json.dumps(described).encode(), "benchmark.json", "benchmark")
    return Connector(tree, folder, prepare().python)


def document(streams: Sequence[str]) -> dict[str, Any]:
    """OpenAPI 3.0 of the API."""
    text, integer = {"type": "string"}, {"type": "integer"}
    properties = {"id": integer, "name": text, "email": text, "text": text}
    item = {"type": "object", "required": ["id"], "properties": properties}
    page = {"type": "object", "properties": {"data": {"type": "array", "items": item}}}
    answer = {"description": "A page", "content": {"application/json": {"schema": page}}}
    size = {**integer, "minimum": 1, "maximum": PAGE_SIZE, "default": PAGE_SIZE}
    parameters = [
        {"name": "page", "in": "query", "schema": {**integer, "minimum": 1, "default": 1}},
        {"name": "per_page", "in": "query", "schema": size},
    ]
    return {
        "openapi": "3.0.3",
        "info": {"title": "Benchmark", "version": "1"},
        "servers": [{"url": "https://benchmark.example"}],
        "paths": {
            f"/{name}": {"get": {"parameters": parameters, "responses": {"200": answer}}} for name in streams
        },
    }


def cdk(folder: Path, url: str, streams: Sequence[str]) -> Contender | None:
    """The declarative source with a manifest for the same API, concurrency left at its default."""
    found = available("airbyte-cdk")
    if found is None:
        return None
    folder = folder / "cdk"
    folder.mkdir()
    (folder / "manifest.yaml").write_text(yaml.safe_dump(manifest(streams)))
    (folder / "config.json").write_text(json.dumps({"base_url": url}))
    selected = [
        {
            "stream": {"name": name, "json_schema": {}, "supported_sync_modes": ["full_refresh"]},
            "sync_mode": "full_refresh",
            "destination_sync_mode": "append",
        }
        for name in streams
    ]
    (folder / "catalog.json").write_text(json.dumps({"streams": selected}))
    files = [f"--{name}={folder / file}" for name, file in _CDK_FILES.items()]
    command: list[str | Path] = [found.script("source-declarative-manifest"), "read", *files]
    return Contender(CDK, command, airbyte_records, QUIET)


_CDK_FILES = {"config": "config.json", "catalog": "catalog.json", "manifest-path": "manifest.yaml"}


def manifest_only_connector(folder: Path, streams: Sequence[str]) -> Path:
    """A connector as its users write it, for ``spec``, which the generic command answers without one."""
    folder.mkdir()
    (folder / "manifest.yaml").write_text(yaml.safe_dump(manifest(streams)))
    main = folder / "main.py"
    main.write_text(_CDK_MAIN)
    return main


_CDK_MAIN = """\
import sys
from pathlib import Path

from airbyte_cdk.entrypoint import launch
from airbyte_cdk.sources.declarative.yaml_declarative_source import YamlDeclarativeSource

manifest = str(Path(__file__).with_name("manifest.yaml"))
launch(YamlDeclarativeSource(path_to_yaml=manifest, catalog=None, config=None, state=None), sys.argv[1:])
"""


def manifest(streams: Sequence[str]) -> dict[str, Any]:
    """The API of `document`, for the CDK."""

    def sent(name: str) -> dict[str, str]:
        return {"type": "RequestOption", "inject_into": "request_parameter", "field_name": name}

    def stream(name: str) -> dict[str, Any]:
        retriever = {
            "type": "SimpleRetriever",
            "requester": {
                "type": "HttpRequester",
                "url_base": "{{ config['base_url'] }}",
                "path": f"/{name}",
                "http_method": "GET",
            },
            "record_selector": {
                "type": "RecordSelector",
                "extractor": {"type": "DpathExtractor", "field_path": ["data"]},
            },
            "paginator": {
                "type": "DefaultPaginator",
                "page_token_option": sent("page"),
                "page_size_option": sent("per_page"),
                "pagination_strategy": {
                    "type": "PageIncrement",
                    "start_from_page": 1,
                    "page_size": PAGE_SIZE,
                    "inject_on_first_request": True,
                },
            },
        }
        text = {"type": ["null", "string"]}
        schema = {
            "type": "object",
            "properties": {"id": {"type": "integer"}, "name": text, "email": text, "text": text},
        }
        return {
            "type": "DeclarativeStream",
            "name": name,
            "primary_key": ["id"],
            "retriever": retriever,
            "schema_loader": {"type": "InlineSchemaLoader", "schema": schema},
        }

    specification = {"type": "object", "required": ["base_url"], "properties": {"base_url": {"type": "string"}}}
    return {
        "version": "6.48.0",
        "type": "DeclarativeSource",
        "check": {"type": "CheckStream", "stream_names": [streams[0]]},
        "streams": [stream(name) for name in streams],
        "spec": {"type": "Spec", "connection_specification": specification},
    }


def orjson_loop(folder: Path, url: str, streams: Sequence[str]) -> Contender | None:
    return _script(ORJSON, "loops", "orjson_loop.py", url, streams)


def msgspec_loop(folder: Path, url: str, streams: Sequence[str]) -> Contender | None:
    return _script(MSGSPEC, "loops", "msgspec_loop.py", url, streams)


def dlt(folder: Path, url: str, streams: Sequence[str]) -> Contender | None:
    """Its extraction alone: it writes a load package of files and prints how many rows. Compressing them, its
    default, takes it longer."""
    env = {"DATA_WRITER__DISABLE_COMPRESSION": "true"}
    return _script(DLT, "dlt", "dlt_extract.py", url, streams, count=printed_number, env=env)


def _script(
    name: str,
    pins: str,
    script: str,
    url: str,
    streams: Sequence[str],
    *,
    count: Count | None = None,
    env: Mapping[str, str] | None = None,
) -> Contender | None:
    found = available(pins)
    if found is None:
        return None
    command: list[str | Path] = [found.python, PEERS / script, url, *streams]
    return Contender(name, command, count or airbyte_records, {**QUIET, **(env or {})})


class _Data(msgspec.Struct):
    id: int


class _Record(msgspec.Struct):
    stream: str
    data: _Data


class _Message(msgspec.Struct):
    type: str
    record: _Record | None = None


def airbyte_records(output: Path) -> int:
    """Different records among the messages of a read: one that is written twice counts once."""
    decode = msgspec.json.Decoder(_Message).decode
    with output.open("rb") as lines:
        records = (decode(line).record for line in lines if b'"RECORD"' in line)
        return len({(record.stream, record.data.id) for record in records if record is not None})


def printed_number(output: Path) -> int:
    return int(output.read_text().split()[-1])
