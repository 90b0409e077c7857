"""Document -> `ApiBlueprint`: the order in which the decisions are made. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from contracts.base import Slug
from contracts.blueprint import (
    ApiBlueprint,
    Candidate,
    Cursor,
    CursorPagination,
    Decision,
    Gap,
    NoPagination,
    Pagination,
    Parent,
    Request,
    Selector,
    Stream,
    option_key,
)
from contracts.errors import Permanent
from infra.runtime.documents import Document
from services.research.openapi.auth import find_auth
from services.research.openapi.base_url import find_base_url
from services.research.openapi.cursor import cursor_candidates
from services.research.openapi.details import DetailEndpoint, detail_endpoints
from services.research.openapi.endpoint import Endpoint, Param, endpoint_of
from services.research.openapi.names import detail_names, record_noun, stream_names
from services.research.openapi.openers import unasked
from services.research.openapi.pagination import pagination_candidates
from services.research.openapi.paging_habits import Habits, habits_of
from services.research.openapi.parameters import Demands, asked_at_once, config_parameters, demands, everything
from services.research.openapi.parents import Tree, grow
from services.research.openapi.places import Place, arguments, template_of
from services.research.openapi.plain_values import named_by_parents, plain_keys
from services.research.openapi.primary_key import (
    Detail,
    PrimaryKey,
    composite_candidates,
    map_candidates,
    primary_key_candidates,
)
from services.research.openapi.ranking import GUESS, candidate, decide
from services.research.openapi.rate_limit import find_rate_limit
from services.research.openapi.schema import schema_candidate
from services.research.openapi.selector import selector_candidates
from services.research.openapi.streams import ListEndpoint, list_endpoints, reads
from services.research.openapi.undeclared_auth import credential_names
from services.research.openapi.words import noun as word_noun

_SURE_KEY = 0.4
"""Below this a primary key is a guess: a named gap instead."""


@dataclass
class _Draft:
    """A stream while it is being described."""

    name: str
    listed: ListEndpoint
    noun: tuple[str, ...]
    selector: Decision[Selector]
    record: dict[str, Any]
    key: Decision[PrimaryKey | None]
    pagination: Decision[Pagination]
    cursor: Decision[Cursor | None]
    demands: Demands
    gaps: list[Gap]
    is_detail: bool = False

    @property
    def endpoint(self) -> Endpoint:
        return self.listed.endpoint


def infer(document: Document, *, name: Slug, document_url: str | None) -> ApiBlueprint:
    """Everything that the document says about reading the API.

    Raises:
        Permanent: it describes no list that could be read; the text counts why.
    """
    endpoints = _reading(document)
    secrets = credential_names(document, endpoints)
    listed, omitted = list_endpoints(_without(endpoint, secrets) for endpoint in endpoints)
    if not listed:
        raise Permanent(_nothing(endpoints, omitted), where=document.where)
    details = detail_endpoints(
        (_without(endpoint, secrets) for endpoint in endpoints),
        listed,
        lambda endpoint: _without(endpoint_of(document, endpoint.operation, in_full=True), secrets),
    )
    omitted = _still_omitted(omitted, details)
    access = find_auth(document, [entry.endpoint for entry in listed], endpoints, document_url)
    drafts = _drafts(document, endpoints, listed)
    drafts += _detail_drafts(details, drafts)
    drafts = _readable(drafts, omitted)
    places, asked = _places(drafts)
    tree = grow(places)
    drafts, places = _settled(drafts, places, tree, omitted)
    if not drafts:
        raise Permanent(_nothing(endpoints, omitted), where=document.where)
    where = find_base_url(document, document_url)
    present = {draft.name for draft in drafts}
    asked = {stream: params for stream, params in asked.items() if stream in present}
    taken = [parameter.name for parameter in where.parameters]
    parameters = config_parameters(asked, tree.constants, len(drafts), taken)
    streams = named_by_parents([_stream(draft, place) for draft, place in zip(drafts, places, strict=True)])
    dangling = [_dangling(reference) for reference in sorted(document.dangling)[:50]]
    return ApiBlueprint(
        name=name,
        title=document.title or name,
        description=document.description[:2000],
        api_version=document.version,
        document_url=document_url,
        base_url=where.decision,
        auth=access.decision,
        parameters=(*where.parameters, *parameters),
        rate_limit=find_rate_limit(document, endpoints),
        streams=tuple(streams),
        gaps=(*where.gaps, *access.gaps, *(gap for draft in drafts for gap in draft.gaps), *dangling),
        omitted=tuple(omitted),
    )


def _reading(document: Document) -> list[Endpoint]:
    """The operations that only read, with their responses; the others are not worth their costly part."""
    operations = [operation for operation in document.operations() if operation.method in ("get", "post")]
    rpc = all(operation.method == "post" for operation in operations)
    bare = (endpoint_of(document, operation, with_response=False) for operation in operations)
    found = (endpoint_of(document, endpoint.operation) for endpoint in bare if reads(endpoint, rpc=rpc))
    return [_of_everything(endpoint) for endpoint in found]


def _of_everything(endpoint: Endpoint) -> Endpoint:
    """The endpoint with the value in its path that holds all others: of ``/cards/{filter}`` the ``/cards/all``."""
    path = endpoint.path
    for param in endpoint.params:
        if param.location == "path" and (value := everything(param)) is not None:
            path = path.replace(f"{{{param.name}}}", value)
    return (
        endpoint if path == endpoint.path else replace(endpoint, operation=replace(endpoint.operation, path=path))
    )


def _without(endpoint: Endpoint, secrets: frozenset[tuple[str, str]]) -> Endpoint:
    """The endpoint without the parameters that authentication takes care of."""
    kept = tuple(param for param in endpoint.params if (param.location, param.name.lower()) not in secrets)
    return endpoint if len(kept) == len(endpoint.params) else replace(endpoint, params=kept)


def _still_omitted(omitted: list[Gap], details: list[DetailEndpoint]) -> list[Gap]:
    found = {detail.listed.endpoint.key for detail in details}
    return [gap for gap in omitted if gap.subject not in found]


def _nothing(endpoints: list[Endpoint], omitted: list[Gap]) -> str:
    reasons = Counter(gap.reason.split(":")[0].split("(")[0].strip() for gap in omitted)
    told = "; ".join(f"{count} times: {reason}" for reason, count in reasons.most_common(4))
    looked = f"{len(endpoints)} operations that read were looked at"
    return f"no list of records was found to make a stream of: {looked}" + (f" ({told})" if told else "")


def _dangling(reference: str) -> Gap:
    return Gap(subject="document", reason=f"the reference {reference[:200]!r} leads nowhere")


# --- one stream -----------------------------------------------------------------------------------


def _drafts(document: Document, endpoints: list[Endpoint], listed: list[ListEndpoint]) -> list[_Draft]:
    details = _details(endpoints)
    habits = habits_of(document.description, [entry.endpoint for entry in listed])
    names = stream_names([entry.endpoint for entry in listed], [entry.record_name for entry in listed])
    return [_draft(name, entry, details, habits) for name, entry in zip(names, listed, strict=True)]


def _draft(name: str, entry: ListEndpoint, details: Mapping[tuple[str, ...], Endpoint], habits: Habits) -> _Draft:
    selector = decide(selector_candidates(entry.endpoint, entry.found))
    record = entry.found[0].record if entry.found else {}
    path = selector.value.path
    endpoint, gaps = entry.endpoint, []
    noun = record_noun(endpoint, path[-1] if path else "")
    detail = details.get(template_of(endpoint.segments)) or details.get(endpoint.static_segments[-1:])
    if selector.value.field:
        keys = plain_keys(endpoint, selector.value)
    else:
        keys = primary_key_candidates(endpoint, record, noun, Detail.of(detail) if detail else None)
        keys += map_candidates(endpoint, record) if selector.value.shape == "map" else []
    best_key = max(keys, key=lambda option: option.confidence, default=None)
    if best_key is not None:
        keys += composite_candidates(endpoint, record, best_key, endpoint.variables)
    key = _key_decision(endpoint, keys)
    if key.value is None:
        gaps.append(_keyless(name, key))
    single = key.value[0] if key.value is not None and len(key.value) == 1 else None
    pagination = decide(pagination_candidates(endpoint, path, single, habits))
    if pagination.confidence < GUESS:
        reason = "paging is not described completely: the best guess is taken"
        gaps.append(Gap(subject=option_key(name, "pagination"), reason=reason, evidence=pagination.evidence))
    cursors, cursor_gap = cursor_candidates(endpoint, record, _paging_names(pagination.value))
    if cursor_gap is not None:
        gaps.append(cursor_gap.model_copy(update={"subject": option_key(name, "cursor")}))
    cursor = decide(cursors)
    handled = frozenset(
        (location, used.lower())
        for used in (*_paging_names(pagination.value), *_cursor_names(cursor.value))
        for location in ("query", "body", "header")
    )
    demanded = demands(endpoint, handled, _switches(endpoint, pagination.value))
    return _Draft(name, entry, noun, selector, record, key, pagination, cursor, demanded, gaps)


def _detail_drafts(details: list[DetailEndpoint], lists: list[_Draft]) -> list[_Draft]:
    """Streams of the records of ``lists`` in full: what identifies them there does so here."""
    summaries = {draft.endpoint.key: draft for draft in lists}
    pairs = [(detail.listed, summaries[detail.summary.endpoint.key]) for detail in details]
    names = detail_names(
        [_detail_stem(entry, summary) for entry, summary in pairs], {draft.name for draft in lists}
    )
    return [_detail_draft(name, entry, summary) for name, (entry, summary) in zip(names, pairs, strict=True)]


def _detail_stem(entry: ListEndpoint, summary: _Draft) -> str:
    """The list's name, if the endpoint is right below it, or what its own path calls the records."""
    below = template_of(entry.endpoint.segments[:-1]) == template_of(summary.endpoint.segments)
    return summary.name if below else "_".join(record_noun(entry.endpoint, ""))


def _detail_draft(name: str, entry: ListEndpoint, summary: _Draft) -> _Draft:
    endpoint, place = entry.endpoint, entry.found[0]
    known = place.record.get("properties", {})
    key = summary.key
    if key.value is None or any(path[0] not in known for path in key.value):
        key = _key_decision(endpoint, primary_key_candidates(endpoint, place.record, summary.noun, None))
    one: list[Candidate[Pagination]] = [candidate(NoPagination(), 0.75, endpoint.evidence("one record"))]
    unfiltered: list[Candidate[Cursor | None]] = [candidate(None, 0.9, endpoint.evidence("one record"))]
    gaps = [_keyless(name, key)] if key.value is None else []
    selector = decide(selector_candidates(endpoint, entry.found))
    demanded = demands(endpoint, frozenset())
    return _Draft(
        name,
        entry,
        summary.noun,
        selector,
        place.record,
        key,
        decide(one),
        decide(unfiltered),
        demanded,
        gaps,
        True,
    )


def _keyless(name: str, key: Decision[PrimaryKey | None]) -> Gap:
    reason = "no field is declared or named as the record's identity"
    return Gap(subject=option_key(name, "primary_key"), reason=reason, evidence=key.evidence)


def _key_decision(endpoint: Endpoint, keys: list[Candidate[PrimaryKey | None]]) -> Decision[PrimaryKey | None]:
    nothing: Candidate[PrimaryKey | None] = candidate(
        None, _SURE_KEY, endpoint.evidence("no field identifies a record")
    )
    return decide([*(key for key in keys), nothing])


def _details(endpoints: Iterable[Endpoint]) -> dict[tuple[str, ...], Endpoint]:
    """Template of a collection's path -> the endpoint of one of its records; also by the collection's segment
    alone, for lists of the same that are nested elsewhere (``/devices/{serial}``, ``/networks/{id}/devices``). Of
    several (``/orders/{id}``, ``/orders/{number}``) the one by id."""
    by_segment = {
        endpoint.static_segments[-1:]: endpoint
        for endpoint in endpoints
        if len(endpoint.segments) == 2 and endpoint.ends_with_variable and endpoint.static_segments
    }
    by_id_last = sorted(
        (endpoint for endpoint in endpoints if endpoint.ends_with_variable and endpoint.method == "get"),
        key=lambda endpoint: word_noun(endpoint.variables[-1])[-1:] == ("id",),
    )
    return by_segment | {template_of(endpoint.segments[:-1]): endpoint for endpoint in by_id_last}


def _paging_names(pagination: Pagination) -> frozenset[str]:
    size = getattr(pagination, "size", None)
    names = {getattr(pagination, "param", None), size.param if size else None}
    return frozenset(name for name in names if name)


def _cursor_names(cursor: Cursor | None) -> tuple[str, ...]:
    return (cursor.filter.param,) if cursor is not None and cursor.filter.template == "{value}" else ()


def _switches(endpoint: Endpoint, pagination: Pagination) -> list[str]:
    """Boolean parameters that turn the chosen way of paging on (``usemarker``)."""
    if not isinstance(pagination, CursorPagination):
        return []
    wanted = pagination.param.lower()
    return [
        param.name
        for param in endpoint.params
        if param.location == "query"
        and param.type == "boolean"
        and param.name.lower() in (f"use{wanted}", f"use_{wanted}")
    ]


# --- all streams together -------------------------------------------------------------------------


def _readable(drafts: list[_Draft], omitted: list[Gap]) -> list[_Draft]:
    """Leave out, with the reason, what demands something that cannot be supplied."""
    kept = []
    for draft in drafts:
        if draft.demands.impossible:
            omitted.append(_omission(draft, draft.demands.impossible))
        else:
            kept.append(draft)
    return kept


def _omission(draft: _Draft, reason: str) -> Gap:
    return Gap(subject=draft.endpoint.key, reason=reason, evidence=(draft.endpoint.evidence(""),))


def _places(drafts: list[_Draft]) -> tuple[list[Place], dict[str, tuple[Param, ...]]]:
    """Each stream's place to be found, and what the config is asked for instead, by stream."""
    users = Counter((param.location, param.name) for draft in drafts for param in draft.demands.open)
    places, asked = [], {}
    for draft in drafts:
        from_config = tuple(
            param
            for param in draft.demands.open
            if asked_at_once(param, users[param.location, param.name], len(drafts))
        )
        wanted = tuple(param for param in draft.demands.open if param not in from_config)
        asked[draft.name] = from_config
        places.append(
            Place(
                name=draft.name,
                path=draft.endpoint.path,
                pointer=draft.endpoint.operation.pointer,
                noun=draft.noun,
                record=draft.record,
                key=draft.key.value,
                also=word_noun(draft.listed.record_name),
                wanted=wanted,
                offered=arguments(draft.endpoint),
                leaf=draft.is_detail,
                unasked=unasked(draft.listed.confidence, wanted),
                described={param.name: param for param in draft.endpoint.params if param.location == "path"},
            )
        )
    return places, asked


def _settled(
    drafts: list[_Draft], places: list[Place], tree: Tree, omitted: list[Gap]
) -> tuple[list[_Draft], list[Place]]:
    kept_drafts, kept_places = [], []
    for draft, place in zip(drafts, places, strict=True):
        if place.name in tree.unresolved:
            omitted.append(_omission(draft, tree.unresolved[place.name]))
        else:
            kept_drafts.append(draft)
            kept_places.append(place)
    return kept_drafts, kept_places


def _stream(draft: _Draft, place: Place) -> Stream:
    endpoint = draft.endpoint
    configured = {param.name: param.name for param in place.wanted if param.name in place.constants}
    queried = {name: f"{{{variable}}}" for name, variable in (configured | place.queried).items()}
    request = Request(
        method="POST" if endpoint.method == "post" else "GET",
        path=place.path,
        query={**draft.demands.query, **queried},
        headers=draft.demands.headers,
        body=draft.demands.body if endpoint.method == "post" else None,
    )
    evidence = (endpoint.evidence(draft.listed.reason), *draft.demands.evidence)
    parents: list[Candidate[Parent | None]] = place.parents or [
        candidate(None, 0.95, endpoint.evidence("nothing in its request depends on another stream"))
    ]
    parent = decide(parents)
    if parent.confidence < GUESS:
        reason = "which records its requests name is not said: the best guess is taken"
        draft.gaps.append(Gap(subject=option_key(draft.name, "parent"), reason=reason, evidence=parent.evidence))
    schema, gap = schema_candidate(endpoint, draft.record, draft.selector.value.path)
    if gap is not None:
        draft.gaps.append(gap.model_copy(update={"subject": option_key(draft.name, "json_schema")}))
    return Stream(
        name=draft.name,
        title=endpoint.operation.summary[:120],
        request=decide([candidate(request, draft.listed.confidence, *evidence)]),
        selector=draft.selector,
        pagination=draft.pagination,
        primary_key=draft.key,
        cursor=draft.cursor,
        parent=parent,
        json_schema=decide([schema]),
    )
