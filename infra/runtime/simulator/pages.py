"""Which records one response holds, and what it says about the rest."""

from __future__ import annotations

import copy
import json
from bisect import bisect_left, bisect_right
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from contracts.blueprint import JsonPath
from contracts.simulation import Endpoint, Position, Signal, TimeFilter
from infra.runtime.simulator import cursors, params
from infra.runtime.simulator.messages import Request, refuse
from infra.runtime.simulator.mould import time_at
from infra.runtime.simulator.values import at_path

_NEXT = ("next_cursor", "next_url", "next_page", "next_offset", "link", "links")
_HOLE = "\ue001records\ue001"


@dataclass(frozen=True)
class Page:
    """``start`` counts from 0 over the ``total`` records that pass the filters; ``length`` are in this page.

    ``next_start`` is where the next page begins, ``None`` after the last; ``salt`` varies its token.
    """

    start: int
    size: int
    total: int
    length: int
    position: Position
    next_start: int | None
    salt: int = 0


def span(endpoint: Endpoint, request: Request, count: int) -> range:
    """The indexes that pass the request's time filters: consecutive, because times never fall."""
    low, high = 0, count
    for time_filter in endpoint.filters:
        ordinals = [n for n, t in enumerate(endpoint.records.times) if t.path == time_filter.field]
        limit = params.moment(time_filter, request)
        if limit is None or not ordinals:
            continue
        key = _coarse(time_filter, ordinals[0])
        bound = limit.replace(hour=0, minute=0, second=0, microsecond=0) if time_filter.format == "date" else limit
        cut = bisect_right if time_filter.op in ("gt", "lte") else bisect_left
        edge = cut(range(count), bound, key=key)
        low, high = (max(low, edge), high) if time_filter.op in ("gte", "gt") else (low, min(high, edge))
    return range(low, max(low, high))


def _coarse(time_filter: TimeFilter, ordinal: int) -> Callable[[int], datetime]:
    """A filter by date compares days: ``until=2021-01-05`` includes all of the 5th."""
    if time_filter.format == "date":
        return lambda index: time_at(index, ordinal).replace(hour=0, minute=0, second=0, microsecond=0)
    return lambda index: time_at(index, ordinal)


def page(endpoint: Endpoint, request: Request, total: int, size: int, find: Callable[[str], int | None]) -> Page:
    """The page that the request asks for. ``find`` gives the place of the record with a `last_record` value.

    Raises:
        Refused: the position is none of this server's.
    """
    position, text = params.asked_position(endpoint, request)
    if position.kind == "none":
        return Page(0, max(total, 1), total, total, position, None)
    start = 0 if text is None else _start(endpoint, position, text, size, find)
    length = max(0, min(size, total - start))
    following = start + size
    return Page(start, size, total, length, position, following if following < total else None)


def _start(endpoint: Endpoint, position: Position, text: str, size: int, find: Callable[[str], int | None]) -> int:
    if position.kind == "page":
        return params.whole(position, text) * size
    if position.kind == "offset":
        return params.whole(position, text)
    if position.kind == "cursor":
        found = cursors.offset_of(endpoint.key, text, numeric=position.numeric)
    else:
        before = find(text)
        found = None if before is None else before + 1
    if found is None:
        raise refuse(400, f"{position.param} is not a page of this list")
    return found


def announces(endpoint: Endpoint) -> bool:
    """Whether responses say where the next page is, rather than leaving it to the client to count."""
    return any(signal.kind in _NEXT for signal in endpoint.signals)


def repeated(page_: Page) -> Page:
    """The next page is this one again."""
    return replace(page_, next_start=page_.start)


def endless(page_: Page) -> Page:
    """There is always more; past the end it is the last page again."""
    if page_.length == 0 and page_.total:
        start = (page_.total - 1) // page_.size * page_.size
        shown = replace(page_, start=start, length=page_.total - start)
        return replace(shown, next_start=page_.start + page_.size)
    return replace(page_, next_start=page_.start + page_.size)


def emptied(page_: Page) -> Page:
    """No records now; the next page is the one that should have come."""
    return replace(page_, length=0, next_start=page_.start, salt=page_.salt + 1)


# --- what the response says -----------------------------------------------------------------------


def body(endpoint: Endpoint, request: Request, page_: Page, records: bytes, last: dict[str, Any]) -> bytes:
    """The envelope with signals and records (JSON text) in their places."""
    place = endpoint.records.path
    if not place:
        return records
    envelope = copy.deepcopy(endpoint.envelope) if isinstance(endpoint.envelope, dict) else {}
    _set(envelope, place, _HOLE)
    for signal in endpoint.signals:
        if signal.path:
            _say(envelope, signal, _value(endpoint, signal, request, page_, last))
    text = json.dumps(envelope, ensure_ascii=False, separators=(",", ":"))
    before, _, after = text.partition(f'"{_HOLE}"')
    return b"".join((before.encode(), records, after.encode()))


def headers(endpoint: Endpoint, request: Request, page_: Page, last: dict[str, Any]) -> tuple[tuple[str, str], ...]:
    made = []
    for signal in endpoint.signals:
        if signal.header is None:
            continue
        value = _value(endpoint, signal, request, page_, last)
        if signal.kind == "link":
            value = _link(signal, request, endpoint, page_, value)
        if value is not None:
            made.append((signal.header, str(value).lower() if isinstance(value, bool) else str(value)))
    return tuple(made)


def _value(endpoint: Endpoint, signal: Signal, request: Request, page_: Page, last: dict[str, Any]) -> Any:
    """What the signal says; ``None`` where it speaks of a page that does not exist."""
    following = page_.next_start
    number = page_.start // page_.size
    first = _first(endpoint, "page", 1)
    plain: dict[str, Any] = {
        "total": page_.total,
        "total_pages": -(-page_.total // page_.size),
        "count": page_.length,
        "page": number + first,
        "offset": page_.start + _first(endpoint, "offset", 0),
        "size": page_.size,
        "has_more": following is not None,
        "is_last": following is None,
    }
    if signal.kind in plain:
        value = plain[signal.kind]
        return str(value) if signal.text and not isinstance(value, bool) else value
    if following is None:
        return None
    if signal.kind in ("next_url", "link", "links"):
        return next_url(endpoint, request, page_, last, absolute=signal.absolute)
    if signal.kind == "next_page":
        value = following // page_.size + first
    elif signal.kind == "next_offset":
        value = following + _first(endpoint, "offset", 0)
    else:
        position = next((p for p in (endpoint.position, *endpoint.also) if p.kind == "cursor"), page_.position)
        value = _position_value(endpoint, position, page_, last)
        return int(value) if position.numeric and not signal.text and value.isdecimal() else value
    return str(value) if signal.text else value


def _first(endpoint: Endpoint, kind: str, default: int) -> int:
    return next((p.first for p in (endpoint.position, *endpoint.also) if p.kind == kind), default)


def _position_value(endpoint: Endpoint, position: Position, page_: Page, last: dict[str, Any]) -> str:
    """What the request for the next page carries."""
    following = page_.next_start or 0
    if position.kind == "page":
        return str(following // page_.size + position.first)
    if position.kind == "offset":
        return str(following + position.first)
    if position.kind == "last_record":
        return str(at_path(last, position.field))
    return cursors.token(endpoint.key, following, numeric=position.numeric, salt=page_.salt)


def next_url(endpoint: Endpoint, request: Request, page_: Page, last: dict[str, Any], *, absolute: bool) -> str:
    """The request's own URL with the next page's position."""
    query = {**request.query, page_.position.param: _position_value(endpoint, page_.position, page_, last)}
    origin = f"http://{request.headers.get('host', 'localhost')}" if absolute else ""
    return f"{origin}{request.path}?{urlencode(query)}"


def _link(signal: Signal, request: Request, endpoint: Endpoint, page_: Page, url: str | None) -> str | None:
    """RFC 8288. With ``results_false`` there is always a link, and it says whether anything is behind it."""
    if signal.at_end != "results_false":
        return f'<{url}>; rel="next"' if url else None
    results = "true" if url else "false"
    shown = url or next_url(endpoint, request, replace(page_, next_start=page_.total), {}, absolute=True)
    return f'<{shown}>; rel="next"; results="{results}"'


def _say(envelope: dict[str, Any], signal: Signal, value: Any) -> None:
    if signal.kind == "links":
        _set(envelope, signal.path, [{"href": value, "rel": "next", "method": "GET"}] if value else [])
    elif value is not None:
        _set(envelope, signal.path, value)
    elif signal.at_end == "absent":
        _drop(envelope, signal.path)
    else:
        _set(envelope, signal.path, {"null": None, "empty": "", "false": False}.get(signal.at_end))


def _set(target: dict[str, Any], path: JsonPath, value: Any) -> None:
    for key in path[:-1]:
        if not isinstance(target.get(key), dict):
            target[key] = {}
        target = target[key]
    target[path[-1]] = value


def _drop(target: dict[str, Any], path: JsonPath) -> None:
    for key in path[:-1]:
        inner = target.get(key)
        if not isinstance(inner, dict):
            return
        target = inner
    target.pop(path[-1], None)
