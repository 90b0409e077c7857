"""How recorded answers hang together as pages: which request followed from which answer. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from contracts.answers import RecordedAnswer
from contracts.blueprint import (
    CursorPagination,
    JsonPath,
    LinkHeaderPagination,
    NextUrlPagination,
    NoPagination,
    OffsetPagination,
    PageNumberPagination,
    PageSize,
    Pagination,
    Stream,
)
from services.research.openapi.words import words

_NEXT_LINK = re.compile(r"<[^<>]*>\s*;[^<>]*\brel\s*=\s*\"?next\b", re.IGNORECASE)
_DEPTH = 3

Found = tuple[Pagination, "Page", str]
"""A pagination, the page that shows it, and what it shows."""


@dataclass(frozen=True)
class Page:
    """One recorded answer with its records; ``number`` is its place in the recording."""

    number: int
    answer: RecordedAnswer
    rows: list[dict[str, Any]]

    @property
    def names(self) -> frozenset[str]:
        """Its records, comparable."""
        return frozenset(json.dumps(row, sort_keys=True) for row in self.rows)


def observed_pagination(stream: Stream, pages: list[Page]) -> Found | None:
    """What the answers prove about paging, the surest proof first; None if it is nothing new."""
    options = (option.value for option in stream.pagination.options)
    sizes = (option.size for option in options if not isinstance(option, NoPagination) and option.size)
    size = next(sizes, None)
    proofs = (
        _followed_tokens(pages, size),
        _next_urls(pages, size),
        _links(pages, size),
        _numbers(stream, pages, size),
        _offered_tokens(stream, pages),
        _honest(stream.pagination.value, pages),
    )
    best = next((found for proof in proofs for found in proof), None)
    return None if best is None or best[0] == stream.pagination.value else best


def _beside(body: Any, at: JsonPath = ()) -> Iterator[tuple[JsonPath, Any]]:
    """The plain values of an answer beside its records, which are in a list."""
    if not isinstance(body, dict):
        return
    for name, member in body.items():
        path = (*at, name)
        if isinstance(member, dict) and len(at) < _DEPTH:
            yield from _beside(member, path)
        elif isinstance(member, str | int) and not isinstance(member, bool) and member != "":
            yield path, member


def _followed_tokens(pages: list[Page], size: PageSize | None) -> Iterator[Found]:
    """A later request carried what an answer had handed out, and got other records."""
    for page in pages:
        for path, value in _beside(page.answer.body):
            for later in pages:
                carried = (
                    name for name, sent in later.answer.query if sent == str(value) and _may_be(path, name, sent)
                )
                name = next(carried, None)
                if name and page.answer.asked(name) != str(value) and page.names.isdisjoint(later.names):
                    cursor = CursorPagination(param=name, path=path, size=_other(size, name))
                    yield cursor, page, f"{name} of a later request is {'.'.join(path)} of this answer"


def _may_be(path: JsonPath, param: str, value: str) -> bool:
    """A number may be there by chance (a total), unless it is called like what it is for."""
    own = words(path[-1])
    return not value.isdigit() or "next" in own or own == words(param)


def _other(size: PageSize | None, param: str) -> PageSize | None:
    return None if size is None or size.param == param else size


def _next_urls(pages: list[Page], size: PageSize | None) -> Iterator[Found]:
    for page in pages:
        for path, value in _beside(page.answer.body):
            is_url = isinstance(value, str) and re.match(r"https?://|/|\?", value) is not None
            if is_url and "next" in {word for name in path for word in words(name)}:
                yield NextUrlPagination(path=path, size=size), page, f"{'.'.join(path)} is a URL"


def _links(pages: list[Page], size: PageSize | None) -> Iterator[Found]:
    for page in pages:
        if _NEXT_LINK.search(page.answer.headers.get("link", "")):
            yield LinkHeaderPagination(size=size), page, "the Link header has a next page"


def _offered_tokens(stream: Stream, pages: list[Page]) -> Iterator[Found]:
    """A cursor that is not where the document says; nobody followed it, but its name says what it is."""
    known = stream.pagination.value
    if not isinstance(known, CursorPagination) or known.source != "body":
        return
    for page in pages:
        offered = dict(_beside(page.answer.body))
        if known.path in offered:
            return
        for path in offered:
            if "next" in words(path[-1]) and set(words(path[-1])) & {"cursor", "token", *words(known.param)}:
                yield known.model_copy(update={"path": path}), page, f"{'.'.join(path)} is the next cursor"


# --- pages that are counted -----------------------------------------------------------------------


def _numbers(stream: Stream, pages: list[Page], size: PageSize | None) -> Iterator[Found]:
    """A number in the query, of which different values gave different records."""
    names = dict.fromkeys(name for page in pages for name, value in page.answer.query if value.isdigit())
    for name in names:
        if size is not None and name == size.param:
            continue
        at = {int(value): page for page in reversed(pages) if (value := page.answer.asked(name) or "").isdigit()}
        bare = next((page for page in pages if page.answer.asked(name) is None and page.rows), None)
        counted = _counted(stream, name, {number: page for number, page in at.items() if page.rows}, bare)
        if counted is not None:
            rule, page, note = counted
            kept = _kept(stream, rule, pages)
            yield rule.model_copy(update={"size": _other(size, name), **kept}), page, note


def _counted(
    stream: Stream, name: str, at: dict[int, Page], bare: Page | None
) -> tuple[PageNumberPagination | OffsetPagination, Page, str] | None:
    """Pages or records, and from where on; None if the numbers do not turn pages."""
    first = bare or (at[min(at)] if at else None)
    turned = sorted(number for number, page in at.items() if first and page.names.isdisjoint(first.names))
    if first is None or not turned:
        return None
    same = sorted(number for number, page in at.items() if page.names & first.names)
    page, length, step = at[turned[0]], len(first.rows), turned[0] - (same[0] if same else 0)
    if step >= length > 1 or (step == length and _is_offset(stream, name)):
        start, note = same[0] if same else 0, f"{name}={turned[0]} skips {length} records"
        return (OffsetPagination(param=name, start=start), page, note) if start <= 1 else None
    start, note = same[0] if same else turned[0] - 1, f"{name}={turned[0]} is a later page"
    return (PageNumberPagination(param=name, start=start), page, note) if start <= 1 else None


def _is_offset(stream: Stream, name: str) -> bool:
    options = (option.value for option in stream.pagination.options)
    return any(isinstance(option, OffsetPagination) and option.param == name for option in options)


def _kept(stream: Stream, value: Pagination, pages: list[Page]) -> dict[str, Any]:
    """What the document says about the end of pages of this kind, where the answers do not refute it."""
    for option in stream.pagination.options:
        if option.value.kind == value.kind:
            honest = next((found for found, *_ in _honest(option.value, pages)), option.value)
            names = ("has_more_path", "total_path", "total_pages_path")
            return {name: getattr(honest, name) for name in names if hasattr(honest, name)}
    return {}


def _honest(known: Pagination, pages: list[Page]) -> Iterator[Found]:
    """The documented pagination without a total that is refuted: more came than it counts."""
    seen = len(frozenset[str]().union(*(page.names for page in pages)))
    filled = len({page.names for page in pages if page.rows})
    limits = (("total_path", OffsetPagination, seen), ("total_pages_path", PageNumberPagination, filled))
    for name, kind, came in limits:
        path = getattr(known, name, None)
        if not isinstance(known, kind) or path is None:
            continue
        for page in pages:
            told = dict(_beside(page.answer.body)).get(path)
            if isinstance(told, int) and told < came:
                yield known.model_copy(update={name: None}), page, f"{'.'.join(path)} is {told}, but {came} came"
                break
