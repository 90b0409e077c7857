"""Identity, increments, nesting, and what a refuted blueprint changes."""

from __future__ import annotations

from typing import Any

import pytest

from contracts.blueprint import Binding, Candidate, Cursor, IncrementalFilter, OffsetPagination, Parent
from contracts.events import Verdict
from contracts.reports import Feedback, FeedbackList
from services.research.openapi.examples import schema_of_examples
from services.research.refute import refuted
from tests.support.openapi import THING, TIME, array, blueprint, get, header, named, obj, query, stream, variable

EPOCH = {"type": "integer", "description": "Unix timestamp"}


def key_of(path: str, record: Any, **paths: Any) -> Any:
    found = blueprint({path: get(array(record)), **paths})
    return named(found, path.strip("/")).primary_key


@pytest.mark.parametrize(
    ("record", "key"),
    [
        (obj(name="string", id="integer"), (("id",),)),
        (obj(Name="string", ID="integer"), (("ID",),)),
        (obj(account_id="string", thing_id="string"), (("thing_id",),)),
        (obj(thingID="string", name="string"), (("thingID",),)),
        (obj(sid="string", account_sid="string"), (("sid",),)),
        (obj(key="string", value="string"), (("key",),)),
        (
            obj(label={"type": "string", "description": "A unique identifier of the thing"}, size="integer"),
            (("label",),),
        ),
        (obj(id=obj(workspace_id="string", thing_id="string"), name="string"), (("id", "thing_id"),)),
        (obj(type="string", attributes=obj(x="string"), id="string"), (("id",),)),
        (obj(name="string", size="integer"), None),
    ],
)
def test_primary_keys_of_many_names_are_recognised(record: Any, key: Any) -> None:
    assert key_of("/things", record).value == key


def test_an_undecided_key_is_a_gap() -> None:
    found = blueprint({"/things": get(array(obj(name="string")))})
    assert found.streams[0].primary_key.value is None
    assert any(gap.subject == "streams.things.primary_key" for gap in found.gaps)


def test_the_path_of_one_record_decides_between_candidates() -> None:
    record = obj(code="string", fingerprint="string")
    one = get(obj(fingerprint="string"), variable("fingerprint"))
    found = key_of("/things", record, **{"/things/{fingerprint}": one})
    assert found.value == (("fingerprint",),)
    assert (("code",),) in [option.value for option in found.alternatives]
    assert "/things/{fingerprint}".replace("/", "~1") in found.evidence[1].pointer


def test_nested_records_without_a_strong_key_take_the_parents_field_in() -> None:
    paths = {
        "/carts": get(array(obj(id="string"))),
        "/carts/{cart_id}/lines": get(array(obj(cart_id="string", number="integer")), variable("cart_id")),
    }
    found = named(blueprint(paths), "lines")
    assert found.primary_key.value == (("cart_id",), ("number",))


def test_the_path_by_id_decides_where_there_are_several() -> None:
    record = obj(OrderNumber="string", OrderID="string")
    one = obj(OrderID="string")
    paths = {
        "/orders/{OrderID}": get(one, variable("OrderID")),
        "/orders/{OrderNumber}": get(one, variable("OrderNumber")),
    }
    assert key_of("/orders", record, **paths).value == (("OrderID",),)


def test_a_number_that_fetches_one_anywhere_needs_no_parent() -> None:
    paths = {
        "/sites": get(array(obj(id="string"))),
        "/sites/{site_id}/meters": get(array(obj(site_id="string", serial="string")), variable("site_id")),
        "/meters/{serial}": get(obj(serial="string"), variable("serial")),
    }
    found = named(blueprint(paths), "meters").primary_key
    assert found.value == (("serial",),)
    assert found.confidence > 0.75


def told(text: str, kind: str = "string") -> Any:
    return {"type": kind, "description": text}


@pytest.mark.parametrize(
    ("path", "record", "key"),
    [
        ("/users", obj(key=told("This property is no longer available."), id="string"), ("id",)),
        ("/users", obj(key=told("Deprecated."), accountId=told("Uniquely identifies the user.")), ("accountId",)),
        ("/watchers", obj(name="string", accountId=told("Uniquely identifies the user.")), ("accountId",)),
        ("/orders", obj(userId=told("The unique identifier of the user"), total="integer"), None),
        ("/projects", obj(uuid=told("Unique ID of new projects."), id=told("The ID.")), ("id",)),
        ("/records", obj(id=obj(space_id="string", record_id="string"), values="object"), ("id", "record_id")),
        ("/group/bulk", obj(groupId="string", name="string"), ("groupId",)),
        ("/messages/clicks", obj(MessageID="string", Platform="string", Geo="string", Link="string"), None),
        ("/boards", obj(idBoard="string", desc="string"), ("idBoard",)),
        ("/commits", obj(hash="string", message="string"), ("hash",)),
        (
            "/customers",
            obj(customer=obj(id="string", email="string"), card=obj(number="string")),
            ("customer", "id"),
        ),
        ("/rates", obj(rate="number", number="number"), None),
        ("/nodes", obj(identifier="string", label="string"), ("identifier",)),
        ("/incidents", obj(number="string", sys_id="string"), ("sys_id",)),
        ("/edges", obj(cursor="string", node=obj(id="string")), ("node", "id")),
        ("/pods", obj(metadata=obj(uid="string"), spec=obj(x="string")), ("metadata", "uid")),
    ],
)
def test_keys_are_told_from_what_looks_like_one(path: str, record: Any, key: Any) -> None:
    found = stream(path, get(array(record))).primary_key.value
    assert found == (None if key is None else (key,))


@pytest.mark.parametrize(
    ("record", "key"),
    [
        (obj(schemeId="string", typeId="string"), (("schemeId",), ("typeId",))),
        (obj(user_id="string", group_id="string", role="string"), (("user_id",), ("group_id",))),
        (
            obj(user=obj(uuid="string"), space=obj(uuid="string"), permission="string"),
            (("user", "uuid"), ("space", "uuid")),
        ),
        (obj(document_id="string", document_id_guid="string"), None),
        (obj(user_id="string", group_id="string", a="string", b="string", c="string"), None),
    ],
)
def test_rows_that_tie_others_together_have_a_key_of_all(record: Any, key: Any) -> None:
    assert stream("/memberships", get(array(record))).primary_key.value == key


def test_the_values_of_a_map_are_known_by_its_keys() -> None:
    permission = obj(id="string", key="string", name="string")
    by_key = obj(permissions={"type": "object", "additionalProperties": permission})
    assert stream("/permissions", get(by_key)).primary_key.value == (("key",),)
    assert stream("/permissions", get(array(permission))).primary_key.value == (("id",),)


def test_a_row_that_counts_is_known_by_its_name() -> None:
    counted = obj(name="string", count="integer", type="string")
    assert stream("/bounces", get(array(counted))).primary_key.value == (("name",),)
    assert stream("/bounces", get(array(obj(name="string", type="string")))).primary_key.value is None


def test_a_name_is_less_sure_below_a_parent() -> None:
    item = get(obj(name="string"), variable("repo"), variable("name"))
    record = obj(name="string", sha="string")
    paths = {
        "/repos": get(array(obj(id="string"))),
        "/repos/{repo}/branches": get(array(record), variable("repo")),
        "/repos/{repo}/branches/{name}": item,
    }
    found = named(blueprint(paths), "branches").primary_key
    assert found.value == (("name",),)
    assert found.confidence < 0.65


def test_undescribed_records_have_a_named_gap_and_the_usual_key_to_try() -> None:
    found = blueprint({"/things": get(None), "/things/{id}": get(None, variable("id"))})
    assert found.streams[0].primary_key.value is None
    assert [option.value for option in found.streams[0].primary_key.alternatives] == [(("id",),)]
    assert any(gap.subject == "streams.things.primary_key" for gap in found.gaps)


# --- increments ------------------------------------------------------------------------------------

RECORD = obj(id="string", created_at=TIME, updated_at=TIME)


def cursor(record: Any, *parameters: Any) -> Cursor | None:
    return stream("/things", get(array(record), *parameters)).cursor.value


@pytest.mark.parametrize(
    ("param", "field"),
    [
        (query("updated_since", format="date-time"), "updated_at"),
        (query("modified_after", format="date-time"), "updated_at"),
        (query("updatedMin", format="date-time"), "updated_at"),
        (query("created[gte]", "integer"), "created_at"),
        (query("DateCreated>", format="date-time"), "created_at"),
        (query("since", description="Only things created since this date"), "created_at"),
        (query("from_date", description="Start date of the updated time"), "updated_at"),
        (header("If-Modified-Since"), "updated_at"),
    ],
)
def test_filters_go_with_the_field_that_they_name(param: Any, field: str) -> None:
    found = cursor(RECORD, param)
    assert found is not None
    assert found.field == (field,)
    assert found.filter.param == param["name"]
    assert found.filter.location == param["in"]


@pytest.mark.parametrize(
    ("param", "format_", "inclusive"),
    [
        (query("updated_since", format="date-time"), "date-time", True),
        (query("updated_after", format="date"), "date", False),
        (query("updated_after", format="date", description="At or after this day"), "date", True),
        (query("updated[gt]", "integer"), "epoch_s", False),
        (query("updated_from", "integer", "In milliseconds since the epoch"), "epoch_ms", True),
        (query("updated_since", example="2020-01-31"), "date", True),
    ],
)
def test_formats_and_bounds_are_those_of_the_parameter(param: Any, format_: str, inclusive: bool) -> None:
    found = cursor(RECORD, param)
    assert found is not None
    assert (found.format, found.filter.inclusive) == (format_, inclusive)
    assert found.field_format == "date-time"


def test_the_fields_own_format_is_told() -> None:
    found = cursor(obj(id="string", updated=EPOCH), query("updated_since", format="date-time"))
    assert found is not None
    assert (found.field_format, found.format) == ("epoch_s", "date-time")
    text = {"type": "string", "pattern": r"^\d{10}\.\d{6}$"}
    spelled = cursor(obj(id="string", created_ts=text), query("created_since", format="date-time"))
    assert spelled is not None
    assert spelled.field_format == "epoch_s"


def test_filter_expressions_are_rendered() -> None:
    text = "Allowed field(s)/operator(s):<br>`name`: `equals`<br>`updated`: `greater-than`, `less-than`"
    found = cursor(obj(id="string", attributes=obj(updated=TIME)), query("filter", description=text))
    assert found == Cursor(
        field=("attributes", "updated"),
        filter=IncrementalFilter(param="filter", template="greater-than(updated,{value})", inclusive=False),
    )


def test_deep_object_filters_are_sent_as_members() -> None:
    window = {**query("created"), "style": "deepObject", "schema": obj(gte="integer", lt="integer")}
    found = cursor(obj(id="string", created=EPOCH), window)
    assert found is not None
    assert found.filter.param == "created[gte]"
    assert found.format == "epoch_s"


def test_a_filter_without_a_field_is_a_gap() -> None:
    found = blueprint({"/things": get(array(THING), query("updated_since", format="date-time"))})
    assert found.streams[0].cursor.value is None
    assert any(gap.subject == "streams.things.cursor" and "updated_since" in gap.reason for gap in found.gaps)


@pytest.mark.parametrize(
    "param",
    [
        query("since_id"),
        query("min_price", "integer"),
        query("updated_before", format="date-time"),
        query("after", description="Cursor of the next page"),
        query("start", "integer", "Index of the first record"),
        query("startAt", "integer", "The index of the first item (page offset)"),
        query("startAt", "integer", default=0),
        query("from", description="Sender's address"),
        query("updated_since", "boolean"),
    ],
)
def test_what_does_not_ask_for_changes_is_no_cursor(param: Any) -> None:
    assert cursor(RECORD, param) is None


def test_a_filter_that_names_no_field_is_a_gap_if_there_are_several() -> None:
    found = blueprint({"/things": get(array(RECORD), query("time_min", format="date-time"))})
    assert found.streams[0].cursor.value is None
    assert {option.value.field for option in found.streams[0].cursor.alternatives if option.value} == {
        ("created_at",),
        ("updated_at",),
    }
    assert any("is not said" in gap.reason for gap in found.gaps)


def test_a_filter_that_names_no_field_takes_the_only_one() -> None:
    found = cursor(obj(id="string", received_at=TIME), query("time_min", format="date-time"))
    assert found is not None
    assert found.field == ("received_at",)


def test_a_field_without_a_filter_is_no_cursor() -> None:
    assert cursor(RECORD) is None


# --- nesting ---------------------------------------------------------------------------------------


def parent_of(paths: dict[str, Any], name: str) -> Parent | None:
    return named(blueprint(paths), name).parent.value


def test_the_list_that_is_the_prefix_supplies_the_variable() -> None:
    paths = {
        "/projects": get(obj(data=array(THING))),
        "/projects/{project_id}/tasks": get(array(THING), variable("project_id")),
    }
    bindings = (Binding(variable="project_id", field=("id",)),)
    assert parent_of(paths, "tasks") == Parent(stream="projects", bindings=bindings)


def test_several_levels_inherit_from_each_other() -> None:
    paths = {
        "/orgs": get(array(obj(id="string", slug="string"))),
        "/orgs/{org_slug}/projects": get(array(THING), variable("org_slug")),
        "/orgs/{org_slug}/projects/{project_id}/tasks": get(
            array(THING), variable("org_slug"), variable("project_id")
        ),
    }
    found = blueprint(paths)
    assert named(found, "projects").parent.value == Parent(
        stream="orgs", bindings=(Binding(variable="org_slug", field=("slug",)),)
    )
    assert named(found, "tasks").parent.value == Parent(
        stream="projects", bindings=(Binding(variable="project_id", field=("id",)),)
    )


def test_inherited_variables_take_the_parents_names() -> None:
    paths = {
        "/orgs": get(array(THING)),
        "/orgs/{id}/projects": get(array(THING), variable("id")),
        "/orgs/{org}/projects/{id}/tasks": get(array(THING), variable("org"), variable("id")),
    }
    found = named(blueprint(paths), "tasks")
    assert found.request.value.path == "/orgs/{id}/projects/{project_id}/tasks"
    assert found.parent.value == Parent(
        stream="projects", bindings=(Binding(variable="project_id", field=("id",)),)
    )


@pytest.mark.parametrize(
    ("variable_name", "record", "field"),
    [
        ("projectIdOrKey", obj(id="string", key="string"), ("id",)),
        ("project_slug", obj(id="string", slug="string"), ("slug",)),
        ("projectSid", obj(sid="string", account_sid="string"), ("sid",)),
        ("id", obj(project_id="string", name="string"), ("project_id",)),
        ("key", obj(id="string", key="string"), ("key",)),
    ],
)
def test_the_field_that_a_variable_takes_follows_its_name(
    variable_name: str, record: Any, field: tuple[str, ...]
) -> None:
    paths = {
        "/projects": get(array(record)),
        f"/projects/{{{variable_name}}}/tasks": get(array(THING), variable(variable_name)),
    }
    found = parent_of(paths, "tasks")
    assert found is not None
    assert found.bindings[0].field == field


def test_a_list_elsewhere_with_the_same_noun_supplies_it_too() -> None:
    paths = {
        "/search": get(
            obj(issues=array(obj(id="string", key="string")), total="integer"), query("startAt", "integer")
        ),
        "/issue/{issueIdOrKey}/comments": get(array(THING), variable("issueIdOrKey")),
    }
    found = parent_of(paths, "comments")
    assert found is not None
    assert found.bindings == (Binding(variable="issueIdOrKey", field=("id",)),)


def test_two_variables_can_come_from_one_record() -> None:
    paths = {
        "/repos": get(array(obj(id="string", slug="string", owner=obj(login="string")))),
        "/repos/{owner}/{repo_slug}/issues": get(array(THING), variable("owner"), variable("repo_slug")),
    }
    found = parent_of(paths, "issues")
    assert found is not None
    assert {(binding.variable, binding.field) for binding in found.bindings} == {
        ("owner", ("owner", "login")),
        ("repo_slug", ("slug",)),
    }


def test_a_required_query_parameter_can_name_the_parent() -> None:
    paths = {f"/extra{number}": get(array(THING)) for number in range(4)} | {
        "/channels": get(array(THING)),
        "/messages": get(array(THING), query("channel_id", required=True)),
    }
    found = named(blueprint(paths), "messages")
    assert found.request.value.query == {"channel_id": "{channel_id}"}
    assert found.parent.value == Parent(
        stream="channels", bindings=(Binding(variable="channel_id", field=("id",)),)
    )


def test_streams_never_wait_for_each_other_in_a_circle() -> None:
    paths = {f"/extra{number}": get(array(THING)) for number in range(9)} | {
        "/a/{b_id}/as": get(array(THING), variable("b_id")),
        "/b/{a_id}/bs": get(array(THING), variable("a_id")),
    }
    found = blueprint(paths)
    assert all(stream.parent.value is None for stream in found.streams)
    assert {each.target: each.streams for each in found.parameters} == {"a_id": ("bses",), "b_id": ("ases",)}


# --- refuted ---------------------------------------------------------------------------------------

PAGED = {
    "/things": get(obj(data=array(THING), total="integer"), query("page", "integer"), query("offset", "integer")),
    "/parts": get(obj(data=array(THING), total="integer"), query("page", "integer"), query("offset", "integer")),
}


def said(*suspects: str, stream: str = "things", verdict: Verdict = Verdict.VALID_FAIL) -> FeedbackList:
    return FeedbackList(
        items=(Feedback(verdict=verdict, message="rows are missing", stream=stream, suspects=suspects),)
    )


def kinds(options: tuple[Candidate[Any], ...]) -> list[str]:
    return [option.value.kind for option in options]


def test_refuted_options_go_last_and_the_others_stay() -> None:
    before = blueprint(PAGED)
    after = refuted(before, said("pagination", "selector"), before, {})
    old, new = named(before, "things"), named(after, "things")
    assert new.pagination.options[-1].value == old.pagination.value
    assert new.pagination.value == old.pagination.alternatives[0].value
    assert new.selector == old.selector
    assert named(after, "parts") == named(before, "parts")
    assert all(
        one.confidence >= two.confidence
        for one, two in zip(new.pagination.options, new.pagination.options[1:], strict=False)
    )


def test_everything_tried_up_to_the_choice_counts_as_refuted() -> None:
    before = blueprint(PAGED)
    rank = kinds(named(before, "things").pagination.options).index("offset")
    assert rank > 0
    after = refuted(before, said("selector", "pagination"), before, {"streams.things.pagination": rank})
    tail = named(after, "things").pagination.options[-rank - 1 :]
    assert any(isinstance(option.value, OffsetPagination) for option in tail)
    assert not isinstance(named(after, "things").pagination.value, OffsetPagination)


def test_a_test_at_fault_refutes_nothing() -> None:
    before = blueprint(PAGED)
    assert refuted(before, said("pagination", verdict=Verdict.INVALID), before, {}) == before
    assert refuted(before, said("pagination", stream="gone"), before, {}) == before
    assert refuted(before, said("nonsense"), before, {}) == before


def test_a_reference_left_in_an_example_names_no_field() -> None:
    """Airbyte's acceptance tests refuse a schema with ``$ref``, be it a property's name."""
    found = schema_of_examples([{"id": 1, "fee": {"$ref": "#/components/examples/Fee"}}])
    assert found == {"type": "object", "properties": {"id": {"type": "integer"}, "fee": {}}}
