"""Where the simulated API and the blueprint disagree, and neither has the document on its side. Pure.

The simulated API is the judge, so what the document states of it stands. But where it only *assumes* something,
and the blueprint is at least as sure of something else, failing the connector would judge one guess by another.
Then the simulated endpoint follows the blueprint, and the report names the gap.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from contracts.blueprint import (
    ApiBlueprint,
    Binding,
    Candidate,
    Choices,
    Cursor,
    JsonPath,
    Parent,
    Selector,
    Stream,
    option_key,
)
from contracts.reports import Check, Outcome
from contracts.simulation import (
    Endpoint,
    Ground,
    PathBinding,
    SimulatedApi,
    Source,
    TimeField,
)
from infra.runtime.simulator.population import variables_of
from services.tester.conformance.binding import ancestors_among, parents_of, path_values_of, renames_of
from services.tester.conformance.plain_values import with_parents_named, with_values_named
from services.tester.naming import configured, renamed, with_path_values
from services.tester.paging import same_paging, with_paging

KIND = "agreement"
_EPOCHS = {"epoch_s", "epoch_ms"}
LEVELS = 4
"""Of parents, along which variables are handed down."""


def agree(
    api: SimulatedApi, blueprint: ApiBlueprint, choices: Choices, endpoints: Mapping[str, str]
) -> tuple[SimulatedApi, list[Check]]:
    """The API with those endpoints changed that only assumed, and a skipped check for each gap.

    Args:
        endpoints: stream -> key of its endpoint.
    """
    parents = parents_of(blueprint, choices)
    api = with_path_values(api, path_values_of(blueprint, choices, api, endpoints))
    api, freed = renamed(api, configured(blueprint, parents, endpoints))
    selectors = ((stream.name, _option(stream, "selector", choices).value) for stream in blueprint.streams)
    api = with_values_named(api, {endpoints[name]: each.field for name, each in selectors if name in endpoints})
    renames = renames_of(blueprint, choices, api, endpoints)
    changed = dict(api.endpoints)
    gaps: list[Check] = []
    for stream in blueprint.streams:
        key = endpoints.get(stream.name)
        if key is None:
            continue
        endpoint = changed[key]
        selector, pagination = _option(stream, "selector", choices), _option(stream, "pagination", choices)
        if not _same_place(endpoint, selector.value) and _outweighs(selector, endpoint.ground("records")):
            endpoint = _with_records_at(endpoint, selector.value)
            gaps.append(_gap(stream.name, "records", "where in the response the records are", endpoint))
        if not same_paging(endpoint, pagination.value) and _outweighs(pagination, endpoint.ground("paging")):
            endpoint = with_paging(endpoint, pagination.value)
            gaps.append(_gap(stream.name, "paging", f"how to page ({pagination.value.kind})", endpoint))
        if key in freed:
            gaps.append(_gap(stream.name, "parents", f"where {', '.join(freed[key])} is found", endpoint))
        parent = _named(_option(stream, "parent", choices), renames.get(stream.name, {}))
        nested = _with_parent(
            endpoint, parent.value, endpoints, changed, _outweighs(parent, endpoint.ground("parents"))
        )
        if nested is not endpoint:
            endpoint = nested
            gaps.append(_gap(stream.name, "parents", "whose records its path names", endpoint))
        endpoint = _as_read(endpoint, parent.value, endpoints)
        cursor = _option(stream, "cursor", choices)
        endpoint = _with_time(endpoint, cursor.value)
        filtered = _with_filter(endpoint, cursor.value)
        if filtered is not endpoint and _outweighs(cursor, endpoint.ground("filters")):
            endpoint = filtered
            gaps.append(_gap(stream.name, "filters", "which time a filter goes by", endpoint))
        changed[key] = _with_key(endpoint, _option(stream, "primary_key", choices).value)
    for _ in range(LEVELS):
        changed |= {key: _with_inherited(changed[key], changed) for key in endpoints.values()}
    for stream in blueprint.streams:
        beside = _option(stream, "selector", choices).value.beside
        if beside and (key := endpoints.get(stream.name)) is not None:
            changed[key] = with_parents_named(changed[key], beside, _option(stream, "request", choices).value.path)
    return api.model_copy(update={"endpoints": changed}), gaps


def _option(stream: Stream, field: str, choices: Choices) -> Candidate[Any]:
    decision = getattr(stream, field)
    rank = choices.get(option_key(stream.name, field), 0)
    found: Candidate[Any] = decision.options[min(rank, len(decision.options) - 1)]
    return found


def _named(parent: Candidate[Any], renames: Mapping[str, str]) -> Candidate[Any]:
    """The parent, its bindings with the simulated API's names of the variables."""
    if parent.value is None or not renames:
        return parent
    bindings = (
        b.model_copy(update={"variable": renames.get(b.variable, b.variable)}) for b in parent.value.bindings
    )
    return parent.model_copy(update={"value": parent.value.model_copy(update={"bindings": tuple(bindings)})})


def _outweighs(candidate: Candidate[Any], ground: Ground) -> bool:
    return not ground.stated and candidate.confidence >= ground.confidence


def _gap(stream: str, case: str, what: str, endpoint: Endpoint) -> Check:
    return Check(
        id=f"{KIND}/{stream}/{case}",
        kind=KIND,
        stream=stream,
        outcome=Outcome.SKIPPED,
        message=f"the document does not state {what}; {endpoint.key} is simulated as the blueprint has it",
    )


def _same_place(endpoint: Endpoint, selector: Selector) -> bool:
    records = endpoint.records
    return (records.path, records.shape, bool(records.field)) == (
        selector.path,
        selector.shape,
        bool(selector.field),
    )


def _with_records_at(endpoint: Endpoint, selector: Selector) -> Endpoint:
    records = endpoint.records.model_copy(update={"path": selector.path, "shape": selector.shape})
    return endpoint.model_copy(update={"records": records, "envelope": None})


def _with_key(endpoint: Endpoint, key: tuple[tuple[str, ...], ...] | None) -> Endpoint:
    """A key of one field that the document does not call unique is made so: no record may differ from another only
    by chance. All fields of a longer one are there, if they may be."""
    records = endpoint.records
    if key is not None and len(key) > 1:
        schema = records.json_schema
        for path in key:
            schema = _with_member(schema, path)
        return endpoint.model_copy(update={"records": records.model_copy(update={"json_schema": schema})})
    times = {time.path for time in records.times}
    if key is None or len(key) != 1 or key[0] in {*records.identity, *times} or endpoint.ground("identity").stated:
        return endpoint
    return endpoint.model_copy(
        update={"records": records.model_copy(update={"identity": (*records.identity, key[0])})}
    )


def _with_member(schema: dict[str, Any], path: JsonPath) -> dict[str, Any]:
    """The schema with the member at ``path``, where it has one, no longer optional."""
    members = schema.get("properties", {})
    if not path or path[0] not in members:
        return schema
    required = list(dict.fromkeys((*schema.get("required", ()), path[0])))
    return {
        **schema,
        "properties": {**members, path[0]: _with_member(members[path[0]], path[1:])},
        "required": required,
    }


def _with_time(endpoint: Endpoint, cursor: Cursor | None) -> Endpoint:
    """A cursor field that the document does not say holds times is simulated as one; numbers that it does not say
    are seconds or milliseconds are what the blueprint takes them for."""
    records = endpoint.records
    if cursor is None:
        return endpoint
    changes: dict[str, Any] = {}
    if cursor.field in records.identity and not endpoint.ground("identity").stated:
        changes["identity"] = tuple(path for path in records.identity if path != cursor.field)
    known = {time.path: time.format for time in records.times}
    unsure = cursor.field not in known or {known[cursor.field], cursor.field_format} == _EPOCHS
    if unsure and not endpoint.ground("times").stated:
        known[cursor.field] = cursor.field_format
        changes["times"] = tuple(TimeField(path=path, format=form) for path, form in known.items())
    return endpoint.model_copy(update={"records": records.model_copy(update=changes)}) if changes else endpoint


def _with_filter(endpoint: Endpoint, cursor: Cursor | None) -> Endpoint:
    """The filter that the connector sends goes by the field that it takes for its cursor."""
    sent = cursor.filter.param if cursor is not None and cursor.filter is not None else None
    fields = {each.field for each in endpoint.filters if each.param == sent}
    if cursor is None or not fields - {cursor.field}:
        return endpoint
    filters = tuple(
        each.model_copy(update={"field": cursor.field}) if each.field in fields else each
        for each in endpoint.filters
    )
    return endpoint.model_copy(update={"filters": filters})


def _with_parent(
    endpoint: Endpoint,
    parent: Parent | None,
    endpoints: Mapping[str, str],
    known: dict[str, Endpoint],
    outweighs: bool,
) -> Endpoint:
    """The path names records of the parent that the blueprint takes them from, if the simulated API has no opinion,
    or a weaker one. Makes what names them unique in ``known``, or two parents could not be told apart.

    Of several variables that one record gives only the last is bound, and the rest come along with it: bound on
    their own, the values of all records would be combined with each other.
    """
    source = known.get(endpoints.get(parent.stream, "")) if parent is not None else None
    if parent is None or source is None or endpoint.key in {source.key, *ancestors_among(source, known)}:
        return endpoint
    names = variables_of(endpoint.path)
    given = sorted((b for b in parent.bindings if b.variable in names), key=lambda b: names.index(b.variable))
    bindings = {binding.variable: binding for binding in endpoint.bindings}
    if not given:
        return endpoint
    last, there = given[-1], bindings.get(given[-1].variable)
    own = {binding.variable for binding in given}
    shared = {name: name for name in variables_of(source.path) if name in names and name not in own}
    wanted = Source(endpoint=source.key, field=last.field, shared=shared)
    if there is not None and (wanted in there.sources or not outweighs):
        same_record = any((each.endpoint, each.field) == (source.key, last.field) for each in there.sources)
        return _with_companions(endpoint, given, source.key) if same_record else endpoint
    made = PathBinding(
        variable=last.variable, sources=(wanted,), record_field=there.record_field if there else None
    )
    known[source.key] = _with_key(source, (last.field,))
    others = tuple(binding for binding in endpoint.bindings if binding.variable != last.variable)
    return _with_companions(endpoint.model_copy(update={"bindings": (*others, made)}), given, source.key)


def _as_read(endpoint: Endpoint, parent: Parent | None, endpoints: Mapping[str, str]) -> Endpoint:
    """Of several names that a record goes by, the one that the blueprint takes comes first: what is made from the
    simulated API without a connector at hand (the package's tests) asks as the connector will."""
    taken = {b.variable: (endpoints.get(parent.stream), b.field) for b in parent.bindings} if parent else {}

    def ordered(binding: PathBinding) -> PathBinding:
        wanted = taken.get(binding.variable)
        sources = sorted(binding.sources, key=lambda source: (source.endpoint, source.field) != wanted)
        return binding.model_copy(update={"sources": tuple(sources)})

    bindings = tuple(ordered(binding) for binding in endpoint.bindings)
    return endpoint if bindings == endpoint.bindings else endpoint.model_copy(update={"bindings": bindings})


def _with_companions(endpoint: Endpoint, given: Sequence[Binding], source: str) -> Endpoint:
    """All but the last of the variables that one record of ``source`` gives come along with the last."""
    also = {each.variable: each.field for each in given[:-1]}

    def with_also(binding: PathBinding) -> PathBinding:
        sources = tuple(
            each.model_copy(update={"also": also})
            if (each.endpoint, each.field) == (source, given[-1].field) and binding.variable == given[-1].variable
            else each
            for each in binding.sources
        )
        return binding.model_copy(update={"sources": sources})

    bindings = tuple(with_also(binding) for binding in endpoint.bindings if binding.variable not in also)
    return endpoint if bindings == endpoint.bindings else endpoint.model_copy(update={"bindings": bindings})


def _with_inherited(endpoint: Endpoint, known: Mapping[str, Endpoint]) -> Endpoint:
    """A variable that comes along with the parent is bound as it is there: it is not the caller's to choose."""
    inherited: dict[str, PathBinding | None] = {}
    for binding in endpoint.bindings:
        source = binding.sources[0]
        if source.endpoint in known:
            above = {each.variable: each for each in known[source.endpoint].bindings}
            inherited |= {mine: above.get(theirs) for theirs, mine in source.shared.items()}
    kept = tuple(binding for binding in endpoint.bindings if binding.variable not in inherited)
    more = tuple(
        PathBinding(variable=mine, sources=binding.sources) for mine, binding in inherited.items() if binding
    )
    if {b.variable: b.sources for b in (*kept, *more)} == {b.variable: b.sources for b in endpoint.bindings}:
        return endpoint
    return endpoint.model_copy(update={"bindings": (*kept, *more)})
