"""A schema from example values, where the document has no schema, or leaves a part of it open. Pure."""

from __future__ import annotations

import re
from typing import Any

_DATE_TIME = re.compile(r"\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}(:\d{2}(\.\d+)?)?( ?(Z|[+-]\d{2}:?\d{2}))?")
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
_MAX_ITEMS = 20
_MAX_DEPTH = 12
INFERRED = "x-inferred"
"""Marks a part of a schema that stands in an example only."""


def filled(declared: dict[str, Any], inferred: dict[str, Any]) -> dict[str, Any]:
    """``declared``, and where it says nothing of what is inside an object or a list, what examples show."""
    if not declared:
        return {**inferred, INFERRED: True} if inferred else declared
    kind, shown = declared.get("type"), inferred.get("type")
    if kind not in ("object", "array", None) or (kind is not None and kind != shown):
        return declared
    out = dict(declared)
    if shown == "array" and isinstance(inferred.get("items"), dict):
        out["items"] = filled(declared.get("items", {}), inferred["items"])
    if shown == "object" and inferred.get("properties") and not declared.get("additionalProperties"):
        known, told = declared.get("properties", {}), inferred["properties"]
        if not known:
            return {**out, "properties": told, INFERRED: True}
        out["properties"] = {name: filled(schema, told.get(name, {})) for name, schema in known.items()}
    return out


def schema_of_examples(values: list[Any]) -> dict[str, Any]:
    """One schema that all ``values`` fit."""
    merged: dict[str, Any] = {}
    for value in values:
        merged = _merged(merged, _schema(value, _MAX_DEPTH))
    return merged


def _schema(value: Any, depth: int) -> dict[str, Any]:
    if value is None:
        return {"type": "null"}
    if isinstance(value, bool):
        return {"type": "boolean"}
    if isinstance(value, (int, float)):
        return {"type": "integer" if isinstance(value, int) else "number"}
    if isinstance(value, str):
        if _DATE_TIME.fullmatch(value):
            return {"type": "string", "format": "date-time"}
        return {"type": "string", "format": "date"} if _DATE.fullmatch(value) else _text(value)
    if depth <= 0:
        return {}
    if isinstance(value, list):
        items: dict[str, Any] = {}
        for item in value[:_MAX_ITEMS]:
            items = _merged(items, _schema(item, depth - 1))
        return {"type": "array", "items": items}
    if isinstance(value.get("$ref"), str):  # a reference left in an example tells nothing of what is there
        return {}
    return {"type": "object", "properties": {str(key): _schema(item, depth - 1) for key, item in value.items()}}


def _text(value: str) -> dict[str, Any]:
    return {"type": "string", "format": "uri"} if value.startswith(("http://", "https://")) else {"type": "string"}


def _merged(one: dict[str, Any], two: dict[str, Any]) -> dict[str, Any]:
    if not one or not two:
        return one or two
    merged = {**two, **one, "type": _types(one, two)}
    if "properties" in one and "properties" in two:
        names = dict.fromkeys([*one["properties"], *two["properties"]])
        merged["properties"] = {
            name: _merged(one["properties"].get(name, {}), two["properties"].get(name, {})) for name in names
        }
    if "items" in one and "items" in two:
        merged["items"] = _merged(one["items"], two["items"])
    if one.get("format") != two.get("format"):
        merged.pop("format", None)
    return merged


def _types(one: dict[str, Any], two: dict[str, Any]) -> str | list[str]:
    kinds: list[str] = []
    for schema in (one, two):
        declared = schema.get("type", [])
        kinds.extend([declared] if isinstance(declared, str) else declared)
    unique = list(dict.fromkeys(kinds))
    if "number" in unique and "integer" in unique:
        unique.remove("integer")
    return unique[0] if len(unique) == 1 else unique
