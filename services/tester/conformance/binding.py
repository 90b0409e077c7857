"""Which stream reads which endpoint of the simulated API, and what kinds of streams there are. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from contracts.blueprint import ApiBlueprint, Choices, Stream, option_key
from contracts.simulation import Endpoint, SimulatedApi

_VARIABLE = re.compile(r"\{[^{}]+\}")
_WORDS_ONLY = frozenset({"count", "page", "offset", "size"})
"""What a response repeats of the request, which tells nobody where to go on."""

_NAME = re.compile(r"\{([^{}]+)\}")


@dataclass(frozen=True)
class Bound:
    """A stream of the catalog that the kit can judge.

    ``depth`` is 0 where the path names no parent; ``via`` names the endpoint that each path variable is read from
    (see `Simulator.rows`). ``query_parents`` are endpoints whose records are named in the query, by this stream or
    one above it: the simulated API does not tell such requests apart, so there may be only one such record.
    ``reads_first``: endpoints of all streams that the connector is known to read before this one. ``paging``: how
    the connector is known to page, where the API may offer more ways than one.
    """

    name: str
    catalog: dict[str, Any]
    endpoint: Endpoint
    depth: int
    via: Mapping[str, str] = field(default_factory=dict)
    query_parents: frozenset[str] = frozenset()
    reads_first: frozenset[str] = frozenset()
    paging: tuple[str, ...] = ()

    @property
    def group(self) -> tuple[int, bool]:
        """Streams of one group can be read in one run, without the size of one spoiling that of another."""
        return self.depth, bool(self.query_parents)

    @property
    def flat(self) -> bool:
        return self.group == (0, False)

    @property
    def incremental(self) -> bool:
        return "incremental" in self.catalog.get("supported_sync_modes", ())

    @property
    def filtered(self) -> bool:
        """The API can be asked for what is newer than a time of day (a day holds all simulated records)."""
        return any(each.op in ("gte", "gt") and each.format != "date" for each in self.endpoint.filters)

    @property
    def shape(self) -> tuple[object, ...]:
        """Streams of one shape run through the same code of the connector: how their pages are asked for and
        announced, whether they are incremental, how they hang on parents, whether their records are plain values.
        All are let in the same way."""
        position = self.endpoint.position
        signals = tuple(sorted({s.kind for s in self.endpoint.signals} - _WORDS_ONLY))
        told = () if position.kind == "none" else self.paging or signals
        return (
            position.kind,
            position.location,
            told,
            self.incremental,
            min(self.depth, 2),
            bool(self.query_parents),
            self.endpoint.method,
            bool(self.endpoint.records.field),
        )


@dataclass(frozen=True)
class Bindings:
    """``unbound``: stream -> why the kit cannot judge it."""

    bound: tuple[Bound, ...]
    unbound: Mapping[str, str]

    def one_of_each_shape(self) -> list[Bound]:
        """The first stream of each shape, those without parents first."""
        found: dict[tuple[object, ...], Bound] = {}
        for one in sorted(self.bound, key=lambda each: each.group):
            found.setdefault(one.shape, one)
        return list(found.values())


def endpoints_of(blueprint: ApiBlueprint, choices: Choices, api: SimulatedApi) -> dict[str, str]:
    """Stream -> endpoint key, by the request that the blueprint (with these choices) makes. A request may have a
    value where the endpoint has a variable that is anybody's to choose (``/cards/all``)."""
    by_shape = {_shape(endpoint.method, endpoint.path): key for key, endpoint in api.endpoints.items()}
    found = {}
    for stream in blueprint.streams:
        request = _taken(stream, "request", choices)
        shape = _shape(request.method, "/" + request.path.partition("?")[0].lstrip("/"))
        key = by_shape.get(shape) or next((k for k, e in api.endpoints.items() if _filled(e, shape)), None)
        if key is not None:
            found[stream.name] = key
    return found


def path_values_of(
    blueprint: ApiBlueprint, choices: Choices, api: SimulatedApi, endpoints: Mapping[str, str]
) -> dict[str, dict[str, str]]:
    """Endpoint key -> path variable -> the value that the blueprint's request always has there."""
    found = {}
    for stream in blueprint.streams:
        request = _taken(stream, "request", choices)
        endpoint = api.endpoints.get(endpoints.get(stream.name, ""))
        shape = _shape(request.method, "/" + request.path.partition("?")[0].lstrip("/"))
        if endpoint is not None and (values := _filled(endpoint, shape)):
            found[endpoint.key] = values
    return found


def _filled(endpoint: Endpoint, shape: str) -> dict[str, str]:
    """The values that a request of this shape has for free variables of the endpoint's path, if it is a request to
    it at all."""
    bound = {binding.variable for binding in endpoint.bindings}
    theirs, ours = f"{endpoint.method} {endpoint.path.rstrip('/')}".split("/"), shape.split("/")
    values = {}
    for template, part in zip(theirs, ours, strict=False):
        name = _NAME.fullmatch(template)
        if name is not None and "{" not in part and name[1] not in bound:
            values[name[1]] = part
        elif _VARIABLE.sub("{}", template) != part:
            return {}
    return values if len(theirs) == len(ours) else {}


def grouped(streams: Iterable[Bound]) -> list[list[Bound]]:
    """By `Bound.group`, those without parents first."""
    groups: dict[tuple[int, bool], list[Bound]] = {}
    for one in sorted(streams, key=lambda each: each.group):
        groups.setdefault(one.group, []).append(one)
    return list(groups.values())


def parents_of(blueprint: ApiBlueprint, choices: Choices) -> dict[str, dict[str, str]]:
    """Stream -> variable of its request -> the stream that it is read from."""
    found = {}
    for stream in blueprint.streams:
        parent = _taken(stream, "parent", choices)
        if parent is not None:
            found[stream.name] = {binding.variable: parent.stream for binding in parent.bindings}
    return found


def renames_of(
    blueprint: ApiBlueprint, choices: Choices, api: SimulatedApi, endpoints: Mapping[str, str]
) -> dict[str, dict[str, str]]:
    """Stream -> the blueprint's name of a path variable -> the simulated API's, where they differ: of a parent's
    ``{id}`` and a child's that is another, the blueprint calls one by another name."""
    found = {}
    for stream in blueprint.streams:
        endpoint = api.endpoints.get(endpoints.get(stream.name, ""))
        ours = _NAME.findall(_taken(stream, "request", choices).path)
        theirs = _NAME.findall(endpoint.path) if endpoint is not None else []
        names = {mine: name for mine, name in zip(ours, theirs, strict=False) if mine != name}
        if names and len(ours) == len(theirs):
            found[stream.name] = names
    return found


def with_names(
    parents: Mapping[str, Mapping[str, str]], renames: Mapping[str, Mapping[str, str]]
) -> dict[str, dict[str, str]]:
    """``parents`` with the simulated API's names of path variables."""
    return {
        stream: {renames.get(stream, {}).get(variable, variable): parent for variable, parent in of.items()}
        for stream, of in parents.items()
    }


def paging_of(blueprint: ApiBlueprint, choices: Choices) -> dict[str, tuple[str, ...]]:
    """Stream -> how it pages: the kind, and what it goes by besides."""
    found = {}
    for stream in blueprint.streams:
        pagination = _taken(stream, "pagination", choices)
        found[stream.name] = (pagination.kind, *sorted(pagination.model_dump(exclude_defaults=True)))
    return found


def bind(
    catalog: Iterable[dict[str, Any]],
    api: SimulatedApi,
    endpoints: Mapping[str, str],
    parents: Mapping[str, Mapping[str, str]] | None = None,
    paging: Mapping[str, tuple[str, ...]] | None = None,
) -> Bindings:
    """Put the catalog's streams and the API's endpoints together."""
    parents, paging = parents or {}, paging or {}
    bound, unbound = [], {}
    for stream in catalog:
        name = stream["name"]
        endpoint = api.endpoints.get(endpoints.get(name, ""))
        if endpoint is None:
            unbound[name] = "the simulated API, made from the document, has no endpoint like the stream's request"
            continue
        in_path = set(_NAME.findall(endpoint.path))
        via = {
            variable: endpoints[parent]
            for variable, parent in parents.get(name, {}).items()
            if parent in endpoints and variable in in_path
        }
        above = _above(name, parents)
        in_query = frozenset().union(*(_named_in_query(each, api, endpoints, parents) for each in (name, *above)))
        first = frozenset(endpoints[each] for each in above if each in endpoints)
        bound.append(
            Bound(name, stream, endpoint, depth_of(endpoint, api), via, in_query, first, paging.get(name, ()))
        )
    return Bindings(tuple(bound), unbound)


def _named_in_query(
    stream: str, api: SimulatedApi, endpoints: Mapping[str, str], parents: Mapping[str, Mapping[str, str]]
) -> frozenset[str]:
    """Endpoints of the parents that a stream's request names elsewhere than in its path."""
    endpoint = api.endpoints.get(endpoints.get(stream, ""))
    in_path = set(_NAME.findall(endpoint.path)) if endpoint else set()
    found = (parent for variable, parent in parents.get(stream, {}).items() if variable not in in_path)
    return frozenset(endpoints[parent] for parent in found if parent in endpoints)


def _above(stream: str, parents: Mapping[str, Mapping[str, str]]) -> set[str]:
    """The parent streams of a stream, all the way up."""
    found: set[str] = set()
    waiting = list(parents.get(stream, {}).values())
    while waiting:
        parent = waiting.pop()
        if parent not in found:
            found.add(parent)
            waiting += parents.get(parent, {}).values()
    return found - {stream}


def depth_of(endpoint: Endpoint, api: SimulatedApi, seen: frozenset[str] = frozenset()) -> int:
    """How many levels of parents there are above an endpoint."""
    above = [
        1 + depth_of(api.endpoints[binding.sources[0].endpoint], api, seen | {endpoint.key})
        for binding in endpoint.bindings
        if binding.sources[0].endpoint in api.endpoints and binding.sources[0].endpoint not in seen | {endpoint.key}
    ]
    return max(above, default=0)


def ancestors(endpoint: Endpoint, api: SimulatedApi) -> set[str]:
    """Keys of all endpoints whose records are needed to read this one."""
    return ancestors_among(endpoint, api.endpoints)


def ancestors_among(endpoint: Endpoint, endpoints: Mapping[str, Endpoint]) -> set[str]:
    found: set[str] = set()
    waiting = [source.endpoint for binding in endpoint.bindings for source in binding.sources]
    while waiting:
        key = waiting.pop()
        if key not in found and key in endpoints:
            found.add(key)
            waiting += [source.endpoint for binding in endpoints[key].bindings for source in binding.sources]
    return found


def _taken(stream: Stream, field_name: str, choices: Choices) -> Any:
    decision = getattr(stream, field_name)
    rank = choices.get(option_key(stream.name, field_name), 0)
    return decision.chosen(rank) if rank < len(decision.options) else decision.value


def _shape(method: str, path: str) -> str:
    return f"{method} {_VARIABLE.sub('{}', path.rstrip('/'))}"
