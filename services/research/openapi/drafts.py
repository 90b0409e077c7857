"""A stream while it is being described: all that its own endpoint says. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from contracts.blueprint import (
    Candidate,
    Cursor,
    CursorPagination,
    Decision,
    Gap,
    NoPagination,
    Pagination,
    Selector,
    option_key,
)
from infra.runtime.documents import Document
from services.research.openapi.cursor import cursor_candidates
from services.research.openapi.details import DetailEndpoint
from services.research.openapi.endpoint import Endpoint
from services.research.openapi.names import detail_names, record_noun, stream_names
from services.research.openapi.pagination import pagination_candidates
from services.research.openapi.paging_habits import Habits, habits_of
from services.research.openapi.parameters import Demands, demands
from services.research.openapi.places import template_of
from services.research.openapi.plain_values import plain_keys
from services.research.openapi.primary_key import (
    Detail,
    PrimaryKey,
    composite_candidates,
    map_candidates,
    primary_key_candidates,
)
from services.research.openapi.ranking import GUESS, candidate, decide
from services.research.openapi.selector import selector_candidates
from services.research.openapi.streams import ListEndpoint
from services.research.openapi.words import noun as word_noun

_SURE_KEY = 0.4
"""Below this a primary key is a guess: a named gap instead."""


@dataclass
class Draft:
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


def drafts_of(document: Document, endpoints: list[Endpoint], listed: list[ListEndpoint]) -> list[Draft]:
    details = _details(endpoints)
    habits = habits_of(document.description, [entry.endpoint for entry in listed])
    names = stream_names([entry.endpoint for entry in listed], [entry.record_name for entry in listed])
    return [_draft(name, entry, details, habits) for name, entry in zip(names, listed, strict=True)]


def _draft(name: str, entry: ListEndpoint, details: Mapping[tuple[str, ...], Endpoint], habits: Habits) -> Draft:
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
    return Draft(name, entry, noun, selector, record, key, pagination, cursor, demanded, gaps)


def detail_drafts(details: list[DetailEndpoint], lists: list[Draft]) -> list[Draft]:
    """Streams of the records of ``lists`` in full: what identifies them there does so here."""
    summaries = {draft.endpoint.key: draft for draft in lists}
    pairs = [(detail.listed, summaries[detail.summary.endpoint.key]) for detail in details]
    names = detail_names(
        [_detail_stem(entry, summary) for entry, summary in pairs], {draft.name for draft in lists}
    )
    return [_detail_draft(name, entry, summary) for name, (entry, summary) in zip(names, pairs, strict=True)]


def _detail_stem(entry: ListEndpoint, summary: Draft) -> str:
    """The list's name, if the endpoint is right below it, or what its own path calls the records."""
    below = template_of(entry.endpoint.segments[:-1]) == template_of(summary.endpoint.segments)
    return summary.name if below else "_".join(record_noun(entry.endpoint, ""))


def _detail_draft(name: str, entry: ListEndpoint, summary: Draft) -> Draft:
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
    return Draft(
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
