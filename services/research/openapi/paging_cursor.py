"""Candidates for paging by a token that the response hands out. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from contracts.blueprint import Candidate, CursorPagination, Evidence, JsonPath, PageSize, Pagination
from services.research.openapi.endpoint import Endpoint, Field, Param, type_of
from services.research.openapi.paging_habits import Habits
from services.research.openapi.paging_request import PageParams
from services.research.openapi.paging_response import PagingFields
from services.research.openapi.ranking import candidate
from services.research.openapi.words import words


@dataclass(frozen=True)
class Signals:
    """What one list says about its paging, on both sides; ``habits`` is what the API's other lists say."""

    endpoint: Endpoint
    params: PageParams
    fields: PagingFields
    size: PageSize | None
    habits: Habits

    @property
    def more(self) -> JsonPath | None:
        return self.fields.has_more.path if self.fields.has_more else None

    @property
    def bare_list(self) -> bool:
        """The response is the list itself: there is no room for a token in its body."""
        return type_of(self.endpoint.response) == "array"


def place_of(param: Param) -> Literal["query", "body"]:
    return "body" if param.location == "body" else "query"


def cursor_candidates(signals: Signals) -> Iterator[Candidate[Pagination]]:
    """A parameter and a member that go together; then what the API's other lists, or a name alone, suggest."""
    params, fields = signals.params, signals.fields
    spelled = [param for param in (params.page, params.offset) if param is not None and not param.is_integer]
    for param in (*params.cursors, *spelled):
        for field in fields.token:
            match = _affinity(param, field)
            if param not in spelled or (match >= 0.05 and field.type == "string"):
                note = signals.endpoint.response_evidence(field.path, "the token of the next page")
                yield _cursor(signals, param, field.path, 0.85 + match, note)
        for field in fields.beside:
            if field not in fields.token and param in params.cursors and words(field.name) == param.words:
                note = signals.endpoint.response_evidence(field.path, "a member of the parameter's name")
                yield _cursor(signals, param, field.path, 0.83, note)
    if not params.cursors and not params.page and not params.offset and fields.token:
        yield from _undeclared(signals, fields.token[0])
    yield from _by_following(signals)
    if params.cursors and not fields.token and not fields.next_url:
        yield from _by_habit(signals, params.cursors[0])
    for param in params.cursors:
        yield from _by_header(signals, param)


def _cursor(
    signals: Signals, param: Param, path: JsonPath, confidence: float, note: Evidence
) -> Candidate[Pagination]:
    cursor = CursorPagination(
        param=param.name, path=path, size=signals.size, has_more_path=signals.more, location=place_of(param)
    )
    return candidate(cursor, confidence, param.evidence(), note)


def _affinity(param: Param, field: Field) -> float:
    """How well the two names go together: ``page_token`` with ``next_page_token`` better than with ``cursor``."""
    own = words(field.name)
    nested = any("next" in words(parent) for parent in field.path[:-1])
    match = min(0.1, 0.05 * len(set(param.words) & set(own))) - 0.01 * len(field.path)
    match += 0.03 if nested or "next" in own else 0.0
    return match + (0.05 if nested and own == param.words else 0.0)


def _by_following(signals: Signals) -> Iterator[Candidate[Pagination]]:
    """A parameter whose next value the response hands out by the same name (``stream_position`` and
    ``next_stream_position``), whatever that name is."""
    params = signals.params
    counted = (params.size, params.page, params.offset)
    moving = [
        param
        for param in signals.endpoint.params
        if param.location in ("query", "body") and param not in counted and param.type not in ("array", "object")
    ]
    for param in moving:
        for field in signals.fields.following:
            if words(field.name)[1:] == param.words:
                note = signals.endpoint.response_evidence(field.path, "the parameter's next value")
                yield _cursor(signals, param, field.path, 0.9, note)


def _by_habit(signals: Signals, param: Param) -> Iterator[Candidate[Pagination]]:
    if (path := signals.habits.token) is not None and not signals.bare_list:
        note = signals.endpoint.evidence(f"other lists of the API hand out the token at {'.'.join(path)}")
        yield _cursor(signals, param, path, 0.65, note)


def _by_header(signals: Signals, param: Param) -> Iterator[Candidate[Pagination]]:
    for name, _ in signals.endpoint.headers:
        own = set(words(name))
        if own & {"next", "cursor", "continuation"} and not own & {"limit", "link"}:
            cursor = CursorPagination(
                param=param.name, source="header", header=name, size=signals.size, location=place_of(param)
            )
            yield candidate(cursor, 0.85, param.evidence(), signals.endpoint.evidence(f"response header {name}"))


def _undeclared(signals: Signals, field: Field) -> Iterator[Candidate[Pagination]]:
    """The response hands out a token, but no parameter takes it."""
    if "next" not in words(field.name):
        return
    own = "_".join(word for word in words(field.name) if word != "next") or "cursor"
    names = [(signals.habits.cursor, 0.6)] if signals.habits.cursor else []
    names += [(own, 0.3), (f"start_{own}" if own == "cursor" else "page_token", 0.25)]
    location: Literal["query", "body"] = "body" if signals.endpoint.method == "post" else "query"
    note = signals.endpoint.response_evidence(field.path, "a token, but no parameter that takes it is declared")
    for name, confidence in names:
        cursor = CursorPagination(
            param=name, path=field.path, size=signals.size, has_more_path=signals.more, location=location
        )
        yield candidate(cursor, confidence, note)
