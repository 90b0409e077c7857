"""Where simulated API and blueprint disagree: what is stated stands, guess against guess is a named gap."""

from __future__ import annotations

from typing import Any

import pytest

from contracts.blueprint import ApiBlueprint, Binding, Parameter, Parent
from contracts.reports import Outcome
from contracts.simulation import (
    Endpoint,
    Ground,
    PathBinding,
    Position,
    Records,
    Signal,
    SimulatedApi,
    Source,
    TimeField,
    TimeFilter,
)
from services.tester.agreement import agree
from services.tester.conformance.binding import endpoints_of
from services.tester.work import Package, knowledge_of
from tests.support.blueprints import PAGINATIONS, UPDATED_SINCE, blueprint, child, stream

KEY = "GET /things"


def endpoint(path: str = "/things", stated: tuple[str, ...] = (), **changes: Any) -> Endpoint:
    subjects = ("records", "paging", "identity", "times", "filters", "parents")
    grounds = tuple(Ground(subject=s, stated=s in stated, confidence=0.6) for s in subjects)  # type: ignore[arg-type]
    given = {
        "key": f"GET {path}",
        "path": path,
        "records": Records(path=("data",), json_schema={"type": "object"}),
        "grounds": grounds,
        **changes,
    }
    return Endpoint.model_validate(given)


def agreed(known: ApiBlueprint, one: Endpoint) -> tuple[Endpoint, list[str]]:
    api, gaps = agree(SimulatedApi(title="x", endpoints={one.key: one}), known, {}, {"things": one.key})
    assert all(gap.outcome is Outcome.SKIPPED for gap in gaps)
    return api.endpoints[one.key], [gap.id for gap in gaps]


@pytest.mark.parametrize("kind", [kind for kind in PAGINATIONS if kind != "none"])
def test_assumed_paging_follows_the_blueprint(kind):
    known = blueprint(stream("things", pagination=PAGINATIONS[kind]))
    changed, gaps = agreed(known, endpoint())
    assert gaps == ["agreement/things/paging"]
    assert changed.position.kind != "none"
    again, no_gaps = agreed(known, changed)
    assert (again, no_gaps) == (changed, [])


def test_stated_paging_stands():
    one = endpoint(stated=("paging", "identity"))
    assert agreed(blueprint(stream("things", pagination=PAGINATIONS["page"])), one) == (one, [])


def test_paging_that_the_server_understands_stands():
    one = endpoint(
        stated=("identity",),
        position=Position(kind="cursor", param="after"),
        also=(Position(kind="page", param="page", first=1),),
        signals=(Signal(kind="next_cursor", path=("x",)),),
    )
    assert agreed(blueprint(stream("things", pagination=PAGINATIONS["page"])), one) == (one, [])


def test_a_less_certain_blueprint_does_not_outweigh_the_server():
    known = blueprint(stream("things", pagination=PAGINATIONS["page"]))
    unsure = known.streams[0].pagination.model_copy(update={"confidence": 0.3})
    known = known.model_copy(update={"streams": (known.streams[0].model_copy(update={"pagination": unsure}),)})
    _, gaps = agreed(known, endpoint())
    assert gaps == []


def test_assumed_place_of_the_records_follows_the_blueprint():
    one = endpoint(records=Records(path=("rows",), json_schema={}), envelope={"rows": []})
    changed, gaps = agreed(blueprint(stream("things")), one)
    assert gaps == ["agreement/things/records"]
    assert (changed.records.path, changed.envelope) == (("data",), None)


@pytest.mark.parametrize(("stated", "form"), [((), "epoch_ms"), (("times",), "epoch_s")])
def test_numbers_that_nobody_calls_seconds_are_what_the_blueprint_takes_them_for(stated, form):
    cursor = UPDATED_SINCE.model_copy(update={"field_format": "epoch_ms"})
    times = (TimeField(path=("updated_at",), format="epoch_s"), TimeField(path=("created_at",)))
    records = Records(path=("data",), json_schema={"type": "object"}, times=times)
    changed, _ = agreed(blueprint(stream("things", cursor=cursor)), endpoint(records=records, stated=stated))
    assert changed.records.times == (TimeField(path=("updated_at",), format=form), times[1])


def test_a_key_is_made_unique_and_a_cursor_field_a_time():
    changed, _ = agreed(blueprint(stream("things", cursor=UPDATED_SINCE)), endpoint())
    assert changed.records.identity == (("id",),)
    assert changed.records.times == (TimeField(path=("updated_at",)),)


@pytest.mark.parametrize(("stated", "field"), [((), "updated_at"), (("filters",), "created_at")])
def test_a_filter_whose_field_nobody_states_goes_by_the_cursor(stated, field):
    filters = (
        TimeFilter(param="updated_since", field=("created_at",), op="gte"),
        TimeFilter(param="updated_until", field=("created_at",), op="lte"),
    )
    one = endpoint(filters=filters, stated=stated)
    changed, gaps = agreed(blueprint(stream("things", cursor=UPDATED_SINCE)), one)
    assert {each.field for each in changed.filters} == {(field,)}
    assert ("agreement/things/filters" in gaps) == (not stated)


def test_a_cursor_field_is_no_identity():
    records = Records(path=("data",), json_schema={}, identity=(("updated_at",), ("id",)))
    changed, _ = agreed(blueprint(stream("things", cursor=UPDATED_SINCE)), endpoint(records=records))
    assert changed.records.identity == (("id",),)


def test_a_path_variable_that_the_config_fills_needs_no_parent():
    source = Source(endpoint="GET /orgs", field=("id",))
    one = endpoint("/orgs/{org}/things", bindings=(PathBinding(variable="org", sources=(source,)),))
    parameter = Parameter(name="org_id", location="path", target="org")
    known = blueprint(stream("things", path="/orgs/{org}/things"), parameters=(parameter,))
    changed, gaps = agreed(known, one)
    assert (changed.bindings, gaps) == ((), ["agreement/things/parents"])


def bound_to(one: Endpoint) -> dict[str, list[Source]]:
    return {binding.variable: list(binding.sources) for binding in one.bindings}


def nested(*bindings: PathBinding) -> tuple[ApiBlueprint, dict[str, Endpoint]]:
    """Orgs, their devices, and the apps of a device, whose path names both of them."""
    known = blueprint(
        stream("orgs"),
        child("devices", "orgs", "/orgs/{org}/devices", "org"),
        child("apps", "devices", "/orgs/{org}/devices/{device}/apps", "device"),
    )
    devices = endpoint("/orgs/{org}/devices")
    apps = endpoint("/orgs/{org}/devices/{device}/apps", bindings=bindings)
    return known, {one.key: one for one in (endpoint("/orgs"), devices, apps)}


def apps_of(known: ApiBlueprint, endpoints: dict[str, Endpoint]) -> Endpoint:
    streams = dict(zip(("orgs", "devices", "apps"), endpoints, strict=True))
    api, _ = agree(SimulatedApi(title="x", endpoints=endpoints), known, {}, streams)
    return api.endpoints[streams["apps"]]


def test_a_parent_that_the_server_does_not_know_is_the_blueprints_with_all_that_comes_along():
    devices = Source(endpoint="GET /orgs/{org}/devices", field=("id",), shared={"org": "org"})
    assert bound_to(apps_of(*nested())) == {
        "device": [devices],
        "org": [Source(endpoint="GET /orgs", field=("id",))],
    }


def test_a_parent_assumed_to_be_independent_of_its_own_is_not():
    loose = PathBinding(variable="device", sources=(Source(endpoint="GET /orgs/{org}/devices", field=("id",)),))
    assert bound_to(apps_of(*nested(loose)))["device"][0].shared == {"org": "org"}


def test_of_two_variables_from_one_record_only_one_is_bound():
    known = blueprint(
        stream("devices"),
        stream(
            "apps",
            path="/nets/{net}/devices/{device}/apps",
            parent=Parent(
                stream="devices",
                bindings=(Binding(variable="device", field=("id",)), Binding(variable="net", field=("net",))),
            ),
        ),
    )
    apps = endpoint("/nets/{net}/devices/{device}/apps")
    endpoints = {one.key: one for one in (endpoint("/devices"), apps)}
    api, gaps = agree(
        SimulatedApi(title="x", endpoints=endpoints), known, {}, {"devices": "GET /devices", "apps": apps.key}
    )
    source = Source(endpoint="GET /devices", field=("id",), also={"net": ("net",)})
    assert bound_to(api.endpoints[apps.key]) == {"device": [source]}
    assert "agreement/apps/parents" in [gap.id for gap in gaps]


def test_the_fields_of_a_composite_key_are_there_unless_they_may_be_null() -> None:
    names = {"id": {"type": "string"}, "label": {"type": ["string", "null"]}}
    schema = {"type": "object", "properties": {"owner": {"type": "object", "properties": names}}}
    one = endpoint(stated=("identity",), records=Records(path=("data",), json_schema=schema))
    changed, gaps = agreed(blueprint(stream("things", primary_key=(("owner", "id"), ("owner", "label")))), one)
    owner = changed.records.json_schema["properties"]["owner"]
    assert (changed.records.json_schema["required"], owner["required"]) == (["owner"], ["id", "label"])
    assert (owner["properties"], gaps) == (names, [])


def test_of_several_names_of_a_record_the_blueprints_comes_first_and_is_no_gap():
    by_uuid, by_id = (Source(endpoint="GET /orgs", field=(name,)) for name in ("uuid", "id"))
    devices = endpoint("/orgs/{org}/devices", bindings=(PathBinding(variable="org", sources=(by_uuid, by_id)),))
    known = blueprint(stream("orgs"), child("devices", "orgs", "/orgs/{org}/devices", "org"))
    endpoints = {one.key: one for one in (endpoint("/orgs"), devices)}
    streams = dict(zip(("orgs", "devices"), endpoints, strict=True))
    api, gaps = agree(SimulatedApi(title="x", endpoints=endpoints), known, {}, streams)
    assert bound_to(api.endpoints[devices.key]) == {"org": [by_id, by_uuid]}
    assert "agreement/devices/parents" not in [gap.id for gap in gaps]


def test_a_value_in_a_path_stands_for_a_variable_that_is_anybodys_to_choose() -> None:
    bound = PathBinding(variable="id", sources=(Source(endpoint="GET /boards", field=("id",)),))
    cards = endpoint("/boards/{id}/cards/{filter}", bindings=(bound,))
    api = SimulatedApi(title="x", endpoints={one.key: one for one in (endpoint("/boards"), cards)})
    known = blueprint(
        stream("boards"),
        child("cards", "boards", "/boards/{id}/cards/all", "id"),
        stream("mine", path="/boards/me/cards/all"),
    )
    endpoints = endpoints_of(known, {}, api)
    assert endpoints == {"boards": "GET /boards", "cards": cards.key}, "a board is none of anybody's choice"
    changed, _ = agree(api, known, {}, endpoints)
    assert changed.endpoints[cards.key].path == "/boards/{id}/cards/all"
    assert [binding.variable for binding in changed.endpoints[cards.key].bindings] == ["id"]


def test_a_variable_that_the_blueprint_calls_otherwise_is_the_one_in_its_place() -> None:
    """``/tags/{id}/campaigns`` above ``/campaigns/{id}/notes``: two ids, of which the blueprint renames one."""
    by_tag = Source(endpoint="GET /tags/{id}/campaigns", field=("id",))
    by_list = Source(endpoint="GET /campaigns", field=("id",))
    notes = endpoint("/campaigns/{id}/notes", bindings=(PathBinding(variable="id", sources=(by_list, by_tag)),))
    campaigns = endpoint(
        "/tags/{id}/campaigns",
        bindings=(PathBinding(variable="id", sources=(Source(endpoint="GET /tags", field=("id",)),)),),
    )
    api = SimulatedApi(
        title="x", endpoints={e.key: e for e in (endpoint("/tags"), endpoint("/campaigns"), campaigns, notes)}
    )
    known = blueprint(
        stream("tags"),
        child("campaigns", "tags", "/tags/{id}/campaigns", "id"),
        child("notes", "campaigns", "/campaigns/{campaign_id}/notes", "campaign_id"),
    )
    package = Package({}, api, known)
    changed, knowledge, _ = knowledge_of(package)
    assert knowledge.parents["notes"] == {"id": "campaigns"}
    (binding,) = changed.endpoints[notes.key].bindings
    assert binding.sources[0].endpoint == by_tag.endpoint
