"""Values and records: valid against their schema, unique, growing, the same every time."""

from __future__ import annotations

import json
import random
from collections import Counter
from typing import Any

import jsonschema
from hypothesis import example, given, settings
from hypothesis import strategies as st

from contracts.simulation import Endpoint, PathBinding, Records, Source, TimeField
from infra.runtime.simulator.cursors import offset_of, token
from infra.runtime.simulator.mould import Mould, index_of, number_of
from infra.runtime.simulator.values import value_of
from services.fixtures.inference.schema import record_schema, tidy

FORMATS = ("date-time", "date", "email", "uri", "uuid", "ipv4")


def _scalars() -> st.SearchStrategy[dict[str, Any]]:
    small = st.integers(-50, 50)
    numbers = st.fixed_dictionaries(
        {"type": st.sampled_from(["integer", "number"])},
        optional={"minimum": small, "maximum": small, "multipleOf": st.integers(1, 7)},
    )
    texts = st.fixed_dictionaries(
        {"type": st.sampled_from(["string", ["string", "null"]])},
        optional={"minLength": st.integers(0, 30), "maxLength": st.integers(0, 40)},
    )
    formatted = st.fixed_dictionaries({"type": st.just("string"), "format": st.sampled_from(FORMATS)})
    enums = st.fixed_dictionaries({"enum": st.lists(st.text(max_size=5) | small, min_size=1, max_size=4)})
    return numbers | texts | formatted | enums | st.just({"type": "boolean"}) | st.just({})


def _schemas() -> st.SearchStrategy[dict[str, Any]]:
    def nest(inner: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[dict[str, Any]]:
        objects = st.dictionaries(st.sampled_from("abcdefgh"), inner, max_size=5).flatmap(
            lambda members: st.fixed_dictionaries(
                {
                    "type": st.just("object"),
                    "properties": st.just(members),
                    "required": st.lists(st.sampled_from(sorted(members) or ["z"]), unique=True),
                }
            )
        )
        arrays = st.fixed_dictionaries(
            {"type": st.just("array"), "items": inner}, optional={"minItems": st.integers(0, 4)}
        )
        maps = st.fixed_dictionaries({"type": st.just("object"), "additionalProperties": inner})
        return objects | arrays | maps

    return st.recursive(_scalars(), nest, max_leaves=12)


@given(_schemas(), st.integers(0, 1000))
@example({"type": "integer", "minimum": 1, "multipleOf": 2, "maximum": 1}, 0)
@settings(max_examples=200, deadline=None)
def test_values_are_valid_against_their_tidied_schema(schema: dict[str, Any], seed: int) -> None:
    tidied = tidy(schema)
    value = value_of(tidied, random.Random(seed))
    jsonschema.Draft7Validator(tidied).validate(value)


SCHEMA = record_schema(
    {
        "properties": {
            "id": {"type": "integer"},
            "uuid": {"type": "string", "format": "uuid"},
            "key": {"type": "string", "maxLength": 6},
            "email": {"type": "string", "format": "email"},
            "percent": {"type": "string", "enum": ["100%", "5%d"]},
            "owner": {"type": ["object", "null"], "properties": {"id": {"type": "integer"}}, "required": ["id"]},
            "parent_id": {"type": "integer"},
            "meta": {"type": "object", "properties": {"seen": {"type": "integer"}}, "required": ["seen"]},
            "created_at": {"type": "string", "format": "date-time"},
            "day": {"type": "string", "format": "date"},
        },
        "required": ["id", "created_at"],
    }
)


def _endpoint(key: str = "GET /things") -> Endpoint:
    records = Records(
        json_schema=SCHEMA,
        identity=(("id",), ("uuid",), ("key",), ("email",)),
        times=(
            TimeField(path=("created_at",)),
            TimeField(path=("day",), format="date"),
            TimeField(path=("meta", "seen"), format="epoch_s"),
        ),
    )
    source = Source(endpoint="GET /parents", field=("id",))
    bindings = (PathBinding(variable="parent", sources=(source,), record_field=("parent_id",)),)
    return Endpoint(key=key, path="/parents/{parent}/things", records=records, bindings=bindings)


def _records(count: int, partition: int = 0, parent: str = "17", seed: int = 0) -> list[dict[str, Any]]:
    texts = Mould(_endpoint(), seed).render(range(count), partition, {"parent": parent})
    return [json.loads(text) for text in texts]


def test_records_are_valid_unique_and_grow() -> None:
    records = _records(300)
    validator = jsonschema.Draft7Validator(SCHEMA)
    for record in records:
        validator.validate(record)
    for field in ("id", "uuid", "key", "email"):
        assert len({record[field] for record in records}) == 300, field
    times = [record["created_at"] for record in records]
    assert times == sorted(times)
    assert max(Counter(times).values()) == 2, "ties, so that a page can end inside one"
    assert [r["meta"]["seen"] for r in records] == sorted(r["meta"]["seen"] for r in records)
    assert {r["parent_id"] for r in records} == {17}
    assert any(r.get("owner") is None for r in records)
    assert any(r.get("owner") is not None for r in records)


def test_a_parent_named_by_a_text_where_the_schema_wants_a_number_stays_valid() -> None:
    records = [*_records(3, parent="PROJ-1"), *_records(3, parent="PROJ-2")]
    for record in records:
        jsonschema.Draft7Validator(SCHEMA).validate(record)
    assert [len({r["parent_id"] for r in each}) for each in (records[:3], records[3:], records)] == [1, 1, 2]


def test_what_is_not_described_is_null() -> None:
    """A schema that was cut for its size may be that of an object: no text can stand for it."""
    schema = {"type": "object", "properties": {"cut": {}, "name": {"type": "string"}}, "required": ["cut", "name"]}
    made = value_of(schema, random.Random(1))
    assert made["cut"] is None
    assert isinstance(made["name"], str)


def test_arrays_whose_items_are_not_described_are_empty() -> None:
    """Whoever reads more of the document than the simulated API may know what kind of items there are."""
    assert all(value_of({"type": "array"}, random.Random(seed)) == [] for seed in range(20))
    assert value_of({"type": "array", "minItems": 1}, random.Random(1)) != []


def test_records_are_the_same_for_a_seed_and_differ_between_partitions() -> None:
    assert _records(50) == _records(50)
    assert _records(50) != _records(50, seed=1)
    assert not {r["id"] for r in _records(50)} & {r["id"] for r in _records(50, partition=2)}


def test_records_do_not_change_when_more_are_added() -> None:
    assert _records(100)[:50] == _records(50)


def test_a_mark_in_the_document_is_only_text() -> None:
    text = "\ue0009\ue000"
    schema = record_schema(
        {"properties": {"id": {"type": "integer"}, "note": {"enum": [text]}}, "required": ["note"]}
    )
    endpoint = Endpoint(key="GET /x", path="/x", records=Records(json_schema=schema, identity=(("id",),)))
    assert json.loads(Mould(endpoint, 0).render((0,), 0, {})[0])["note"] == text


@given(st.integers(0, 10**9), st.integers(0, 100_000))
def test_numbers_lead_back_to_their_index(partition: int, index: int) -> None:
    assert index_of(partition, number_of(partition, index)) == index


@given(st.integers(0, 10**6), st.integers(0, 3), st.booleans())
def test_cursors_lead_back_to_their_offset_only_on_their_endpoint(offset: int, salt: int, numeric: bool) -> None:
    made = token("GET /a", offset, numeric=numeric, salt=salt)
    assert offset_of("GET /a", made, numeric=numeric) == offset
    if not numeric:
        assert offset_of("GET /b", made) is None
        assert made != token("GET /a", offset, salt=salt + 1)


@given(st.text(max_size=30))
def test_made_up_cursors_are_refused(text: str) -> None:
    assert offset_of("GET /a", text) is None
