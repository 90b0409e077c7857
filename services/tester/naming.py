"""Gives path variables that the config fills names of their own, and such that always have one value that. Pure.

``{id}`` may be the config's ``block_id`` in one path, its ``database_id`` in another, and a parent's record in a
third. The simulated API knows variables by name, so the kit could not say which value belongs where. A variable
that the connector fills from its config becomes ``{config.block_id}``; one that the simulated API would have looked
for among a parent's records is then free, as it is for the user.
"""

from __future__ import annotations

from collections.abc import Mapping

from contracts.blueprint import ApiBlueprint
from contracts.simulation import Endpoint, PathBinding, SimulatedApi, Source
from infra.runtime.simulator.population import variables_of

PREFIX = "config."
Names = Mapping[str, str]


def configured(
    blueprint: ApiBlueprint, parents: Mapping[str, Mapping[str, str]], endpoints: Mapping[str, str]
) -> dict[str, dict[str, str]]:
    """Endpoint key -> path variable -> the config's field that fills it.

    Args:
        parents: stream -> variable -> parent stream: what a parent gives does not come from the config.
        endpoints: stream -> endpoint key.
    """
    found: dict[str, dict[str, str]] = {}
    for parameter in blueprint.parameters:
        for stream in blueprint.streams if parameter.location == "path" else ():
            asked = not parameter.streams or stream.name in parameter.streams
            if asked and stream.name in endpoints and parameter.target not in parents.get(stream.name, ()):
                found.setdefault(endpoints[stream.name], {})[parameter.target] = parameter.name
    return found


def renamed(
    api: SimulatedApi, fields: Mapping[str, Mapping[str, str]]
) -> tuple[SimulatedApi, dict[str, list[str]]]:
    """The API with these variables renamed, and per endpoint which of them had been bound to a parent that the
    document only suggests. Where it states the parent, the variable stays."""
    names: dict[str, dict[str, str]] = {}
    freed: dict[str, list[str]] = {}
    for key, chosen in fields.items():
        endpoint = api.endpoints[key]
        bound = {binding.variable for binding in endpoint.bindings}
        stated = bound if endpoint.ground("parents").stated else set()
        own = {v: f"{PREFIX}{chosen[v]}" for v in variables_of(endpoint.path) if v in chosen and v not in stated}
        names[key] = own
        if suggested := sorted(bound & own.keys()):
            freed[key] = suggested
    endpoints = {key: _renamed(endpoint, names) for key, endpoint in api.endpoints.items()}
    return api.model_copy(update={"endpoints": endpoints}), freed


def with_path_values(api: SimulatedApi, values: Mapping[str, Mapping[str, str]]) -> SimulatedApi:
    """The API with values in place of path variables (endpoint key -> variable -> value)."""

    def source(one: Source) -> Source:
        given = values.get(one.endpoint, {})
        return one.model_copy(
            update={"shared": {there: here for there, here in one.shared.items() if there not in given}}
        )

    def endpoint(one: Endpoint) -> Endpoint:
        path = one.path
        for variable, value in values.get(one.key, {}).items():
            path = path.replace(f"{{{variable}}}", value)
        bindings = (b.model_copy(update={"sources": tuple(map(source, b.sources))}) for b in one.bindings)
        return one.model_copy(update={"path": path, "bindings": tuple(bindings)})

    return (
        api.model_copy(update={"endpoints": {key: endpoint(one) for key, one in api.endpoints.items()}})
        if values
        else api
    )


def fields_of(fields: Mapping[str, Mapping[str, str]]) -> dict[str, str]:
    """The renamed variables -> the config's field that fills each."""
    return {f"{PREFIX}{field}": field for chosen in fields.values() for field in chosen.values()}


def _renamed(endpoint: Endpoint, names: Mapping[str, Names]) -> Endpoint:
    own = names.get(endpoint.key, {})
    path = endpoint.path
    for old, new in own.items():
        path = path.replace(f"{{{old}}}", f"{{{new}}}")
    bindings = tuple(_binding(b, own, names) for b in endpoint.bindings if b.variable not in own)
    return endpoint.model_copy(update={"path": path, "bindings": bindings})


def _binding(binding: PathBinding, own: Names, names: Mapping[str, Names]) -> PathBinding:
    """What parent and child share is called otherwise on either side."""

    def source(one: Source) -> Source:
        theirs = names.get(one.endpoint, {})
        shared = {theirs.get(there, there): own.get(here, here) for there, here in one.shared.items()}
        return one.model_copy(update={"shared": shared})

    return binding.model_copy(update={"sources": tuple(source(each) for each in binding.sources)})
