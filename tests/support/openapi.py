"""Small OpenAPI documents for tests, written as the parts that matter."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from contracts.blueprint import ApiBlueprint, Stream
from infra.runtime.documents import Document, load
from services.research.openapi.endpoint import Endpoint, endpoint_of
from services.research.openapi.engine import infer

Json = dict[str, Any]


def document(paths: Mapping[str, Any], **members: Any) -> Document:
    """``paths`` and other root members as an OpenAPI 3.0 document of ``https://api.acme.io``."""
    raw = {
        "openapi": "3.0.3",
        "info": {"title": "Acme", "version": "1"},
        "servers": [{"url": "https://api.acme.io"}],
        "paths": paths,
        **members,
    }
    return load(json.dumps(raw).encode(), where="test.json")


def get(response: Any, *parameters: Json, **members: Any) -> Json:
    """A path with one GET whose 200 has the JSON schema ``response`` (``None``: nothing is said)."""
    return {"get": operation(response, *parameters, **members)}


def post(response: Any, body: Json, *parameters: Json, **members: Any) -> Json:
    """A path with one POST with a JSON body of schema ``body``."""
    content = {"requestBody": {"content": {"application/json": {"schema": body}}}}
    return {"post": operation(response, *parameters, **content, **members)}


def operation(response: Any, *parameters: Json, headers: Json | None = None, **members: Any) -> Json:
    success: Json = {"description": "ok"}
    if response is not None:
        success["content"] = {"application/json": {"schema": response}}
    if headers:
        success["headers"] = headers
    return {"parameters": list(parameters), "responses": {"200": success}, **members}


def query(
    name: str, type_: str = "string", description: str = "", *, required: bool = False, **schema: Any
) -> Json:
    return _parameter("query", name, type_, description, required, schema)


def header(name: str, description: str = "", *, required: bool = False, **schema: Any) -> Json:
    return _parameter("header", name, "string", description, required, schema)


def variable(name: str) -> Json:
    return _parameter("path", name, "string", "", True, {})


def _parameter(place: str, name: str, type_: str, description: str, required: bool, schema: Json) -> Json:
    return {
        "in": place,
        "name": name,
        "description": description,
        "required": required,
        "schema": {"type": type_, **schema},
    }


def obj(**properties: Any) -> Json:
    """An object schema; a string is short for a type."""
    return {
        "type": "object",
        "properties": {
            name: {"type": member} if isinstance(member, str) else member for name, member in properties.items()
        },
    }


def array(items: Json) -> Json:
    return {"type": "array", "items": items}


TIME: Json = {"type": "string", "format": "date-time"}
THING = obj(id="string", name="string")


def endpoint(path: str, item: Json) -> Endpoint:
    """The first operation of ``item`` as the inference sees it."""
    found = document({path: item})
    return endpoint_of(found, next(found.operations()))


def blueprint(paths: Mapping[str, Any], **members: Any) -> ApiBlueprint:
    return infer(document(paths, **members), name="acme", document_url=None)


def stream(path: str, item: Json, **members: Any) -> Stream:
    """The only stream of a document with the one path."""
    streams = blueprint({path: item}, **members).streams
    assert len(streams) == 1
    return streams[0]


def named(found: ApiBlueprint, name: str) -> Stream:
    return next(entry for entry in found.streams if entry.name == name)
