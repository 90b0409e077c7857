"""Whose records a stream is read for: which list, and which of its fields."""

from __future__ import annotations

from typing import Any

import pytest

from contracts.blueprint import Candidate, Parent
from tests.support.openapi import THING, array, blueprint, get, named, obj, post, query, variable

NESTED = get(array(obj(value="string")))
FILLER = {f"/extra{number}": get(array(THING)) for number in range(9)}
"""So that no variable is worth a field of the config."""


def parent(paths: dict[str, Any], name: str) -> Candidate[Parent | None]:
    return named(blueprint(FILLER | paths), name).parent


def bindings(paths: dict[str, Any], name: str) -> dict[str, str]:
    """``{"<variable>": "<stream>.<field>"}``"""
    value = parent(paths, name).value
    assert value is not None
    return {each.variable: f"{value.stream}.{'.'.join(each.field)}" for each in value.bindings}


def asked(paths: dict[str, Any]) -> dict[str, str]:
    """Stream without a parent -> the one variable of its request that the config supplies."""
    found = blueprint(FILLER | paths)
    orphans = {stream.name for stream in found.streams if stream.parent.value is None}
    return {
        stream: parameter.target
        for parameter in found.parameters
        for stream in parameter.streams
        if stream in orphans and parameter.location == "path"
    }


def described(name: str, description: str, **schema: Any) -> dict[str, Any]:
    return {**variable(name), "description": description, "schema": {"type": "string", **schema}}


# --- which list ------------------------------------------------------------------------------------


def test_a_list_of_another_namespace_is_no_parent() -> None:
    paths = {
        "/issuing/transactions": get(array(THING)),
        "/tax/transactions/{transaction}/lines": get(array(THING), variable("transaction")),
    }
    assert asked(paths) == {"lines": "transaction"}


def test_the_assignments_of_one_thing_are_not_those_of_another() -> None:
    paths = {
        "/retention_policies": get(array(THING)),
        "/retention_policies/{policy}/assignments": get(array(THING), variable("policy")),
        "/retention_policy_assignments/{retention_policy_assignment_id}/files": NESTED,
        "/hold_policy_assignments/{hold_policy_assignment_id}/files_on_hold": NESTED,
    }
    assert bindings(paths, "files") == {"retention_policy_assignment_id": "assignments.id"}
    assert asked(paths) == {"files_on_holds": "hold_policy_assignment_id"}


def test_a_stream_waits_for_the_likelier_parent() -> None:
    """``/labor/shifts`` has its place a round earlier than ``/cash/shifts``, which stands before the variable."""
    paths = {
        "/shops": get(array(THING)),
        "/shifts": get(array(obj(id="string", shop_id="string"))),
        "/cash/shifts": get(array(THING), query("shop_id", required=True)),
        "/cash/shifts/{shift_id}/events": get(array(obj(at="string")), query("shop_id", required=True)),
    }
    found = blueprint(FILLER | paths)
    events = named(found, "events")
    assert events.parent.value is not None
    assert events.parent.value.stream == named(found, "cash_shifts").name
    assert [each.variable for each in events.parent.value.bindings] == ["shift_id"]
    assert events.request.value.query == {"shop_id": "{shop_id}"}


def test_a_search_of_the_collection_stands_before_the_variable_too() -> None:
    paths = {
        "/orders/search": post(obj(orders=array(THING), cursor="string"), obj(cursor="string")),
        "/archive/orders": get(array(THING)),
        "/orders/{order_id}/lines": get(array(obj(sku="string")), variable("order_id")),
    }
    found = parent(paths, "lines")
    assert found.value is not None
    assert (found.value.stream, found.confidence >= 0.8) == ("orders_search", True)


def test_a_prefix_that_lists_something_else_is_passed_over() -> None:
    """``/repositories`` lists repositories, whatever stands behind it in another path."""
    paths = {
        "/repositories": get(array(THING)),
        "/workspaces": get(array(obj(uuid="string", slug="string"))),
        "/repositories/{workspace}": get(
            array(THING), described("workspace", "The workspace ID (slug) or its UUID")
        ),
    }
    assert bindings(paths, "repositories_by_workspace") == {"workspace": "workspaces.slug"}


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/me/calendarList", "calendarId"),
        ("/organizations", "org_id"),
        ("/terms_of_services", "tos_id"),
        ("/users", "parent_user_id"),
        ("/shop/customers", "customer"),
    ],
)
def test_a_list_is_known_by_what_the_variable_names(path: str, name: str) -> None:
    paths = {path: get(array(THING)), f"/x/{{{name}}}/rules": get(array(obj(rule="string")), variable(name))}
    assert list(bindings(paths, "rules")) == [name]


def test_two_letters_are_no_initials() -> None:
    paths = {
        "/identity_psks": get(array(THING)),
        "/devices": get(array(THING)),
        "/devices/{device_id}/losses": get(
            array(obj(loss="string")), variable("device_id"), query("ip", required=True)
        ),
    }
    assert "ip" not in bindings(paths, "losses")


@pytest.mark.parametrize("name", ["field_type_id", "search_folder_id"])
def test_a_longer_noun_is_another_thing(name: str) -> None:
    paths = {
        "/fields": get(array(THING)),
        "/folders": get(array(THING)),
        f"/x/{{{name}}}/rules": get(array(obj(rule="string")), variable(name)),
    }
    assert asked(paths) == {"rules": name}


def test_a_glued_noun_is_no_abbreviation() -> None:
    paths = {
        "/field": get(array(THING)),
        "/fieldconfiguration/{id}/items": get(array(obj(a="string")), variable("id")),
    }
    assert asked(paths) == {"items": "id"}


@pytest.mark.parametrize(
    ("name", "description", "stream"),
    [
        ("policy_id", "The ID of the legal hold policy to get the holds for.", "legal_hold_policies"),
        ("target", "Conversation ID to read.", "conversations"),
        ("ref", "Identifier of a thread's parent message", "messages"),
    ],
)
def test_a_description_names_the_list(name: str, description: str, stream: str) -> None:
    lists = ("legal_hold_policies", "retention_policies", "conversations", "messages")
    paths = {f"/{each}": get(array(THING)) for each in lists}
    paths["/holds"] = get(array(obj(value="string")), query(name, description=description, required=True))
    found = parent(paths, "holds")
    assert found.value is not None
    assert found.value.stream == stream
    assert found.confidence < 0.8, "words in a text are not a statement about the parameter"


def test_the_id_of_one_thing_or_another_is_nobodys() -> None:
    item = get(
        array(THING), query("resolved_for_id", description="The ID of the user or enterprise", required=True)
    )
    assert asked({"/users": get(array(THING)), "/assignments": item}) == {"assignments": "resolved_for_id"}


def test_the_identity_of_another_list_is_known_by_its_name() -> None:
    """``/messages/outbound/clicks`` stands before the variable, but only the messages are identified by it."""
    message = obj(Messages=array(obj(MessageID="string", Subject="string")))
    paths = {
        "/messages/inbound": get(message),
        "/messages/outbound": get(message),
        "/messages/outbound/clicks": get(array(obj(id="string", MessageID="string"))),
        "/messages/outbound/clicks/{messageid}/places": get(array(obj(at="string")), variable("messageid")),
    }
    assert bindings(paths, "places") == {"messageid": "outbounds.MessageID"}


def test_a_choice_of_words_is_nobodys_record() -> None:
    paths = {
        "/project/types": get(array(obj(key="string"))),
        "/avatars/{type}/system": get(array(THING), described("type", "", enum=["issue", "project"])),
    }
    assert list(asked(paths).values()) == ["type"]


def test_a_filter_by_several_names_asks_for_no_parent() -> None:
    paths = {
        "/permissions": get(array(THING)),
        "/allowed": get(array(THING), query("permissions", description="a comma separated list", required=True)),
    }
    assert asked(paths) == {"alloweds": "permissions"}


def test_a_list_that_only_its_own_records_would_open_is_the_users_to_open() -> None:
    paths = {"/inventory/{sku}": NESTED, "/inventory/{sku}/changes": get(array(obj(sku="string")), variable("sku"))}
    assert asked(paths) == {"inventories": "sku", "changes": "sku"}


def test_two_lists_that_fit_equally_are_no_sure_parent() -> None:
    paths = {
        "/a/devices": get(array(THING)),
        "/b/devices": get(array(THING)),
        "/devices/{device_id}/ports": NESTED,
    }
    assert parent(paths, "ports").confidence < 0.8
    assert len(parent(paths, "ports").alternatives) == 1  # type: ignore[attr-defined]


# --- which field -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("param", "record", "field"),
    [
        (variable("project"), obj(id="string", slug="string"), "id"),
        (described("project", "The slug of the project"), obj(id="string", slug="string"), "slug"),
        (
            described("project", "A UUID or slug"),
            obj(id=obj(project_id="string", team_id="string")),
            "id.project_id",
        ),
        (described("project_slug", "The slug, or the UUID"), obj(uuid="string", name="string"), "uuid"),
        (variable("projectKeys"), obj(id="string", key="string"), "key"),
        (variable("projectid"), obj(ProjectID="string", name="string"), "ProjectID"),
    ],
)
def test_the_field_follows_what_the_document_says_of_the_variable(param: Any, record: Any, field: str) -> None:
    name = param["name"]
    paths = {"/projects": get(array(record)), f"/projects/{{{name}}}/tasks": get(array(THING), param)}
    assert bindings(paths, "tasks") == {name: f"projects.{field}"}


def test_two_variables_name_one_record() -> None:
    """No list of owners: both come from the repository, the one by its name, the other by elimination."""
    paths = {
        "/projects": get(array(obj(username="string", reponame="string", vcs="string"))),
        "/project/{username}/{project}/keys": get(
            array(obj(a="string")), variable("username"), variable("project")
        ),
    }
    found = parent(paths, "keys")
    assert found.confidence < 0.8
    assert bindings(paths, "keys") == {"project": "projects.reponame", "username": "projects.username"}


def test_an_earlier_variable_is_taken_from_the_object_that_it_names() -> None:
    record = obj(id="string", slug="string", project=obj(id="string", slug="string"))
    paths = {
        "/orgs": get(array(THING)),
        "/orgs/{org}/monitors": get(array(record), variable("org")),
        "/projects/{org}/{project_id_or_slug}/monitors/{monitor_id}/checks": get(array(obj(at="string"))),
    }
    assert bindings(paths, "checks") == {"monitor_id": "monitors.id", "project_id_or_slug": "monitors.project.id"}


def test_what_a_query_demands_besides_is_not_any_field_of_that_name() -> None:
    paths = {
        "/carts": get(array(obj(id="string", country="string"))),
        "/methods": get(array(THING), query("cartId", required=True), query("country", required=True)),
    }
    found = blueprint(FILLER | paths)
    assert [(each.name, each.streams, each.opens) for each in found.parameters] == [("country", ("methods",), True)]
    assert bindings(paths, "methods") == {"cartId": "carts.id"}


def test_a_type_that_disagrees_makes_unsure() -> None:
    def confidence(kind: str) -> float:
        param = {**variable("project_id"), "schema": {"type": kind}}
        paths = {"/projects": get(array(THING)), "/x/{project_id}/tasks": get(array(THING), param)}
        return parent(paths, "tasks").confidence

    assert confidence("integer") < 0.8 <= confidence("string")


def test_a_number_is_never_a_name() -> None:
    param = {**variable("project_id"), "schema": {"type": "integer"}}
    paths = {
        "/projects": get(array(obj(name="string", note="string"))),
        "/projects/{project_id}/tasks": get(array(THING), param),
    }
    assert asked(paths) == {"tasks": "project_id"}


def test_a_noun_in_one_word_is_that_in_two_where_it_stands_before_the_variable() -> None:
    paths = {
        "/issuetype": get(array(THING)),
        "/meta/issuetypes": get(obj(issueTypes=array(THING))),
        "/issuetype/{issueTypeId}/properties": get(array(obj(key="string")), variable("issueTypeId")),
    }
    assert bindings(paths, "properties") == {"issueTypeId": "issuetypes.id"}


def test_the_whole_phrase_of_a_description_counts() -> None:
    """A field configuration is no field, however it is spelled."""
    param = described("id", "The ID of the field configuration.")
    paths = {
        "/field": get(array(THING)),
        "/fieldconfiguration": get(array(THING)),
        "/x/{id}/items": get(array(obj(a="string")), param),
    }
    assert bindings(paths, "items") == {"id": "fieldconfigurations.id"}


# --- arguments of methods --------------------------------------------------------------------------


def test_a_method_call_takes_its_argument_from_the_list_it_names() -> None:
    channel = query("channel", description="Conversation ID to fetch history for.")
    ts = query("ts", description="Unique identifier of a thread's parent message.")
    message = obj(messages=array(obj(ts="string", text="string")))
    paths = {
        "/conversations.list": get(obj(channels=array(THING))),
        "/conversations.history": get(message, channel),
        "/conversations.replies": get(message, channel, ts),
        "/files.list": get(obj(files=array(THING)), query("channel", description="Channel ID to filter by")),
        "/pings.log": get(array(THING), query("probe", description="Probe ID to read")),
    }
    found = blueprint(FILLER | paths)
    history, replies = named(found, "histories"), named(found, "replies")
    assert bindings(paths, "histories") == {"channel": "conversations.id"}
    assert history.request.value.query == {"channel": "{channel}"}
    assert bindings(paths, "replies") == {"ts": "histories.ts"}
    assert replies.request.value.query == {"channel": "{channel}", "ts": "{ts}"}
    assert named(found, "files").parent.value is None, "a list filters by what it may leave out"
    assert named(found, "logs").parent.value is None, "an argument that no list supplies stays optional"


# --- the config ------------------------------------------------------------------------------------


def test_a_variable_of_the_config_is_one_that_much_is_reached_from() -> None:
    """Few paths name the member, but all else hangs on the boards that only a member has."""
    below = {f"/boards/{{board_id}}/{name}s": get(array(THING), variable("board_id")) for name in "abcdefgh"}
    paths = {"/members/{member_id}/boards": get(array(THING), variable("member_id")), **below}
    found = blueprint(paths)
    assert [parameter.name for parameter in found.parameters] == ["member_id"]
    assert all(stream.parent.value is not None for stream in found.streams if stream.name != "boards")


def test_of_hundreds_of_lists_of_one_noun_the_plain_one_is_found() -> None:
    nested = {
        f"/a{number}/items/{{item_id}}/items": get(array(THING), variable("item_id")) for number in range(300)
    }
    found = blueprint({**nested, "/items": get(array(THING))})
    assert {stream.parent.value.stream for stream in found.streams if stream.parent.value} == {"items"}
    assert len(found.streams) == 301
