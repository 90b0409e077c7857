"""Documents of every version in one shape; anything else is named."""

from __future__ import annotations

import json
from typing import Any

import pytest

from contracts.errors import Rejected
from infra.runtime.documents import bundle, encode, load, media_of, pointer
from tests.support.openapi import document, get, operation, query


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"<!DOCTYPE html><html><body>hi</body></html>", "a web page"),
        (b"<?xml version='1.0'?><a/>", "an XML document"),
        (b"just some words", "plain text"),
        (b"[1, 2]", "a list"),
        (b"42", "a single value"),
        (b"{}", "an empty object"),
        (b'{"swaggerVersion": "1.2"}', "Swagger 1.x"),
        (b'{"asyncapi": "2.0.0"}', "AsyncAPI"),
        (b'{"info": {"_postman_id": "x"}}', "Postman"),
        (b'{"data": {"__schema": {}}}', "GraphQL"),
        (b'{"name": "x", "dependencies": {}}', "'name', 'dependencies'"),
        (b'{"openapi": "4.0.0"}', "version 4.0.0 is not supported"),
        (b'{"openapi": {"a": 1}}', "no OpenAPI document"),
    ],
)
def test_what_is_no_openapi_document_is_named(content: bytes, words: str) -> None:
    with pytest.raises(Rejected, match=words) as caught:
        load(content, where="given.txt")
    assert caught.value.where == "given.txt"


def test_a_document_without_paths_or_with_odd_members_has_no_operations() -> None:
    for members in ({}, {"paths": None}, {"paths": []}, {"paths": {"/a": None, "b": {}, "/c": {"get": 3}}}):
        raw = {"openapi": "3.1.0", "info": None, **members}
        assert list(load(json.dumps(raw).encode(), where="t").operations()) == []


def test_operation_merges_path_and_operation_parameters() -> None:
    item = {
        "parameters": [query("a", description="path's"), query("b"), {"$ref": "#/components/parameters/c"}],
        **get(None, query("a", description="own"), {"name": "", "in": "query"}, {"in": "query"}, "junk"),  # type: ignore[arg-type]
    }
    shared = {"parameters": {"c": {"name": "c", "in": "header"}}}
    found = next(document({"/x/y~z": item}, components=shared).operations())
    assert [(p["name"], p.get("description")) for p in found.parameters] == [("a", "own"), ("b", ""), ("c", None)]
    assert found.pointer == "/paths/~1x~1y~0z/get"
    assert found.parameter_pointers[1] == "/paths/~1x~1y~0z/parameters/1"
    assert found.key == "GET /x/y~z"


def test_success_prefers_the_lowest_exact_status() -> None:
    item = operation(None)
    item["responses"] = {200: {"description": "a"}, "2XX": {}, "default": {}, "201": {}, "404": {}}
    found = next(document({"/x": {"get": item}}).operations())
    assert found.success is not None
    assert found.success[0] == "200"


def test_references_follow_pointers_escapes_and_loops() -> None:
    parts: dict[str, Any] = {
        "schemas": {
            "a/b~c d": {"type": "string"},
            "one": {"$ref": "#/components/schemas/two"},
            "two": {"$ref": "#/components/schemas/one"},
        }
    }
    found = document({}, components=parts)
    assert found.resolve({"$ref": "#/components/schemas/a~1b~0c%20d"}) == {"type": "string"}
    assert found.resolve({"$ref": "#/components/schemas/one"}) is None
    assert found.resolve({"$ref": "#/nowhere"}) is None
    assert found.resolve({"$ref": "other.yaml#/x"}) is None
    assert {"#/nowhere", "other.yaml#/x"} < found.dangling
    assert pointer("a/b", 1) == "/a~1b/1"


SWAGGER = {
    "swagger": "2.0",
    "info": {"title": "Old", "version": 2},
    "host": "api.old.io",
    "basePath": "/v1/",
    "schemes": ["http", "https"],
    "produces": ["application/json"],
    "parameters": {"limit": {"name": "limit", "in": "query", "type": "integer", "maximum": 50}},
    "securityDefinitions": {
        "plain": {"type": "basic"},
        "flow": {"type": "oauth2", "flow": "accessCode", "tokenUrl": "https://t", "scopes": {"read": ""}},
    },
    "paths": {
        "/things": {
            "parameters": [{"name": "body", "in": "body", "schema": {"$ref": "#/definitions/Thing"}}],
            "get": {
                "parameters": [
                    {"$ref": "#/parameters/limit"},
                    {
                        "name": "ids",
                        "in": "query",
                        "type": "array",
                        "items": {"type": "string"},
                        "collectionFormat": "multi",
                    },
                ],
                "responses": {
                    "200": {
                        "description": "ok",
                        "schema": {"type": "array", "items": {"$ref": "#/definitions/Thing"}},
                        "headers": {"Link": {"type": "string", "description": "next"}},
                        "examples": {"application/json": [{"id": 1}]},
                    }
                },
            },
            "post": {
                "consumes": ["multipart/form-data"],
                "parameters": [
                    {"name": "file", "in": "formData", "type": "file", "required": True},
                    {"name": "note", "in": "formData", "type": "string"},
                ],
                "responses": {"200": {"description": "ok", "schema": {"type": "file"}}},
            },
        }
    },
    "definitions": {"Thing": {"type": "object", "properties": {"id": {"type": "integer", "x-nullable": True}}}},
}


def test_swagger_2_takes_the_shape_of_openapi_3() -> None:
    found = load(json.dumps(SWAGGER).encode(), where="old.json")
    assert found.declared_version == "2.0"
    assert found.version == "2"
    assert [server.url for server in found.servers()] == ["https://api.old.io/v1", "http://api.old.io/v1"]
    assert found.security_schemes()["plain"] == {"type": "http", "scheme": "basic"}
    flows = found.security_schemes()["flow"]["flows"]
    assert flows == {"authorizationCode": {"tokenUrl": "https://t", "scopes": {"read": ""}}}
    reading, writing = found.operations()
    assert [parameter["name"] for parameter in reading.parameters] == ["limit", "ids"]
    assert reading.parameters[0]["schema"] == {"type": "integer", "maximum": 50}
    assert reading.parameters[1]["explode"] is True
    assert reading.success is not None
    media = media_of(found, reading.success[1])
    assert media is not None
    assert media[1]["example"] == [{"id": 1}]
    flat = found.schema(media[1]["schema"])
    assert flat["items"]["properties"]["id"]["type"] == ["integer", "null"]
    assert reading.success[1]["headers"]["Link"]["schema"] == {"type": "string"}
    assert writing.request_body is not None
    form = writing.request_body["content"]["multipart/form-data"]["schema"]
    assert form["properties"]["file"] == {"type": "string", "format": "binary"}
    assert form["required"] == ["file"]


def test_swagger_2_body_reaches_the_operation_that_inherits_it() -> None:
    found = load(json.dumps(SWAGGER).encode(), where="old.json")
    body = next(found.operations()).request_body
    assert body == {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/Thing"}}}}


# --- external references ---------------------------------------------------------------------------

EXTERNAL = document(
    {
        "/a": get({"$ref": "models.yaml#/Thing"}),
        "/b": get({"$ref": "https://else.io/other.json"}),
        "/c": get({"$ref": "file:///etc/passwd"}),
        "/d": get({"$ref": "spec.json#/components/schemas/Own"}),
    },
    components={"schemas": {"Own": {"type": "boolean"}}},
)
BASE = "https://docs.io/api/spec.json"


def test_bundle_asks_for_what_is_missing_round_by_round() -> None:
    first = bundle(EXTERNAL, base_url=BASE, contents={})
    assert set(first.missing) == {"https://docs.io/api/models.yaml", "https://else.io/other.json"}
    contents: dict[str, bytes | str] = {
        "https://docs.io/api/models.yaml": b"Thing: {type: object, properties: {deep: {$ref: 'deep.yaml'}}}",
        "https://else.io/other.json": "the server answered 404",
    }
    second = bundle(EXTERNAL, base_url=BASE, contents=contents)
    assert second.missing == ("https://docs.io/api/deep.yaml",)


def test_bundle_makes_one_document_and_names_what_stays_dangling() -> None:
    contents: dict[str, bytes | str] = {
        "https://docs.io/api/models.yaml": b"Thing: {type: object, properties: {deep: {$ref: 'deep.yaml'}}}",
        "https://docs.io/api/deep.yaml": b"{type: string, format: date}",
        "https://else.io/other.json": "the server answered 404",
    }
    result = bundle(EXTERNAL, base_url=BASE, contents=contents)
    whole = load(encode(result.document), where="bundled")
    schemas = {}
    for found in whole.operations():
        assert found.success is not None
        media = media_of(whole, found.success[1])
        assert media is not None
        schemas[found.path] = whole.schema(media[1]["schema"])
    assert schemas["/a"] == {"type": "object", "properties": {"deep": {"type": "string", "format": "date"}}}
    assert schemas["/d"] == {"type": "boolean"}
    assert schemas["/b"] == {}
    assert schemas["/c"] == {}
    assert any("404" in reason for reason in result.failed)
    assert any(reason.startswith("file:///etc/passwd: only http") for reason in result.failed)


def test_bundle_without_a_base_leaves_relative_references_dangling() -> None:
    result = bundle(EXTERNAL, base_url=None, contents={"https://else.io/other.json": b"{type: string}"})
    assert any("not known" in reason for reason in result.failed)


def test_bundle_survives_external_loops_and_rubbish() -> None:
    looping = document({"/a": get({"$ref": "https://x.io/a"}), "/b": get({"$ref": "https://x.io/c"})})
    contents: dict[str, bytes | str] = {
        "https://x.io/a": b'{"$ref": "https://x.io/b"}',
        "https://x.io/b": b'{"$ref": "a"}',
        "https://x.io/c": b"[" * 5000,
    }
    result = bundle(looping, base_url=None, contents=contents)
    first = next(result.document.operations())
    assert first.success is not None
    assert result.document.schema({"$ref": "#/x-external/0"}) == {}
    assert any("nests deeper" in reason for reason in result.failed)
