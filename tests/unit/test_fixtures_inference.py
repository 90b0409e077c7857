"""Small documents written by hand -> what the server they describe must do."""

from __future__ import annotations

import json
from typing import Any

import pytest

from contracts.answers import RecordedAnswer
from contracts.errors import Rejected
from contracts.simulation import ApiKeyCheck, BasicCheck, BearerCheck, Endpoint, OAuth2Check, SimulatedApi
from infra.runtime.documents import load
from infra.runtime.simulator.mould import Mould
from services.fixtures.handler import simulate
from services.fixtures.inference.infer import infer
from services.tester.conformance.binding import ancestors

USER = {
    "type": "object",
    "required": ["id"],
    "properties": {
        "id": {"type": "integer"},
        "name": {"type": "string"},
        "created_at": {"type": "string", "format": "date-time"},
        "updated_at": {"type": "string", "format": "date-time"},
    },
}


def operation(schema: Any = None, *params: dict[str, Any], headers: Any = None, **more: Any) -> dict[str, Any]:
    content = {"application/json": {"schema": schema}} if schema is not None else {}
    response: dict[str, Any] = {"description": "ok", "content": content}
    if headers:
        response["headers"] = headers
    return {"get": {"parameters": list(params), "responses": {"200": response}, **more}}


def query(name: str, kind: str = "integer", **more: Any) -> dict[str, Any]:
    description = more.pop("description", "")
    return {"name": name, "in": "query", "description": description, "schema": {"type": kind, **more}}


def page_of(**members: Any) -> dict[str, Any]:
    return {"type": "object", "properties": {"users": {"type": "array", "items": USER}, **members}}


def texts() -> dict[str, Any]:
    return {"type": "array", "items": {"type": "string"}}


def page_of_texts(name: str, **members: Any) -> dict[str, Any]:
    return {"type": "object", "properties": {name: texts(), **members}}


def understood(paths: dict[str, Any], **document: Any) -> SimulatedApi:
    raw = {"openapi": "3.0.3", "info": {"title": "t", "version": "1"}, "paths": paths, **document}
    return infer(load(json.dumps(raw).encode(), where="test"))


def users(schema: Any, *params: dict[str, Any], **more: Any) -> Endpoint:
    return understood({"/users": operation(schema, *params, **more)}).endpoints["GET /users"]


LIST = {"type": "array", "items": USER}


@pytest.mark.parametrize(
    ("schema", "path", "shape"),
    [
        (LIST, (), "array"),
        (page_of(), ("users",), "array"),
        (page_of(errors={"type": "array", "items": {"type": "object"}}), ("users",), "array"),
        ({"type": "object", "properties": {"data": LIST, "included": LIST}}, ("data",), "array"),
        (
            {"type": "object", "properties": {"response": {"type": "object", "properties": {"docs": LIST}}}},
            ("response", "docs"),
            "array",
        ),
        ({"type": "object", "additionalProperties": USER}, (), "map"),
        (USER, (), "single"),
        ({"type": "object", "properties": {"user": USER}}, ("user",), "single"),
    ],
)
def test_records_are_found_where_they_are(schema: Any, path: tuple[str, ...], shape: str) -> None:
    found = users(schema)
    assert (found.records.path, found.records.shape) == (path, shape)
    assert found.ground("records").stated
    assert found.records.identity[0] == ("id",)


def test_the_only_member_of_a_response_stands_aside_of_nothing() -> None:
    """``{"permissions": {"READ": {...}, ...}}``"""
    by_name = {"type": "object", "additionalProperties": USER}
    found = users({"type": "object", "properties": {"permissions": by_name}})
    assert (found.records.path, found.records.shape) == (("permissions",), "map")
    beside = users(page_of(permissions=by_name))
    assert beside.records.path == ("users",)


def test_a_list_inside_one_thing_is_not_the_records() -> None:
    project = {
        **USER["properties"],
        "tags": {"type": "array", "items": {"type": "object", "properties": {"t": {}}}},
    }
    paths = {"/projects/{id}": operation({"type": "object", "properties": project})}
    assert understood(paths).endpoints["GET /projects/{id}"].records.shape == "single"


def test_without_a_schema_a_list_is_assumed_and_said_to_be() -> None:
    found = users({})
    assert (found.records.shape, found.records.identity[0]) == ("array", ("id",))
    assert not found.ground("records").stated
    assert not found.ground("identity").stated, "a field of records that are assumed is assumed, too"
    assert found.position.kind == "none"


def test_an_example_stands_in_for_a_schema() -> None:
    silent = operation({})
    silent["get"]["responses"]["200"]["content"]["application/json"]["example"] = {"items": [{"uuid": "x", "n": 1}]}
    found = understood({"/users": silent}).endpoints["GET /users"]
    assert found.records.path == ("items",)
    assert found.records.identity[0] == ("uuid",)
    assert found.records.examples == ({"uuid": "x", "n": 1},)


def test_examples_of_several_records_show_the_members_of_all_however_long_they_are() -> None:
    listed = [{"name": "a", "text": "x" * 5000}, {"name": "b", "number": 7}]
    content = {"schema": {"type": "array", "items": {"type": "object"}}, "example": listed}
    responses = {"200": {"description": "ok", "content": {"application/json": content}}}
    records = understood({"/users": {"get": {"responses": responses}}}).endpoints["GET /users"].records
    assert records.json_schema["properties"].keys() == {"name", "text", "number"}
    assert records.examples == ()


@pytest.mark.parametrize(
    ("fields", "identity"),
    [
        ({"name": {"type": "string"}, "serial": {"type": "string"}}, ("serial",)),
        ({"name": {"type": "string"}, "id": {"type": "string", "format": "byte"}}, ("id",)),
        (
            {"name": {"type": "string"}, "beacon": {"type": "object", "properties": {"uuid": {"type": "string"}}}},
            ("name",),
        ),
        (
            {"label": {"type": "string"}, "user": {"type": "object", "properties": {"uuid": {"type": "string"}}}},
            ("user", "uuid"),
        ),
    ],
)
def test_what_identifies_a_record_is_its_own(fields: dict[str, Any], identity: tuple[str, ...]) -> None:
    found = users({"type": "array", "items": {"type": "object", "properties": fields}})
    assert found.records.identity[0] == identity


def test_what_holds_no_records_is_left_out_with_the_reason() -> None:
    flags = {
        "type": "object",
        "properties": {"values": {"type": "array", "items": {"type": "boolean"}}, "total": {"type": "integer"}},
    }
    picture = {"get": {"responses": {"200": {"description": "", "content": {"image/png": {}}}}}}
    empty = {"get": {"responses": {"204": {"description": "nothing"}}}}
    post = {"post": {"responses": {"200": {"description": "", "content": {"application/json": {"schema": LIST}}}}}}
    made = understood({"/a": operation(flags), "/b": picture, "/c": empty, "/users": post, "/d": operation(LIST)})
    assert list(made.endpoints) == ["GET /d"]
    assert {gap.subject for gap in made.omitted} == {"GET /a", "GET /b", "GET /c"}


@pytest.mark.parametrize("path", ["/users/search", "/search/users"])
def test_post_whose_path_says_that_it_searches_is_read(path: str) -> None:
    content = {"application/json": {"schema": LIST}}
    made = understood({path: {"post": {"responses": {"200": {"description": "", "content": content}}}}})
    assert list(made.endpoints) == [f"POST {path}"]


@pytest.mark.parametrize(
    ("path", "schema", "at", "field"),
    [
        ("/labels", texts(), (), "label"),
        ("/label", page_of_texts("values", total={"type": "integer"}), ("values",), "label"),
        ("/info/currencies", page_of_texts("data"), ("data",), "currency"),
        ("/conversations.members", page_of_texts("members", ok={"type": "boolean"}), ("members",), "member"),
        ("/rules/order", page_of_texts("ruleIds"), ("ruleIds",), "rule_id"),
    ],
)
def test_list_of_texts_is_served_as_it_stands(path: str, schema: Any, at: tuple[str, ...], field: str) -> None:
    records = understood({path: operation(schema)}).endpoints[f"GET {path}"].records
    assert (records.path, records.shape, records.field) == (at, "array", field)
    assert records.identity == ((field,),), "they differ, or nobody could count them"


@pytest.mark.parametrize(
    "members",
    [
        {"id": {"type": "string"}, "tags": {"type": "array", "items": {"type": "string"}}},
        {"users": LIST, "tags": {"type": "array", "items": {"type": "string"}}},
    ],
    ids=["of one thing", "beside records"],
)
def test_texts_inside_of_something_are_no_records(members: dict[str, Any]) -> None:
    assert users({"type": "object", "properties": members}).records.field == ""


def test_values_differ_whatever_the_document_bounds() -> None:
    codes = {"type": "string", "enum": ["EUR", "USD"], "maxLength": 3}
    endpoint = understood({"/codes": operation({"type": "array", "items": codes})}).endpoints["GET /codes"]
    values = {Mould(endpoint, 0).record(index, 0, {})["code"] for index in range(2000)}
    assert len(values) == 2000


def test_recorded_texts_outweigh_documented_objects() -> None:
    answer = RecordedAnswer(path="/labels", status=200, body=["bug", "urgent"])
    raw = {"openapi": "3.0.3", "info": {"title": "t", "version": "1"}, "paths": {"/labels": operation(LIST)}}
    made = infer(load(json.dumps(raw).encode(), where="test"), [answer]).endpoints["GET /labels"]
    assert (made.records.field, made.records.identity) == ("label", (("label",),))


def test_list_of_ids_offers_them_to_its_children() -> None:
    made = understood({"/users": operation(texts()), "/users/{user}/notes": operation(LIST)})
    (binding,) = made.endpoints["GET /users/{user}/notes"].bindings
    assert [(source.endpoint, source.field) for source in binding.sources] == [("GET /users", ("user",))]


PAGINGS: list[tuple[str, Any, tuple[dict[str, Any], ...], tuple[str, str], set[str]]] = [
    ("nothing", LIST, (), ("none", ""), set()),
    ("page alone", LIST, (query("page"), query("per_page")), ("page", "page"), set()),
    (
        "offset and total",
        page_of(total_count={"type": "integer"}),
        (query("offset"), query("limit")),
        ("offset", "offset"),
        {"total"},
    ),
    (
        "cursor in the body",
        page_of(meta={"type": "object", "properties": {"next_cursor": {"type": "string", "nullable": True}}}),
        (query("cursor", "string"),),
        ("cursor", "cursor"),
        {"next_cursor"},
    ),
    (
        "token",
        page_of(nextPageToken={"type": "string"}),
        (query("pageToken", "string"),),
        ("cursor", "pageToken"),
        {"next_cursor"},
    ),
    (
        "last record",
        page_of(has_more={"type": "boolean"}),
        (query("starting_after", "string"),),
        ("last_record", "starting_after"),
        {"has_more"},
    ),
    (
        "next url over pages",
        page_of(next={"type": "string", "format": "uri"}, page={"type": "integer"}),
        (query("page"),),
        ("page", "page"),
        {"next_url", "page"},
    ),
    ("next url alone", page_of(next_url={"type": "string"}), (), ("cursor", "cursor"), {"next_url"}),
    (
        "next in links",
        page_of(links={"type": "object", "properties": {"next": {"type": "string"}}}),
        (query("page[cursor]", "string"),),
        ("cursor", "page[cursor]"),
        {"next_url"},
    ),
    (
        "opaque page",
        page_of(next_page={"type": "string", "nullable": True}),
        (query("page", "string", description="A cursor for pagination"),),
        ("cursor", "page"),
        {"next_cursor"},
    ),
    (
        "next page number",
        page_of(next_page={"type": "integer", "nullable": True}),
        (query("page"),),
        ("page", "page"),
        {"next_page"},
    ),
]


@pytest.mark.parametrize(("name", "schema", "params", "position", "kinds"), PAGINGS, ids=[p[0] for p in PAGINGS])
def test_paging_is_what_the_responses_tell(
    name: str, schema: Any, params: tuple[dict[str, Any], ...], position: tuple[str, str], kinds: set[str]
) -> None:
    found = users(schema, *params)
    assert (found.position.kind, found.position.param) == position
    assert {signal.kind for signal in found.signals} == kinds


def test_a_link_header_pages() -> None:
    found = users(LIST, query("page"), headers={"Link": {"description": "next"}, "X-Total-Count": {"schema": {}}})
    assert [(s.kind, s.header) for s in found.signals] == [("link", "Link"), ("total", "X-Total-Count")]
    assert found.position.kind == "page"


def test_a_cursor_that_nobody_hands_out_is_a_gap() -> None:
    api = understood({"/users": operation(LIST, query("cursor", "string"))})
    found = api.endpoints["GET /users"]
    assert not found.ground("paging").stated
    assert [gap.subject for gap in api.gaps] == ["GET /users paging"]
    assert [signal.kind for signal in found.signals] == ["link"]


def test_members_of_a_bodys_paging_object_page() -> None:
    paging = {"type": "object", "properties": {"page": {"type": "integer"}, "limit": {"type": "integer"}}}
    body = {"schema": {"type": "object", "properties": {"pagination": paging}}}
    search = operation(page_of(total={"type": "integer"}))["get"]
    search["requestBody"] = {"content": {"application/json": body}}
    found = understood({"/users/search": {"post": search}}).endpoints["POST /users/search"]
    assert (found.position.kind, found.position.param) == ("page", "pagination.page")
    assert found.size.param == "pagination.limit"


def test_an_offset_that_is_compared_with_a_field_goes_on_behind_that_record() -> None:
    rows = {"id": {"type": "string"}, "EntryNumber": {"type": "integer"}}
    schema = {"type": "array", "items": {"type": "object", "properties": rows}}
    found = users(schema, query("offset", description="Users with an EntryNumber greater than the offset follow"))
    assert (found.position.kind, found.position.field) == ("last_record", ("EntryNumber",))
    assert ("EntryNumber",) in found.records.identity


@pytest.mark.parametrize(
    ("param", "first"),
    [
        (query("page"), 1),
        (query("page", default=0), 0),
        (query("page", minimum=0), 0),
        (query("page", description="Zero-based page number"), 0),
        (query("page", description="starts at 1", minimum=0), 1),
    ],
)
def test_the_first_page_is_what_the_document_says(param: dict[str, Any], first: int) -> None:
    assert users(LIST, param).position.first == first


def test_page_sizes_come_from_the_schema_or_the_description() -> None:
    stated = users(LIST, query("page"), query("limit", default=25, maximum=100)).size
    assert (stated.param, stated.default, stated.maximum, stated.over) == ("limit", 25, 100, "reject")
    told = users(LIST, query("page"), query("limit", description="Max 200, defaults to 50.")).size
    assert (told.default, told.maximum, told.over) == (50, 200, "cap")
    fixed = users(LIST, query("page"), description="Returns 10 results per page.").size
    assert (fixed.param, fixed.default) == (None, 10)


@pytest.mark.parametrize(
    ("param", "field", "op", "form"),
    [
        (query("updated_since", "string", format="date-time"), "updated_at", "gte", "date-time"),
        (query("created_after", "string", format="date"), "created_at", "gte", "date"),
        (
            query("until", "string", description="Only what changed before this time"),
            "updated_at",
            "lte",
            "date-time",
        ),
        (
            query("since", "integer", description="unix timestamp of creation: created"),
            "created_at",
            "gte",
            "epoch_s",
        ),
        (query("updated_at[gt]", "string", format="date-time"), "updated_at", "gt", "date-time"),
    ],
)
def test_time_filters_are_bound_to_their_field(param: dict[str, Any], field: str, op: str, form: str) -> None:
    found = users(LIST, param)
    assert [(f.field[-1], f.op, f.format) for f in found.filters] == [(field, op, form)]


def test_a_filter_that_speaks_of_no_field_is_assumed() -> None:
    found = users(LIST, query("since", "string", format="date-time", description="Where to start"))
    ground = found.ground("filters")
    assert (found.filters[0].field, ground.stated, ground.confidence) == (("updated_at",), False, 0.5)


def test_a_filter_called_like_a_field_goes_by_that() -> None:
    started = {
        **USER,
        "properties": {**USER["properties"], "start_time": {"type": "string", "format": "date-time"}},
    }
    found = users({"type": "array", "items": started}, query("StartTime>", "string", format="date-time"))
    assert (found.filters[0].field, found.ground("filters").stated) == (("start_time",), True)


def test_a_filter_that_fits_two_fields_is_assumed() -> None:
    two = {**USER, "properties": {**USER["properties"], "updated": {"type": "string"}}}
    found = users({"type": "array", "items": two}, query("updated_since", "string", format="date-time"))
    assert not found.ground("filters").stated
    assert users(LIST, query("updated_since", "string", format="date-time")).ground("filters").stated


def test_of_many_times_those_of_a_change_are_kept() -> None:
    words = ("sent", "received", "published", "issued", "started", "added", "opened")
    many = {f"{word}DateTime": {"type": "string"} for word in words}
    last = {"lastModifiedDateTime": {"type": "string"}, "hasDataChanged": {"type": "string"}}
    item = {"type": "object", "properties": {"id": {"type": "string"}, **many, **last}}
    found = users({"type": "array", "items": item}, query("modified_from_date", "string"))
    assert [f.field for f in found.filters] == [("lastModifiedDateTime",)]
    assert found.ground("filters").stated


@pytest.mark.parametrize(
    ("said", "form"),
    [
        ({"format": "date-time-rfc-2822"}, "rfc2822"),
        ({"example": "Fri, 24 May 2019 17:44:46 +0000"}, "rfc2822"),
        ({"example": "/Date(1573755038314+0000)/"}, "ms_date"),
        ({"example": "last week"}, None),
    ],
)
def test_times_are_simulated_as_the_document_spells_them(said: dict[str, str], form: str | None) -> None:
    item = {"type": "object", "properties": {"id": {"type": "string"}, "updated": {"type": "string", **said}}}
    found = users({"type": "array", "items": item}).records.times
    assert [(time.path, time.format) for time in found] == ([(("updated",), form)] if form else [])


def test_a_number_in_unix_time_is_one_whatever_its_name() -> None:
    date = {"type": "integer", "format": "unix-time"}
    price = {"type": "object", "properties": {"created": date}}
    item = {"type": "object", "properties": {"id": {"type": "string"}, "date": date, "price": price}}
    assert [(t.path, t.format) for t in users({"type": "array", "items": item}).records.times] == [
        (("date",), "epoch_s")
    ]


def test_how_many_were_sent_is_no_time() -> None:
    sent = {"type": "string", "description": "Number of letters that have been sent."}
    item = {"type": "object", "properties": {"id": {"type": "string"}, "sent": sent}}
    assert users({"type": "array", "items": item}, query("from_date", "string")).filters == ()


def test_paging_parameters_are_no_filters() -> None:
    found = users(
        page_of(has_more={"type": "boolean"}), query("starting_after", "string"), query("ending_before", "string")
    )
    assert found.filters == ()


def test_path_variables_name_records_of_their_list() -> None:
    task = {"type": "object", "properties": {"id": {"type": "string"}, "user_id": {"type": "integer"}}}
    api = understood(
        {
            "/users": operation(LIST),
            "/users/{userId}": operation(USER),
            "/users/{userId}/tasks": operation({"type": "array", "items": task}),
            "/users/{userId}/tasks/{task_id}/notes": operation(LIST),
            "/regions/{region}/users": operation(LIST),
        }
    )

    def bound(key: str) -> list[tuple[str, str, tuple[str, ...], tuple[str, ...] | None]]:
        bindings = api.endpoints[key].bindings
        return [(b.variable, b.sources[0].endpoint, b.sources[0].field, b.record_field) for b in bindings]

    assert bound("GET /users/{userId}") == [("userId", "GET /users", ("id",), ("id",))]
    assert bound("GET /users/{userId}/tasks") == [("userId", "GET /users", ("id",), ("user_id",))]
    notes = "GET /users/{userId}/tasks/{task_id}/notes"
    assert [entry[:3] for entry in bound(notes)] == [
        ("userId", "GET /users", ("id",)),
        ("task_id", "GET /users/{userId}/tasks", ("id",)),
    ]
    assert api.endpoints[notes].bindings[1].sources[0].shared == {"userId": "userId"}
    assert bound("GET /regions/{region}/users") == []
    assert "GET /regions/{region}/users parents" in {gap.subject for gap in api.gaps}


def test_a_variable_called_pk_is_the_primary_key_of_its_list() -> None:
    api = understood({"/users": operation(LIST), "/users/{pk}": operation(USER)})
    (binding,) = api.endpoints["GET /users/{pk}"].bindings
    assert (binding.sources[0].endpoint, binding.sources[0].field, binding.record_field) == (
        "GET /users",
        ("id",),
        ("id",),
    )


def test_one_thing_is_in_its_envelope_however_much_is_said_of_its_columns() -> None:
    user = {"type": "object", "properties": {name: {"type": "string"} for name in ("id", *"abcdefgh")}}
    about = {name: {"type": "string"} for name in ("id", "show_title", "label", "order")}
    paths = {"/users/{id}": operation({"type": "object", "properties": {"result": user, **about}})}
    assert understood(paths).endpoints["GET /users/{id}"].records.path == ("result",)


def test_a_list_of_lists_inside_one_thing_is_not_the_records() -> None:
    tags = {"type": "array", "items": {"type": "array", "items": {"type": "array", "items": {"type": "string"}}}}
    event = {"type": "object", "properties": {**USER["properties"], "tags": tags, "meta": {"type": "object"}}}
    paths = {"/events/{event_id}": operation(event), "/events": operation({"type": "array", "items": event})}
    assert understood(paths).endpoints["GET /events/{event_id}"].records.shape == "single"


def test_one_thing_may_be_called_more_than_its_path_does() -> None:
    paths = {"/shifts/{shift_id}": operation({"type": "object", "properties": {"cash_drawer_shift": USER}})}
    assert understood(paths).endpoints["GET /shifts/{shift_id}"].records.path == ("cash_drawer_shift",)


def test_a_variable_may_name_records_of_a_list_at_the_top_whose_name_is_singular() -> None:
    api = understood(
        {
            "/project": operation(LIST),
            "/meta": operation({"type": "object", "properties": {"projects": LIST}}),
            "/meta/{projectId}/types": operation(LIST),
            "/meta/{otherId}/kinds": operation(LIST),
        }
    )

    def sources(key: str) -> list[str]:
        return [source.endpoint for binding in api.endpoints[key].bindings for source in binding.sources]

    assert sources("GET /meta/{projectId}/types") == ["GET /project", "GET /meta"]
    assert sources("GET /meta/{otherId}/kinds") == ["GET /meta"]


@pytest.mark.parametrize(
    ("asked", "digits"),
    [
        (operation(LIST, query("projectId")), True),
        (operation(LIST, query("projectIds", "array", items={"type": "integer"})), True),
        (operation(LIST, query("projectId", "string")), False),
        (operation(LIST, query("otherId")), False),
        (operation(LIST, query("id")), False),
    ],
)
def test_an_id_that_is_a_text_here_and_a_number_there_is_made_of_digits(asked: Any, digits: bool) -> None:
    project = {"type": "object", "properties": {"id": {"type": "string"}}}
    api = understood({"/projects": operation({"type": "array", "items": project}), "/tasks": asked})
    found = api.endpoints["GET /projects"]
    assert Mould(found, 0).record(1, 0, {})["id"].isdecimal() is digits


def sources_of(paths: dict[str, Any], key: str) -> list[tuple[str, str]]:
    """Of an endpoint's variables: the list and the field that their values come from."""
    bindings = understood(paths).endpoints[key].bindings
    return [(source.endpoint, ".".join(source.field)) for binding in bindings for source in binding.sources]


def thing(**fields: Any) -> dict[str, Any]:
    return {"type": "array", "items": {"type": "object", "properties": fields}}


TEXT = {"type": "string"}


def test_a_list_that_wants_a_search_term_does_not_stand_alone_one_that_wants_a_page_does() -> None:
    nested = {"/tags/{id}/campaigns": operation(LIST), "/tags": operation(LIST)}
    child = {"/campaigns/{id}/messages": operation(LIST)}
    term, page = ({**query("filter", "string"), "required": True}, {**query("page"), "required": True})
    by_term = {"/campaigns": operation(LIST, term), **nested, **child}
    by_page = {"/campaigns": operation(LIST, page), **nested, **child}
    found = sources_of(by_term, "GET /campaigns/{id}/messages")
    assert found == [("GET /campaigns", "id"), ("GET /tags/{id}/campaigns", "id")]
    assert sources_of(by_page, "GET /campaigns/{id}/messages") == [("GET /campaigns", "id")]


def test_a_variable_about_something_else_than_the_list_before_it_is_a_weaker_ground() -> None:
    listed = thing(MessageID=TEXT)
    api = understood(
        {
            "/clicks": operation(listed),
            "/clicks/{messageid}": operation(listed),
            "/messages": operation(listed),
            "/messages/{messageid}/notes": operation(LIST),
        }
    )
    about_another = api.endpoints["GET /clicks/{messageid}"]
    assert [source.endpoint for source in about_another.bindings[0].sources] == ["GET /messages", "GET /clicks"]
    about_it = api.endpoints["GET /messages/{messageid}/notes"]
    assert about_another.ground("parents").confidence < about_it.ground("parents").confidence


@pytest.mark.parametrize(("name", "shared"), [("workspace", {"workspace": "workspace"}), ("id", {})])
def test_variables_of_one_name_mean_the_same_if_the_name_says_what(name: str, shared: dict[str, str]) -> None:
    paths = {
        "/workspaces": operation(LIST),
        "/repos": operation(LIST),
        f"/repos/{{{name}}}": operation(LIST),
        f"/workspaces/{{{name}}}/repos/{{repo}}/forks": operation(LIST),
    }
    bindings = understood(paths).endpoints[f"GET /workspaces/{{{name}}}/repos/{{repo}}/forks"].bindings
    found = {source.endpoint: source.shared for binding in bindings for source in binding.sources}
    assert found[f"GET /repos/{{{name}}}"] == shared


def test_the_id_of_a_record_s_owner_names_no_record() -> None:
    owned = thing(
        owner={"type": "object", "properties": {"uuid": TEXT}},
        repo={"type": "object", "properties": {"uuid": TEXT}},
    )
    described = {
        "name": "slug",
        "in": "path",
        "required": True,
        "description": "The slug or the UUID.",
        "schema": TEXT,
    }
    found = sources_of(
        {"/repos": operation(owned), "/repos/{slug}/forks": operation(LIST, described)}, "GET /repos/{slug}/forks"
    )
    assert found == [("GET /repos", "repo.uuid")]


def test_two_paths_of_one_shape_are_one_endpoint_that_takes_both_values() -> None:
    listed = thing(id=TEXT, number=TEXT)
    paths = {
        "/contacts": operation(listed),
        "/contacts/{id}": operation(listed),
        "/contacts/{number}": operation(listed),
    }
    assert list(understood(paths).endpoints) == ["GET /contacts", "GET /contacts/{id}"]
    assert sources_of(paths, "GET /contacts/{id}") == [("GET /contacts", "id"), ("GET /contacts", "number")]


def test_a_path_variable_that_is_a_number_asks_for_digits_too() -> None:
    project = {"type": "object", "properties": {"id": {"type": "string"}}}
    number = {"name": "id", "in": "path", "required": True, "schema": {"type": "integer"}}
    paths = {
        "/projects": operation({"type": "array", "items": project}),
        "/projects/{id}/tasks": operation(LIST, number),
    }
    assert Mould(understood(paths).endpoints["GET /projects"], 0).record(1, 0, {})["id"].isdecimal()


def test_doors_are_those_of_the_security_schemes() -> None:
    schemes = {
        "key": {"type": "apiKey", "in": "header", "name": "X-Api-Key"},
        "basic": {"type": "http", "scheme": "basic"},
        "oauth": {
            "type": "oauth2",
            "flows": {"clientCredentials": {"tokenUrl": "https://login.example.com/v2/token", "scopes": {}}},
        },
    }
    paths = {
        "/users": operation(LIST),
        "/open": operation(LIST, security=[]),
        "/both": operation(LIST, security=[{"key": [], "basic": []}]),
    }
    api = understood(paths, components={"securitySchemes": schemes}, security=[{"oauth": []}, {"key": []}])
    key = ApiKeyCheck(location="header", name="X-Api-Key", prefix="")
    oauth = OAuth2Check(token_path="/v2/token", grants=("client_credentials",))
    ways = {name: api.auth if e.auth is None else e.auth for name, e in api.endpoints.items()}
    assert ways == {"GET /users": ((oauth,), (key,)), "GET /open": (), "GET /both": ((key, BasicCheck()),)}


def test_a_credential_header_is_a_door_where_no_scheme_is_declared() -> None:
    token = {"name": "X-Server-Token", "in": "header", "required": True, "schema": {"type": "string"}}
    api = understood({"/users": operation(LIST, token)})
    assert api.auth == ((ApiKeyCheck(location="header", name="X-Server-Token", prefix=""),),)
    assert api.endpoints["GET /users"].accepts == ()


def test_a_token_that_a_scheme_sends_is_not_asked_for_again_as_a_parameter() -> None:
    schemes = {"bearer": {"type": "http", "scheme": "bearer"}}
    token = {"name": "token", "in": "query", "required": True, "schema": {"type": "string"}}
    api = understood(
        {"/users": operation(LIST, token)}, components={"securitySchemes": schemes}, security=[{"bearer": []}]
    )
    assert api.endpoints["GET /users"].accepts == ()


def test_a_declared_scheme_that_nobody_requires_is_still_a_door() -> None:
    schemes = {"bearer": {"type": "http", "scheme": "bearer"}}
    api = understood({"/users": operation(LIST)}, components={"securitySchemes": schemes})
    assert api.auth == ((BearerCheck(),),)
    assert not api.endpoints["GET /users"].ground("auth").stated


def test_a_search_by_post_is_an_endpoint_whose_page_is_in_the_body() -> None:
    body = {
        "type": "object",
        "required": ["entity"],
        "properties": {"entity": {"type": "string"}, "offset": {"type": "integer"}, "limit": {"type": "integer"}},
    }
    search = {
        "requestBody": {"content": {"application/json": {"schema": body}}},
        "responses": {"200": {"description": "", "content": {"application/json": {"schema": page_of()}}}},
    }
    found = understood({"/users/search": {"post": search}}).endpoints["POST /users/search"]
    assert (found.position.kind, found.position.location, found.size.location) == ("offset", "body", "body")
    assert [(a.name, a.location) for a in found.accepts if a.required] == [("entity", "body")]


def test_the_base_path_is_that_of_the_first_server() -> None:
    servers = [
        {
            "url": "https://{shop}.example.com/{version}/api/",
            "variables": {"version": {"default": "v2"}, "shop": {"default": "x"}},
        }
    ]
    assert understood({"/users": operation(LIST)}, servers=servers).base_path == "/v2/api"


def test_a_document_without_records_is_rejected() -> None:
    raw = {
        "openapi": "3.0.3",
        "info": {"title": "t", "version": "1"},
        "paths": {"/x": {"delete": {"responses": {}}}},
    }
    with pytest.raises(Rejected, match="nothing to serve"):
        simulate(json.dumps(raw).encode(), "test")


def test_recursive_and_contradictory_schemas_are_bounded() -> None:
    node: dict[str, Any] = {
        "type": "object",
        "properties": {
            "id": {"type": "string", "minLength": 10**9},
            "n": {"type": "integer", "minimum": 5, "maximum": 1},
        },
    }
    node["properties"]["children"] = {
        "type": "array",
        "minItems": 10**6,
        "items": {"$ref": "#/components/schemas/Node"},
    }
    paths = {"/nodes": operation({"type": "array", "items": {"$ref": "#/components/schemas/Node"}})}
    api = understood(paths, components={"schemas": {"Node": node}})
    assert len(api.model_dump_json()) < 20_000


def test_tangled_paths_are_left_out() -> None:
    paths = {"/a/{a}{b}{c}{d}": operation(LIST), "/b/{}": operation(LIST), "/users": operation(LIST)}
    api = understood(paths)
    assert set(api.endpoints) == {"GET /b/{}", "GET /users"}


def test_a_variable_may_name_records_of_a_nested_list_but_never_in_a_circle() -> None:
    api = understood(
        {
            "/orgs": operation(LIST),
            "/orgs/{org_id}/users": operation(LIST),
            "/users/{user_id}/teams": operation(LIST),
            "/teams/{team_id}/groups": operation(LIST),
            "/groups/{group_id}/teams": operation(LIST),
        }
    )
    sources = {key: [b.sources[0].endpoint for b in e.bindings] for key, e in api.endpoints.items()}
    assert sources["GET /users/{user_id}/teams"] == ["GET /orgs/{org_id}/users"]
    assert sources["GET /teams/{team_id}/groups"] == sources["GET /groups/{group_id}/teams"] == []


def test_lists_that_are_found_only_below_each_other_are_bound_one_way() -> None:
    term = {**query("filter", "string"), "required": True}
    api = understood(
        {
            "/tags": operation(LIST, term),
            "/campaigns": operation(LIST, term),
            "/tags/{id}/campaigns": operation(LIST),
            "/campaigns/{id}/tags": operation(LIST),
        }
    )
    for key in ("GET /tags/{id}/campaigns", "GET /campaigns/{id}/tags"):
        assert ancestors(api.endpoints[key], api) & {"GET /tags", "GET /campaigns"}
        assert key not in ancestors(api.endpoints[key], api)
