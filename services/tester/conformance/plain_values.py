"""What records of plain values call them. Pure.

A response that is ``["a", "b"]`` has no name for what it holds, and a record must have one: that is the connector's
to choose. Records are compared under the name that it chose.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from contracts.simulation import Endpoint, PathBinding, SimulatedApi, Source
from infra.runtime.simulator.population import variables_of


def values_in(
    catalog: Iterable[Mapping[str, Any]], api: SimulatedApi, endpoints: Mapping[str, str]
) -> dict[str, str]:
    """Endpoint key -> the name of its values in the catalog: that which the simulated API has, too, else the field
    that is the primary key, or the only one.

    Args:
        endpoints: stream -> endpoint key.
    """
    found = {}
    for stream in catalog:
        endpoint = api.endpoints.get(endpoints.get(stream["name"], ""))
        if endpoint is None or not endpoint.records.field:
            continue
        properties = (stream.get("json_schema") or {}).get("properties") or {}
        key = [path[-1] for path in stream.get("source_defined_primary_key") or ()]
        alone = next((names[0] for names in (key, list(properties)) if len(names) == 1), "")
        if endpoint.records.field not in properties and alone:
            found[endpoint.key] = alone
    return found


def with_values_named(api: SimulatedApi, names: Mapping[str, str]) -> SimulatedApi:
    """The API with the plain values of these endpoints (key -> name) called so; others stay as they are."""
    known = {key: endpoint.records.field for key, endpoint in api.endpoints.items()}
    changed = {key: name for key, name in names.items() if name and known.get(key) and known[key] != name}
    if not changed:
        return api
    endpoints = {key: _renamed(endpoint, changed) for key, endpoint in api.endpoints.items()}
    return api.model_copy(update={"endpoints": endpoints})


def with_parents_named(endpoint: Endpoint, beside: Mapping[str, str], path: str) -> Endpoint:
    """The endpoint, whose records of plain values hold what names their parents, as those of a connector do.

    Args:
        beside: name in the record -> variable of the connector's request.
        path: of that request; its variables may be called otherwise than here.
    """
    here = dict(zip(variables_of(path), variables_of(endpoint.path), strict=True))
    names = {here[variable]: name for name, variable in beside.items() if variable in here}
    bindings = tuple(
        each.model_copy(update={"record_field": (names[each.variable],)}) if each.variable in names else each
        for each in endpoint.bindings
    )
    told = {names[each.variable]: {"type": "string"} for each in endpoint.bindings if each.variable in names}
    if not told or not endpoint.records.field:
        return endpoint
    schema = endpoint.records.json_schema
    schema = {
        **schema,
        "properties": {**told, **schema["properties"]},
        "required": [*told, *schema.get("required", ())],
    }
    records = endpoint.records.model_copy(update={"json_schema": schema})
    return endpoint.model_copy(update={"records": records, "bindings": bindings})


def _renamed(endpoint: Endpoint, names: Mapping[str, str]) -> Endpoint:
    updates: dict[str, Any] = {"bindings": tuple(_bound(binding, names) for binding in endpoint.bindings)}
    if name := names.get(endpoint.key):
        records, place = endpoint.records, (name,)
        value = records.json_schema["properties"][records.field]
        others = {
            known: part for known, part in records.json_schema["properties"].items() if known != records.field
        }
        schema = {**records.json_schema, "properties": {**others, name: value}, "required": [*others, name]}
        positions = (endpoint.position, *endpoint.also)
        turned = [each.model_copy(update={"field": place}) if each.field else each for each in positions]
        updates |= {
            "records": records.model_copy(update={"field": name, "json_schema": schema, "identity": (place,)}),
            "position": turned[0],
            "also": tuple(turned[1:]),
        }
    return endpoint.model_copy(update=updates)


def _bound(binding: PathBinding, names: Mapping[str, str]) -> PathBinding:
    """What a list of plain values gives is the value."""

    def source(one: Source) -> Source:
        name = names.get(one.endpoint)
        return one if name is None else one.model_copy(update={"field": (name,)})

    return binding.model_copy(update={"sources": tuple(source(each) for each in binding.sources)})
