"""Bytes -> `Document`: says clearly what the content is when it is not an API's description."""

from __future__ import annotations

from typing import Any

from contracts.errors import Rejected
from infra.runtime.documents.document import Document
from infra.runtime.documents.parse import ParseLimits, parse
from infra.runtime.documents.swagger2 import upgraded


def load(content: bytes, *, where: str, limits: ParseLimits | None = None) -> Document:
    """Read an OpenAPI 3.0, 3.1 or Swagger 2.0 document from JSON or YAML. ``where`` names its origin (a URL or a
    file's name) in errors. CPU work: seconds for the largest documents, so call it off the event loop.

    Raises:
        Rejected: out of bounds, not JSON or YAML, or something other than such a document.
    """
    raw = parse(content, where=where, limits=limits)
    if not isinstance(raw, dict):
        raise Rejected(f"this is no OpenAPI document but {_looks_like(raw)}", where=where)
    version = raw.get("openapi", raw.get("swagger"))
    if isinstance(version, (str, int, float)) and not isinstance(version, bool):
        if str(version).startswith("3"):
            return Document(raw, where=where, declared_version=str(version))
        if str(version).startswith("2"):
            return Document(upgraded(raw), where=where, declared_version=str(version))
        raise Rejected(f"OpenAPI version {str(version)[:20]} is not supported: 2.0, 3.0 and 3.1 are", where=where)
    raise Rejected(
        f"this is no OpenAPI document but {_looks_like(raw)}: its 'openapi' member is missing", where=where
    )


_KINDS = {
    "swaggerVersion": "a Swagger 1.x document",
    "asyncapi": "an AsyncAPI document",
    "arazzo": "an Arazzo document",
    "overlay": "an OpenAPI overlay",
    "__schema": "a GraphQL introspection result",
    "discoveryVersion": "a Google discovery document",
    "$schema": "a JSON Schema",
    "raml": "a RAML document",
    "_postman_id": "a Postman collection",
    "schemas": "a collection of schemas",
    "paths": "something with 'paths' but without a version",
}


def _looks_like(raw: Any) -> str:
    """A few words for the user about what was given instead."""
    if isinstance(raw, str):
        start = raw.lstrip().lower()
        if start.startswith(("<!doctype html", "<html", "<head", "<body")):
            return "a web page (HTML)"
        return "an XML document" if start.startswith("<") else "plain text"
    if isinstance(raw, list):
        return "a list"
    if not isinstance(raw, dict):
        return "a single value"
    if isinstance(info := raw.get("info"), dict) and "_postman_id" in info:
        return "a Postman collection"
    if isinstance(data := raw.get("data"), dict) and "__schema" in data:
        return "a GraphQL introspection result"
    for key, kind in _KINDS.items():
        if key in raw:
            return kind
    keys = ", ".join(repr(key[:30]) for key in list(raw)[:5])
    return f"an object with the members {keys}" if keys else "an empty object"
