"""JSON Schemas as a catalog may hold them. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_MAX_DEPTH = 60
_NAMED_SCHEMAS = frozenset({"properties", "patternProperties"})


def catalog_schema(schema: Mapping[str, Any]) -> dict[str, Any]:
    """The schema of a stream's records: an object, open to fields that the API adds.

    ``additionalProperties: false`` fails Airbyte's acceptance tests, and an API may always add a field.
    """
    opened = _opened(dict(schema), 0)
    return {"$schema": "http://json-schema.org/draft-07/schema#", **opened, "type": "object"}


def _opened(schema: dict[str, Any], depth: int) -> dict[str, Any]:
    if depth > _MAX_DEPTH:
        return {}
    result: dict[str, Any] = {}
    for key, value in schema.items():
        if key == "additionalProperties" and value is False:
            result[key] = True
        elif key in _NAMED_SCHEMAS and isinstance(value, dict):
            result[key] = {name: _part(member, depth) for name, member in value.items()}
        elif key in ("enum", "const", "default", "examples", "example"):
            result[key] = value
        else:
            result[key] = _part(value, depth)
    return result


def _part(value: Any, depth: int) -> Any:
    if isinstance(value, dict):
        return _opened(value, depth + 1)
    if isinstance(value, list):
        return [_part(item, depth + 1) for item in value]
    return value
