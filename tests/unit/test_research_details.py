"""Endpoints of one record: a stream where they tell more than the list, and only there."""

from __future__ import annotations

from typing import Any

from contracts.blueprint import NoPagination, Selector
from tests.support.openapi import array, blueprint, get, named, obj, query, variable

SUMMARY = obj(id="string", name="string", type="string")
FULL = obj(id="string", name="string", type="string", triggers=array("string"), address="string")


def webhooks(shown: Any, **listed: Any) -> dict[str, Any]:
    return {
        "/webhooks": get(obj(data=array(listed.get("record", SUMMARY)), next="string"), query("cursor")),
        "/webhooks/{webhook_id}": get(shown, variable("webhook_id")),
    }


def names(paths: dict[str, Any]) -> list[str]:
    return [stream.name for stream in blueprint(paths).streams]


def test_a_detail_that_tells_more_than_its_list_is_a_stream_below_it() -> None:
    detail = named(blueprint(webhooks(FULL)), "webhook_details")
    assert detail.request.value.path == "/webhooks/{webhook_id}"
    assert detail.selector.value == Selector(shape="single")
    assert detail.primary_key.value == (("id",),)
    assert detail.pagination.value == NoPagination()
    parent = detail.parent.value
    assert parent is not None
    assert (parent.stream, parent.bindings[0].field) == ("webhooks", ("id",))
    assert "triggers" in detail.json_schema.value["properties"]
    assert "GET /webhooks does not: address, triggers" in detail.request.evidence[0].note


def test_a_detail_that_tells_nothing_more_is_left_out() -> None:
    paths = webhooks(FULL, record=FULL)
    assert names(paths) == ["webhooks"]
    assert [gap.subject for gap in blueprint(paths).omitted] == ["GET /webhooks/{webhook_id}"]


def test_that_a_record_is_deleted_is_nothing_more() -> None:
    gone = obj(id="string", name="string", type="string", deleted="boolean", object="string")
    assert names(webhooks(gone)) == ["webhooks"]


def test_a_field_inside_an_object_counts_if_the_list_describes_that_object() -> None:
    summary, full = (
        obj(id="string", attributes=obj(name="string")),
        obj(id="string", attributes=obj(name="string", members="integer")),
    )
    assert names(webhooks(obj(data=full), record=summary)) == ["webhooks", "webhook_details"]
    assert names(webhooks(obj(data=full), record=obj(id="string", attributes="object"))) == ["webhooks"]


def test_a_detail_in_an_envelope_is_read_from_there() -> None:
    detail = named(blueprint(webhooks(obj(data=FULL, links=obj(self="string")))), "webhook_details")
    assert detail.selector.value == Selector(path=("data",), shape="single")


def test_an_object_of_another_kind_is_no_detail() -> None:
    assert names(webhooks(obj(configurations="integer", total="integer", id="string"))) == ["webhooks"]


def test_a_detail_that_stands_elsewhere_belongs_to_the_list_of_what_it_names() -> None:
    listed = obj(id="string", slug="string", name="string", status="string")
    paths = {
        "/organizations": get(array(obj(id="string", slug="string"))),
        "/organizations/{organization}/projects": get(array(listed), variable("organization")),
        "/projects/{organization}/{project_id_or_slug}": get(
            obj(id="string", slug="string", name="string", status="string", options="object"),
            variable("organization"),
            variable("project_id_or_slug"),
        ),
    }
    detail = named(blueprint(paths), "project_details")
    assert detail.parent.value is not None
    assert detail.parent.value.stream == "projects"


def test_a_detail_is_nobodys_parent() -> None:
    paths = webhooks(FULL) | {"/webhooks/{webhook_id}/events": get(array(SUMMARY), variable("webhook_id"))}
    parent = named(blueprint(paths), "events").parent
    assert parent.value is not None
    assert parent.value.stream == "webhooks"
    assert parent.alternatives == ()
