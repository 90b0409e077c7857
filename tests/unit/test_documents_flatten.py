"""Self-contained schemas of bounded size."""

from __future__ import annotations

import json
import time
from typing import Any

import jsonschema
import pytest

from tests.support.openapi import document


def flat(schema: Any, **schemas: Any) -> dict[str, Any]:
    return document({}, components={"schemas": schemas}).schema(schema)


REF = {"$ref": "#/components/schemas/A"}


def test_references_are_inlined() -> None:
    a = {"type": "object", "properties": {"x": {"$ref": "#/components/schemas/B"}}}
    assert flat(REF, A=a, B={"type": "integer"}) == {"type": "object", "properties": {"x": {"type": "integer"}}}


def test_recursion_is_cut_to_the_type() -> None:
    a = {"type": "object", "properties": {"parent": REF, "children": {"type": "array", "items": REF}}}
    found = flat(REF, A=a)
    assert found["properties"] == {
        "parent": {"type": "object"},
        "children": {"type": "array", "items": {"type": "object"}},
    }


@pytest.mark.parametrize("other", [{"type": "string"}, {"type": "null"}], ids=["text", "null"])
def test_recursion_in_an_alternative_keeps_the_names_of_types(other: dict[str, Any]) -> None:
    a = {"type": "object", "properties": {"parent": {"anyOf": [other, REF]}}}
    parent = flat(REF, A=a)["properties"]["parent"]
    assert set(parent["type"]) == {other["type"], "object"}


def test_all_of_is_merged_with_both_sides_of_a_conflict() -> None:
    schema = {
        "allOf": [
            {
                "type": "object",
                "required": ["a"],
                "properties": {"a": {"type": "object", "properties": {"x": {"type": "string"}}}},
            },
            {"properties": {"a": {"properties": {"y": {"type": "string"}}}, "b": {"type": "string"}}},
        ],
        "description": "own",
    }
    found = flat(schema)
    assert found["description"] == "own"
    assert found["required"] == ["a"]
    assert set(found["properties"]) == {"a", "b"}
    assert set(found["properties"]["a"]["properties"]) == {"x", "y"}


def test_any_of_is_open_for_every_alternative() -> None:
    schema = {
        "anyOf": [
            {"type": "string"},
            {"type": "object", "properties": {"id": {"type": "string"}}},
            {"type": "object", "properties": {"id": {"type": "integer"}, "z": {}}},
            {"type": "null"},
        ]
    }
    found = flat(schema)
    assert found["type"] == ["string", "object", "null"]
    assert found["properties"]["id"]["type"] == ["string", "integer"]
    for value in ("x", {"id": 1}, {"id": "x"}, None):
        jsonschema.validate(value, found)


@pytest.mark.parametrize(
    ("schema", "kind"),
    [
        ({"type": "string", "nullable": True}, ["string", "null"]),
        ({"type": ["string", "null"]}, ["string", "null"]),
        ({"oneOf": [{"type": "string"}, {"type": "null"}]}, ["string", "null"]),
        ({"properties": {"a": {}}}, "object"),
        ({"items": {}}, "array"),
        ({"enum": ["a", "b"]}, "string"),
    ],
)
def test_dialects_of_types_come_together(schema: dict[str, Any], kind: Any) -> None:
    assert flat(schema)["type"] == kind


def test_exclusive_bounds_of_openapi_3_0_become_numbers() -> None:
    assert flat({"type": "integer", "minimum": 3, "exclusiveMinimum": True}) == {
        "type": "integer",
        "exclusiveMinimum": 3,
    }


def test_closed_objects_are_opened_and_maps_are_kept() -> None:
    assert flat({"type": "object", "additionalProperties": False}) == {"type": "object"}
    found = flat({"type": "object", "additionalProperties": {"type": "integer"}})
    assert found["additionalProperties"] == {"type": "integer"}


def test_alternatives_written_as_a_list_of_items_are_no_array() -> None:
    found = flat({"items": [{"type": "object", "properties": {"a": {"type": "string"}}}, {"type": "object"}]})
    assert found["type"] == "object"
    assert "items" not in found


def test_wide_and_circular_schemas_stay_bounded() -> None:
    schemas = {
        f"S{i}": {
            "type": "object",
            "properties": {f"p{j}": {"$ref": f"#/components/schemas/S{(i * 7 + j) % 60}"} for j in range(40)},
        }
        for i in range(60)
    }
    started = time.perf_counter()
    found = document({}, components={"schemas": schemas}).schema(
        {"$ref": "#/components/schemas/S0"}, max_nodes=1000
    )
    assert time.perf_counter() - started < 2
    assert len(json.dumps(found)) < 100_000
    assert len(found["properties"]) == 40
    assert found["properties"]["p39"]["type"] == "object"


def test_exponential_compositions_stay_bounded() -> None:
    schemas: dict[str, Any] = {
        f"S{i}": {"allOf": [{"$ref": f"#/components/schemas/S{i + 1}"}] * 3} for i in range(30)
    }
    schemas["S30"] = {"type": "object", "properties": {"a": {"type": "string"}}}
    started = time.perf_counter()
    found = document({}, components={"schemas": schemas}).schema({"$ref": "#/components/schemas/S0"})
    assert time.perf_counter() - started < 2
    assert found["type"] == "object"


def test_rubbish_is_an_open_schema() -> None:
    for junk in (None, 3, "x", [], {"properties": 3}, {"allOf": 3}, {"type": "wat"}, {"$ref": "#/no"}):
        assert isinstance(flat(junk), dict)
