"""Lists of plain values: which of them are streams, and what their records are."""

from __future__ import annotations

import json
from typing import Any

import pytest

from contracts.answers import RecordedAnswer, RecordedAnswers
from contracts.blueprint import Selector
from services.research.observe import observed
from services.research.openapi.ranking import HIGH
from tests.support.openapi import THING, array, blueprint, get, named, obj, query, stream, variable

TEXT = {"type": "string"}
NUMBER = {"type": "integer"}
PAGED = (query("startAt", "integer"), query("maxResults", "integer"))


@pytest.mark.parametrize(
    ("path", "item", "selector"),
    [
        ("/v2/label", get(array(TEXT)), Selector(field="label")),
        ("/codes", get(array({"type": ["string", "null"]})), Selector(field="code")),
        (
            "/rest/label",
            get(obj(values=array(TEXT), total="integer", startAt="integer"), *PAGED),
            Selector(path=("values",), field="label"),
        ),
        ("/info/currencies", get(obj(data=array(TEXT))), Selector(path=("data",), field="currency")),
        ("/search/id", get(obj(issueIds=array(NUMBER), nextPageToken="string")), ("issueIds", "issue_id")),
        ("/users", get(obj(ids=array(NUMBER), next_cursor="string"), query("cursor")), ("ids", "id")),
        ("/event-types", get(obj(event_types=array(TEXT), errors=array(THING))), ("event_types", "event_type")),
        ("/keys", get(obj(response=obj(tokens=array(TEXT)))), ("response", "tokens", "token")),
        ("/errors", get(obj(errors=array(TEXT))), ("errors", "error")),
        ("/rates", get(obj(result=obj(rates=array({"type": "number"})))), ("result", "rates", "rate")),
    ],
)
def test_list_of_texts_or_numbers_is_a_stream(path: str, item: Any, selector: Any) -> None:
    if isinstance(selector, tuple):
        selector = Selector(path=selector[:-1], field=selector[-1])
    found = stream(path, item)
    assert found.selector.value == selector
    assert found.selector.alternatives == ()
    assert found.primary_key.value == ((selector.field,),)
    assert found.primary_key.confidence < HIGH, "no document says that no name is there twice"
    assert list(found.json_schema.value["properties"]) == [selector.field]


def test_schema_is_that_of_the_items() -> None:
    value = {"type": "string", "format": "uuid", "description": "A name.", "enum": ["a", "b"]}
    found = stream("/names", get(array(value))).json_schema.value
    assert found["type"] == "object"
    assert found["properties"]["name"]["format"] == "uuid"
    assert found["properties"]["name"]["description"] == "A name."
    assert "enum" not in found["properties"]["name"], "an API that adds a name must not fail the sync"


@pytest.mark.parametrize(
    ("path", "response", "why"),
    [
        ("/points", array(array(NUMBER)), "plain values (array)"),
        ("/flags", array({"type": "boolean"}), "plain values (boolean)"),
        ("/mixed", array({"type": ["string", "object"]}), ""),
        ("/policies/settings", obj(networks=array(TEXT)), "one object"),
        ("/device", obj(name="string", tags=array(TEXT)), "one object"),
        ("/devices/{id}", obj(tags=array(TEXT)), "one object"),
        ("/validate", obj(errorMessages=array(TEXT), status="integer"), "accompanies"),
        ("/attributes", obj(_attributes=array(TEXT)), "accompanies"),
    ],
)
def test_what_only_has_a_list_inside_is_no_stream(path: str, response: Any, why: str) -> None:
    variables = [variable("id")] if "{" in path else []
    found = blueprint({"/things": get(array(THING)), path: get(response, *variables)})
    assert all(not entry.selector.value.field for entry in found.streams)
    reasons = {gap.subject: gap.reason for gap in found.omitted}
    assert why in reasons.get(f"GET {path}", "")
    assert bool(why) == (f"GET {path}" in reasons)


def test_name_that_an_example_shows_as_an_id_is_no_member() -> None:
    shown = {"application/json": {"example": {"N_1234": ["1", "2"]}}}
    map_by_id = {"get": {"responses": {"200": {"description": "", "content": shown}}}}
    found = blueprint({"/things": get(array(THING)), "/device_keys": map_by_id})
    assert [entry.name for entry in found.streams] == ["things"]


def test_objects_go_before_plain_values() -> None:
    found = stream("/things", get(obj(things=array(THING), tags=array(TEXT)))).selector
    assert [option.value for option in found.options] == [Selector(path=("things",))]


def test_record_below_a_parent_names_the_parent() -> None:
    found = blueprint(
        {
            "/orgs": get(array(obj(id="string", name="string"))),
            "/orgs/{orgId}/teams": get(array(obj(id="integer", name="string")), variable("orgId")),
            "/orgs/{orgId}/teams/{id}/members": get(obj(members=array(NUMBER)), variable("orgId"), variable("id")),
        }
    )
    members = named(found, "members")
    assert members.selector.value.field == "member"
    assert members.selector.value.beside == {"orgId": "orgId", "team_id": "id"}
    assert members.primary_key.value == (("orgId",), ("team_id",), ("member",))
    assert list(members.json_schema.value["properties"]) == ["orgId", "team_id", "member"]


def test_parent_in_the_query_is_named_too() -> None:
    member_list = get(
        obj(members=array(TEXT)), query("channel", description="ID of the channel to list members of")
    )
    found = blueprint(
        {"/channels.list": get(obj(channels=array(obj(id="string")))), "/channels.members": member_list}
    )
    members = named(found, "members")
    assert members.parent.value is not None
    assert members.selector.value.beside == {"channel": "channel"}
    assert members.primary_key.value == (("channel",), ("member",))


def test_value_that_is_called_like_the_variable_keeps_both() -> None:
    tags = get(array(TEXT), variable("tag"))
    found = named(blueprint({"/tags": get(array(obj(id="string"))), "/tags/{tag}/tags": tags}), "tag_tags")
    assert (found.selector.value.field, found.selector.value.beside) == ("value", {"tag": "tag"})


def test_list_of_ids_is_a_parent_and_has_details() -> None:
    found = blueprint(
        {
            "/items": get(array(NUMBER)),
            "/items/{item_id}": get(obj(id="integer", title="string"), variable("item_id")),
            "/items/{item_id}/comments": get(array(obj(id="integer", text="string")), variable("item_id")),
        }
    )
    for name in ("item_details", "comments"):
        parent = named(found, name).parent.value
        assert parent is not None
        assert (parent.stream, parent.bindings[0].field) == ("items", ("item",))
    assert named(found, "item_details").primary_key.value == (("id",),)


def test_call_of_fewer_words_has_the_short_name() -> None:
    users, ids = obj(users=array(obj(id="string", name="string"))), obj(users=array(TEXT))
    found = blueprint({"/groups.users.list": get(ids), "/users.list": get(users)})
    assert named(found, "users").request.value.path == "/users.list"


# --- what recorded answers show -------------------------------------------------------------------


def shown(known: Any, *bodies: Any) -> Any:
    """The only stream after answers with these bodies."""
    answers = tuple(RecordedAnswer(method="GET", path="/labels", status=200, body=body) for body in bodies)
    return observed(blueprint({"/labels": known}), RecordedAnswers(answers=answers)).streams[0]


def test_answers_with_plain_values_outweigh_documented_objects() -> None:
    found = shown(get(array(THING)), ["a", "b"])
    assert found.selector.value == Selector(field="label")
    assert found.primary_key.value == (("label",),)
    assert list(found.json_schema.value["properties"]) == ["label"]


def test_answers_with_objects_outweigh_documented_plain_values() -> None:
    found = shown(get(array(TEXT)), [{"id": 1, "colour": "red"}, {"id": 2, "colour": "red"}])
    assert found.selector.value == Selector()
    assert found.primary_key.value == (("id",),)
    assert set(found.json_schema.value["properties"]) == {"id", "colour"}


@pytest.mark.parametrize("body", [["a", "b"], []])
def test_answers_as_documented_change_nothing(body: Any) -> None:
    known = blueprint({"/labels": get(array(TEXT))}).streams[0]
    found = shown(get(array(TEXT)), body)
    for field in ("selector", "primary_key", "json_schema"):
        assert getattr(found, field) == getattr(known, field), json.dumps(body)
