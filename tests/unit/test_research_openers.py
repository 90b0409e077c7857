"""Fields of the config that open streams: what they supply, who shares them, and what they are called."""

from __future__ import annotations

from typing import Any

import pytest

from contracts.blueprint import Parameter
from tests.support.openapi import THING, array, blueprint, get, named, obj, query, variable

MANY = {f"/extra{number}": get(array(THING)) for number in range(20)}
"""So that no field is for most of the API."""
LINE = array(obj(line="string"))


def fields(paths: dict[str, Any]) -> dict[str, Parameter]:
    return {parameter.name: parameter for parameter in blueprint(MANY | paths).parameters}


def opened(paths: dict[str, Any]) -> dict[str, tuple[str, ...]]:
    """Name of each field that opens streams -> those whose requests carry it."""
    return {name: field.streams for name, field in fields(paths).items() if field.opens}


def choice(name: str, *values: str) -> dict[str, Any]:
    return {**variable(name), "schema": {"type": "string", "enum": list(values)}}


# --- what becomes a field --------------------------------------------------------------------------


def test_what_no_list_supplies_opens_its_stream_and_those_below() -> None:
    paths = {
        "/folders/{folder_id}/files": get(array(THING), variable("folder_id")),
        "/files/{file_id}/comments": get(LINE, variable("file_id")),
    }
    found = blueprint(MANY | paths)
    (field,) = found.parameters
    assert (field.name, field.required, field.default, field.opens) == ("folder_id", False, None, True)
    assert field.streams == ("files",)
    below = named(found, "comments").parent.value
    assert below is not None
    assert below.stream == "files"


def test_what_a_list_supplies_is_no_field() -> None:
    paths = {"/folders": get(array(THING)), "/folders/{folder_id}/files": get(LINE, variable("folder_id"))}
    assert fields(paths) == {}


def test_an_id_is_asked_for_with_all_that_stands_before_it() -> None:
    """A recipient of one envelope is none of any other."""
    paths = {
        "/envelopes": get(array(THING)),
        "/envelopes/{envelope_id}/recipients/{recipient_id}/tabs": get(
            LINE, variable("envelope_id"), variable("recipient_id")
        ),
    }
    assert opened(paths) == {"envelope_id": ("tabs",), "recipient_id": ("tabs",)}
    assert named(blueprint(MANY | paths), "tabs").parent.value is None


def test_below_an_id_of_the_config_no_list_names_records_of_another() -> None:
    """``{issue}`` is the config's, so ``{org}`` is; the keys of others are not found there."""
    paths = {
        "/orgs": get(array(THING)),
        "/orgs/{org}/tags": get(array(obj(key="string", name="string")), variable("org")),
        "/orgs/{org}/issues/{issue}/tags/{key}/values": get(
            array(THING), variable("org"), variable("issue"), variable("key")
        ),
    }
    found = blueprint(MANY | paths)
    assert named(found, "values").parent.value is None
    assert {each.target for each in found.parameters if "values" in each.streams} == {"org", "issue", "key"}


def test_one_of_a_closed_set_leaves_the_parent_and_has_a_value_to_begin_with() -> None:
    paths = {
        "/boards": get(array(THING)),
        "/boards/{board_id}/cards/{state}/lines": get(
            LINE, variable("board_id"), choice("state", "open", "closed")
        ),
    }
    (field,) = fields(paths).values()
    assert (field.enum, field.default, field.required, field.opens) == (("open", "closed"), "open", False, False)
    parent = named(blueprint(MANY | paths), "lines").parent.value
    assert parent is not None
    assert parent.stream == "boards"


@pytest.mark.parametrize("everything", ["all", "ALL"])
def test_the_value_that_holds_all_others_is_taken(everything: str) -> None:
    state = query("state", required=True, enum=["open", everything, "closed"])
    paths = {
        "/boards": get(array(THING)),
        "/boards/{board_id}/cards/{filter}": get(
            array(THING), variable("board_id"), choice("filter", "open", everything)
        ),
        "/tickets": get(array(THING), state),
    }
    found = blueprint(MANY | paths)
    assert found.parameters == ()
    cards, tickets = named(found, "cards").request, named(found, "tickets").request
    assert cards.value.path == f"/boards/{{board_id}}/cards/{everything}"
    assert tickets.value.query == {"state": everything}
    for request in (cards, tickets):
        assert any("the others are parts" in evidence.note for evidence in request.evidence)


def test_a_required_choice_of_the_query_begins_with_the_first() -> None:
    kind = query("type", required=True, enum=["invoice", "quote"])
    other = query("type", required=True, enum=["expense", "note"])
    found = fields({"/issued": get(array(THING), kind), "/received": get(array(THING), other)})
    assert {name: (field.default, field.target) for name, field in found.items()} == {
        "issueds_type": ("invoice", "type"),
        "receiveds_type": ("expense", "type"),
    }


def test_a_window_in_time_opens_reports_by_its_beginning_and_ends_now() -> None:
    window = (
        query("from", description="Only what was spent on or after the given date.", required=True),
        query("to", description="Only what was spent on or before the given date.", required=True),
    )
    paths = {f"/reports/{name}": get(array(obj(hours="number")), *window) for name in ("clients", "tasks")}
    found = fields(paths)
    assert {name: (each.format, each.opens, each.until_now) for name, each in found.items()} == {
        "from": ("date", True, False),
        "to": ("date", False, True),
    }
    assert named(blueprint(MANY | paths), "clients").request.value.query == {"from": "{from}"}


@pytest.mark.parametrize("name", ["query", "q", "search_query", "searchTerm"])
def test_what_somebody_types_is_no_field(name: str) -> None:
    found = blueprint(MANY | {"/lookups": get(array(THING), query(name, required=True))})
    assert found.parameters == ()
    (gap,) = found.omitted
    assert "what somebody types" in gap.reason


def test_what_may_be_no_list_is_worth_no_field() -> None:
    found = blueprint(MANY | {"/things/{thing_id}/deltas": get(None, variable("thing_id"))})
    assert found.parameters == ()
    assert any("too unsure" in gap.reason for gap in found.omitted)


def test_what_most_of_the_api_hangs_on_is_required() -> None:
    lists = {f"/{{tenant}}/list{number}": get(array(THING), variable("tenant")) for number in range(5)}
    few = {f"/extra{number}": get(array(THING)) for number in range(4)}
    (field,) = blueprint(lists | few).parameters
    assert field.required
    (field,) = blueprint(lists | MANY).parameters
    assert field.opens


# --- who shares a field, and its name --------------------------------------------------------------


def test_an_id_is_one_field_in_paths_and_queries() -> None:
    paths = {
        "/folders/{folder_id}/items": get(LINE, variable("folder_id")),
        "/folders/{folder_id}/rights": get(LINE, variable("folder_id")),
        "/locks": get(array(THING), query("folder_id", description="Whose locks", required=True)),
    }
    assert opened(paths) == {"folder_id": ("items", "rights", "locks")}
    assert named(blueprint(MANY | paths), "locks").request.value.query == {"folder_id": "{folder_id}"}


def test_two_things_of_one_name_get_names_that_tell() -> None:
    paths = {
        "/attachment/content/{id}/lines": get(LINE, variable("id")),
        "/attachment/raw/{id}/lines": get(LINE, variable("id")),
        "/events": get(array(obj(a="string")), query("field", description="Of events", required=True)),
        "/sessions": get(array(obj(b="string")), query("field", description="Of sessions", required=True)),
    }
    assert set(opened(paths)) == {"content_id", "raw_id", "event_field", "session_field"}


def test_there_are_no_more_fields_than_a_form_can_hold() -> None:
    paths = {f"/x{n}/{{x{n}_id}}/lines": get(LINE, variable(f"x{n}_id")) for n in range(60)}
    found = blueprint(MANY | paths)
    assert len(found.parameters) == 40
    assert len(found.omitted) == 20
    assert all("40 such fields" in gap.reason for gap in found.omitted)
