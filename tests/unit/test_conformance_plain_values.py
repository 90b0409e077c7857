"""Records of plain values are judged under the name that the connector gives them."""

from __future__ import annotations

from typing import Any

import pytest

from contracts.blueprint import Selector
from contracts.simulation import Endpoint, PathBinding, Position, Records, SimulatedApi, Source
from infra.runtime.simulator.mould import Mould
from services.tester.agreement import agree
from services.tester.conformance.plain_values import values_in, with_parents_named, with_values_named
from tests.support.blueprints import blueprint, stream

LABELS, NOTES = "GET /labels", "GET /labels/{label}/notes"


def texts(name: str) -> dict[str, Any]:
    return {"type": "object", "properties": {name: {"type": "string"}}, "required": [name]}


def api() -> SimulatedApi:
    """Labels called ``value``, and notes below them."""
    field = ("value",)
    labels = Endpoint(
        key=LABELS,
        path="/labels",
        records=Records(field="value", json_schema=texts("value"), identity=(field,)),
        position=Position(kind="last_record", param="after", field=field),
    )
    notes = Endpoint(
        key=NOTES,
        path="/labels/{label}/notes",
        records=Records(json_schema=texts("value"), identity=(field,)),
        bindings=(PathBinding(variable="label", sources=(Source(endpoint=LABELS, field=field),)),),
    )
    return SimulatedApi(title="t", endpoints={LABELS: labels, NOTES: notes})


def entry(key: list[str] | None, *names: str) -> dict[str, Any]:
    """A stream of a catalog."""
    told = {"source_defined_primary_key": [[name] for name in key]} if key is not None else {}
    return {"name": "labels", "json_schema": {"properties": {name: {} for name in names}}, **told}


@pytest.mark.parametrize(
    ("catalog", "name"),
    [
        (entry(["tag"], "tag", "fetched_at"), "tag"),
        (entry(None, "tag"), "tag"),
        (entry(["account", "tag"], "account", "tag"), None),
        (entry(None, "value", "tag"), None),
        (entry(None, "a", "b"), None),
        ({"name": "labels", "json_schema": {}}, None),
    ],
)
def test_name_is_the_catalogs_where_it_tells_one(catalog: dict[str, Any], name: str | None) -> None:
    found = values_in([catalog], api(), {"labels": LABELS})
    assert found == ({LABELS: name} if name else {})


def test_everything_that_speaks_of_the_value_is_renamed() -> None:
    made = with_values_named(api(), {LABELS: "tag", NOTES: "tag"})
    labels, notes = made.endpoints[LABELS], made.endpoints[NOTES]
    assert (labels.records.field, labels.records.identity) == ("tag", (("tag",),))
    assert labels.records.json_schema == texts("tag")
    assert labels.position.field == ("tag",)
    assert notes.bindings[0].sources[0].field == ("tag",)
    assert notes.records == api().endpoints[NOTES].records, "its records are objects, with names of the API's"


def test_blueprints_name_is_taken_and_is_no_gap() -> None:
    known = blueprint(stream("labels", selector=Selector(field="label"), primary_key=(("label",),)))
    made, gaps = agree(api(), known, {}, {"labels": LABELS})
    assert made.endpoints[LABELS].records.identity == (("label",),)
    assert not [gap for gap in gaps if "records" in gap.id]


def test_records_repeat_what_names_their_parents() -> None:
    members = Endpoint(
        key="GET /labels/{name}/members",
        path="/labels/{name}/members",
        records=Records(field="member", json_schema=texts("member"), identity=(("member",),)),
        bindings=(PathBinding(variable="name", sources=(Source(endpoint=LABELS, field=("value",)),)),),
    )
    made = with_parents_named(members, {"label": "id", "org": "org"}, "/labels/{id}/members")
    assert made.bindings[0].record_field == ("label",)
    assert made.records.json_schema["required"] == ["label", "member"]
    assert Mould(made, 0).record(0, 1, {"name": "red"})["label"] == "red"
