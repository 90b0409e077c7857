"""Which operations are streams, where their records are, what they are called."""

from __future__ import annotations

from typing import Any

import pytest

from contracts.blueprint import Selector
from contracts.errors import Permanent
from services.research.openapi.words import noun, plural, singular, words
from tests.support.openapi import THING, array, blueprint, get, named, obj, operation, post, query, stream, variable


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("updatedMin", ("updated", "min")),
        ("If-Modified-Since", ("if", "modified", "since")),
        ("DateCreated>", ("date", "created", "gt")),
        ("page[size]", ("page", "size")),
        ("$top", ("top",)),
        ("UpdatedDateUTC", ("updated", "date", "utc")),
        ("fromdate", ("from", "date")),
        ("customerIDs", ("customer", "ids")),
        ("oauth2_token", ("oauth2", "token")),
    ],
)
def test_names_split_into_words(name: str, parts: tuple[str, ...]) -> None:
    assert words(name) == parts


@pytest.mark.parametrize(
    ("one", "many"),
    [
        ("company", "companies"),
        ("box", "boxes"),
        ("status", "statuses"),
        ("day", "days"),
        ("person", "people"),
        ("class", "classes"),
    ],
)
def test_plural_and_singular_are_each_others_inverse(one: str, many: str) -> None:
    assert plural(one) == many
    assert singular(many) == one
    assert plural(many) == many
    assert noun(many) == (one,)


@pytest.mark.parametrize(
    ("response", "selector"),
    [
        (array(THING), Selector()),
        (obj(data=array(THING), total="integer"), Selector(path=("data",))),
        (obj(things=array(THING)), Selector(path=("things",))),
        (obj(data=obj(items=array(THING))), Selector(path=("data", "items"))),
        (
            obj(_embedded=obj(things=array(THING)), _links=obj(next=obj(href="string"))),
            Selector(path=("_embedded", "things")),
        ),
        (obj(value=array(THING), **{"@odata.nextLink": "string"}), Selector(path=("value",))),
        (obj(data=array(THING), included=array(THING), links=obj(next="string")), Selector(path=("data",))),
        (obj(errors=array(THING), things=array(THING)), Selector(path=("things",))),
        (
            obj(ok="boolean", members=array(THING), response_metadata=obj(next_cursor="string")),
            Selector(path=("members",)),
        ),
        ({"type": "object", "additionalProperties": THING}, Selector(shape="map")),
    ],
)
def test_records_are_found_in_every_envelope(response: Any, selector: Selector) -> None:
    assert stream("/things", get(response)).selector.value == selector


def test_a_member_is_named_after_the_resource_however_its_words_are_joined() -> None:
    page = obj(createMetaIssueType=array(THING), issueTypes=array(THING), total="integer")
    assert stream("/createmeta/issuetypes", get(page)).selector.value.path == ("issueTypes",)


def test_what_only_redirects_or_fails_is_no_list() -> None:
    moved = {"get": {"parameters": [], "responses": {"307": {"description": "the file is elsewhere"}}}}
    found = blueprint({"/things": get(array(THING)), "/things/data": moved})
    assert [gap.reason for gap in found.omitted] == ["no successful response is described"]


def test_other_arrays_are_ranked_alternatives() -> None:
    found = stream("/things", get(obj(things=array(THING), extras=array(THING)))).selector
    assert found.value.path == ("things",)
    assert ("extras",) in [option.value.path for option in found.alternatives]
    assert found.evidence[0].pointer.endswith("/responses/200/content/application~1json/schema")


def test_single_objects_are_omitted_with_a_reason() -> None:
    thing = obj(id="string", tags=array(obj(name="string")), owner="string")
    found = blueprint(
        {
            "/things": get(array(thing)),
            "/things/{id}": get(thing, variable("id")),
            "/me": get(obj(id="string", email="string")),
            "/flags": get(array({"type": "boolean"})),
        }
    )
    assert [entry.name for entry in found.streams] == ["things"]
    reasons = {gap.subject: gap.reason for gap in found.omitted}
    assert reasons.keys() == {"GET /things/{id}", "GET /me", "GET /flags"}
    assert "one object" in reasons["GET /things/{id}"]
    assert "plain values (boolean)" in reasons["GET /flags"]


def test_without_a_response_schema_the_path_decides_with_little_confidence() -> None:
    found = blueprint(
        {
            "/v1/restrooms.json": get(None),
            "/v1/restrooms/{id}.json": get(None, variable("id")),
            "/login": get(None),
        }
    )
    assert [entry.name for entry in found.streams] == ["restrooms"]
    only = found.streams[0]
    assert only.request.confidence < 0.7
    assert [option.value.path for option in only.selector.options][:2] == [(), ("data",)]
    assert any(gap.subject == "streams.restrooms.json_schema" for gap in found.gaps)


def test_an_example_stands_in_for_a_missing_schema_and_says_so() -> None:
    item = get(None)
    example = {"things": [{"id": 1, "made": "2020-01-01T00:00:00Z", "size": 1.5}], "count": 1}
    item["get"]["responses"]["200"]["content"] = {"application/json": {"example": example}}
    found = stream("/things", item)
    assert found.selector.value.path == ("things",)
    assert "example" in found.selector.evidence[0].note
    assert found.json_schema.value["properties"]["made"] == {"type": ["null", "string"], "format": "date-time"}
    assert found.primary_key.value == (("id",),)


def test_searches_by_post_are_streams_and_writes_are_not() -> None:
    found = blueprint(
        {
            "/orders/search": post(
                obj(orders=array(THING), cursor="string"), obj(cursor="string", limit="integer")
            ),
            "/orders": {"post": operation(obj(orders=array(THING)))},
            "/orders/bulk": post(obj(orders=array(THING)), obj(orders=array(THING))),
        }
    )
    assert [(entry.name, entry.request.value.method) for entry in found.streams] == [("orders", "POST")]
    assert found.streams[0].request.value.body == {}


def test_an_api_without_get_is_read_by_post() -> None:
    found = blueprint(
        {
            "/accounts/list": post(obj(accounts=array(THING)), obj(count="integer", offset="integer")),
            "/accounts/create": post(obj(accounts=array(THING)), obj()),
            "/sessions/get": post(
                obj(sessions=array(THING)), {**obj(user_token="string"), "required": ["user_token"]}
            ),
        }
    )
    assert [entry.name for entry in found.streams] == ["accounts"]
    assert any("user_token" in gap.reason for gap in found.omitted)


def test_the_same_list_by_get_and_post_is_one_stream() -> None:
    paths = {"/things/search": {**get(array(THING)), **post(array(THING), obj())}}
    assert [entry.request.value.method for entry in blueprint(paths).streams] == ["GET"]


def omitted(paths: dict[str, Any]) -> dict[str, str]:
    """What is left out beside ``/things``, and why."""
    found = blueprint({"/things": get(array(THING)), **paths})
    return {gap.subject: gap.reason for gap in found.omitted}


@pytest.mark.parametrize(
    ("path", "response"),
    [
        ("/account", obj(data=obj(id="string", email="string", teams=array(THING)))),
        (
            "/config",
            obj(type="string", enabled="boolean", repository=obj(id="string", links=obj(clone=array(THING)))),
        ),
        ("/contentFiltering", obj(blocked=array(THING), allowedUrlPatterns=array({"type": "string"}))),
        ("/mail_settings", obj(copies=array(THING), replyAddress="string")),
        ("/latency/metrics", obj(region="string", environment="string", times=array(THING))),
        ("/files.info", obj(file=obj(id="string"), comments=array(THING), paging=obj(pages="integer"))),
        (
            "/team/{team_id}/wage-setting",
            obj(wage_setting=obj(title="string", overtime="boolean", jobs=array(THING))),
        ),
    ],
)
def test_one_object_with_a_list_in_it_is_no_stream(path: str, response: Any) -> None:
    reason = omitted({path: get(response, *([variable("team_id")] if "{" in path else []))})[f"GET {path}"]
    assert "one object that contains lists" in reason


def test_one_record_in_the_envelope_of_its_list_is_no_stream() -> None:
    envelope = obj(Invoices=array(obj(InvoiceID="string")), Warnings=array(THING))
    reasons = omitted(
        {
            "/Invoices": get(envelope, query("page", "integer")),
            "/Invoices/{InvoiceID}": get(envelope, variable("InvoiceID")),
            "/custom-objects/{container}": get(
                obj(custom_objects=array(THING), total="integer"), variable("container")
            ),
        }
    )
    assert reasons["GET /Invoices/{InvoiceID}"] == "it reads one record, in the envelope of a list"
    assert "GET /custom-objects/{container}" not in reasons
    assert "GET /Invoices" not in reasons


def test_an_object_with_a_uuid_under_a_marked_name_is_a_thing_of_its_own() -> None:
    marked = obj(**{"$id": {"type": "string", "format": "uuid"}, "$type": "string", "$scope": "string"})
    marked["properties"]["cards"] = array(THING)
    assert "one object" in omitted({"/cards": get(marked)})["GET /cards"]
    numbered = obj(**{"$id": "string", "$type": "string", "cards": array(THING)})
    assert "GET /cards" not in omitted({"/cards": get(numbered)})


@pytest.mark.parametrize(
    "path", ["/issue/picker", "/jql/suggestions", "/field/suggestions/search", "/autocomplete"]
)
def test_suggestions_are_no_list(path: str) -> None:
    assert "suggests" in omitted({path: get(obj(results=array(THING)))})[f"GET {path}"]


def test_a_list_under_an_old_path_is_one_stream() -> None:
    text = (
        "Returns all transactions that changed the balance, the latest first. This used the path /balance/history."
    )
    row = obj(transaction_id="string")
    reasons = omitted(
        {
            "/balance/history": get(array(row), description=text),
            "/balance_transactions": get(array(row), description=text),
            "/v0/rows": get(array(obj(row_id="string")), deprecated=True),
            "/rows": get(array(obj(row_id="string"))),
            "/cities": get(array(obj(code="string")), description="Returns a list."),
            "/countries": get(array(obj(code="string")), description="Returns a list."),
        }
    )
    assert reasons == {
        "GET /balance/history": "the same list is read by GET /balance_transactions",
        "GET /v0/rows": "deprecated: the same list is read by GET /rows",
    }


def test_paging_that_is_packed_into_one_parameter_makes_a_list_too() -> None:
    packed = {
        "in": "query",
        "name": "q",
        "content": {"application/json": {"schema": obj(page="integer", page_size="integer")}},
    }
    response = obj(
        columns=array({"type": "string"}), labels="object", title="string", order="object", result=array(THING)
    )
    found = stream("/api/layer/", get(response, packed))
    assert found.selector.value.path == ("result",)
    assert found.request.confidence > 0.6


def test_an_object_of_which_nothing_is_said_is_judged_by_its_path() -> None:
    found = blueprint(
        {
            "/things": get({"type": "object"}, query("page", "integer")),
            "/things/{id}": get({"type": "object"}, variable("id")),
            "/stats": get({"type": "object"}),
        }
    )
    assert [entry.name for entry in found.streams] == ["things"]
    assert found.streams[0].selector.value.path != ()


def test_names_are_plural_short_unique_and_stable() -> None:
    paths = {
        "/api/v1/projects/{project_id}/tasks": get(array(THING), variable("project_id")),
        "/api/v1/tasks": get(array(THING)),
        "/api/v1/project": get(array(THING)),
        "/api/v2/tasks": get(array(THING)),
        "/conversations.list": get(obj(channels=array(THING))),
        "/users/search": get(obj(users=array(THING))),
        "/Message-Streams": get(array(THING)),
        "/" + "long/" * 40 + "ends": get(array(THING)),
    }
    found = [entry.name for entry in blueprint(paths).streams]
    assert found[:7] == [
        "project_tasks",
        "tasks",
        "projects",
        found[3],
        "conversations",
        "users",
        "message_streams",
    ]
    assert len(set(found)) == len(found)
    assert all(len(name) <= 60 for name in found)
    assert found == [entry.name for entry in blueprint(paths).streams]


def test_a_document_without_lists_says_what_was_looked_at() -> None:
    with pytest.raises(Permanent, match=r"2 operations that read .*2 times: its response is one object"):
        blueprint({"/me": get(obj(a="string")), "/you": get(obj(a="string"))})
    with pytest.raises(Permanent, match="0 operations that read"):
        blueprint({})


def test_schema_keeps_nothing_that_could_refuse_a_record() -> None:
    record = {
        **obj(id={"type": "string", "enum": ["a"], "maxLength": 3}, at={"type": "string", "format": "date-time"}),
        "required": ["id"],
        "additionalProperties": False,
    }
    found = stream("/things", get(array(record))).json_schema.value
    assert found == {
        "type": "object",
        "properties": {
            "id": {"type": ["null", "string"]},
            "at": {"type": ["null", "string"], "format": "date-time"},
        },
    }


def test_a_null_in_an_example_refuses_nothing() -> None:
    example = {"application/json": {"example": [{"id": 1, "note": None}]}}
    operation = {"get": {"responses": {"200": {"description": "ok", "content": example}}}}
    found = stream("/things", operation).json_schema.value
    assert found["properties"] == {"id": {"type": ["null", "integer"]}, "note": {}}


def test_dangling_references_are_gaps_not_errors() -> None:
    found = blueprint({"/things": get(array({"$ref": "models.yaml#/Thing"}), query("limit", "integer"))})
    assert any("models.yaml" in gap.reason for gap in found.gaps)
    assert named(found, "things").json_schema.value["additionalProperties"] is True


def with_example(response: Any, value: Any) -> dict[str, Any]:
    item = get(response)
    media = {"schema": response, "example": value} if response is not None else {"example": value}
    item["get"]["responses"]["200"]["content"] = {"application/json": media}
    return item


def test_an_example_written_as_text_is_read() -> None:
    found = stream("/things", with_example(None, '{"things": [{"id": 7, "name": "x"}]}'))
    assert found.selector.value.path == ("things",)
    assert found.primary_key.value == (("id",),)


def test_an_example_fills_in_what_the_schema_leaves_open() -> None:
    declared = obj(data=array({"type": "object"}), total="integer")
    found = blueprint({"/things": with_example(declared, {"data": [{"id": "a", "size": 3}], "total": 1})})
    only = found.streams[0]
    assert only.json_schema.value["properties"] == {
        "id": {"type": ["null", "string"]},
        "size": {"type": ["null", "integer"]},
    }
    assert "inferred from an example" in only.json_schema.evidence[0].note
    assert only.json_schema.confidence < 0.7
    assert "x-inferred" not in only.json_schema.value
    assert not any(gap.subject.endswith("json_schema") for gap in found.gaps)


def test_what_is_declared_is_not_changed_by_an_example() -> None:
    declared = array(obj(id="integer", extra={"type": "object", "additionalProperties": {"type": "string"}}))
    found = stream("/things", with_example(declared, [{"id": "x", "extra": {"a": "b"}, "more": 1}]))
    assert found.json_schema.value["properties"] == {
        "id": {"type": ["null", "integer"]},
        "extra": {"type": ["null", "object"], "additionalProperties": {"type": ["null", "string"]}},
    }
    assert found.json_schema.confidence == 0.9


@pytest.mark.parametrize(
    ("response", "path"),
    [
        (
            obj(data=obj(things=obj(nodes=array(THING), pageInfo=obj(endCursor="string")))),
            ("data", "things", "nodes"),
        ),
        (obj(d=obj(results=array(THING), __next="string")), ("d", "results")),
        (obj(Result=obj(Things=obj(Thing=array(THING))), Status="string"), ("Result", "Things", "Thing")),
        (obj(code="integer", msg="string", data=obj(list=array(THING), total="integer")), ("data", "list")),
        (obj(a=obj(b=obj(c=obj(items=array(THING))))), ("a", "b", "c", "items")),
        (obj(hits=array(THING), facets=array(obj(counts=array(THING)))), ("hits",)),
    ],
)
def test_records_are_found_in_deep_envelopes(response: Any, path: tuple[str, ...]) -> None:
    assert stream("/things", get(response)).selector.value.path == path


@pytest.mark.parametrize(
    "item",
    [
        post(obj(rows=array(THING), cursor="string"), obj(cursor="string")),
        post(obj(results=array(THING)), obj(page="integer", page_size="integer"), operationId="listObjects"),
        post(obj(results=array(THING)), obj(offset="integer"), operationId="search_rows"),
    ],
)
def test_a_post_that_pages_is_read(item: dict[str, Any]) -> None:
    found = blueprint({"/things": get(array(THING)), "/crm/rows": item})
    assert "POST" in [entry.request.value.method for entry in found.streams]


def test_one_record_in_a_list_of_one_is_no_stream() -> None:
    reasons = omitted({"/things/{id}": get(array(THING), variable("id"))})
    assert reasons["GET /things/{id}"] == "it reads one record, in a list of one"


@pytest.mark.parametrize("path", ["/health", "/status"])
def test_how_the_service_is_is_no_stream(path: str) -> None:
    response = obj(status="string", checks=array(obj(name="string", ok="boolean")))
    assert "how the service is" in omitted({path: get(response)})[f"GET {path}"]
