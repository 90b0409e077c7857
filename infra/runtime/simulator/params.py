"""Is what a request says well-formed? Checked as a careful server would: 400 and the reason, or the value."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from contracts.blueprint import TimeFormat
from contracts.simulation import Endpoint, Position, TimeFilter
from infra.runtime.simulator.messages import Request, refuse
from infra.runtime.simulator.values import types_of

_INTEGER = re.compile(r"[+-]?[0-9]{1,18}")
_NUMBER = re.compile(r"[+-]?[0-9]{1,30}(\.[0-9]{1,30})?([eE][+-]?[0-9]{1,2})?")


def check(endpoint: Endpoint, request: Request) -> None:
    """Required parameters are there, and typed ones have their type.

    Raises:
        Refused: 400 names the parameter.
    """
    own = {endpoint.size.param, *(f.param for f in endpoint.filters)}
    own |= {position.param for position in (endpoint.position, *endpoint.also)}
    for accepted in endpoint.accepts:
        sent = body_safe(request, accepted.location, accepted.name)
        if sent is None or sent == "":
            if accepted.required:
                raise refuse(400, f"the {accepted.location} parameter {accepted.name} is required")
        elif accepted.name not in own and not fits(sent, accepted.json_schema):
            raise refuse(400, f"the {accepted.location} parameter {accepted.name} has a wrong value")


def body_safe(request: Request, location: Any, name: str) -> Any:
    """`Request.get`, with a body that is no JSON refused."""
    try:
        return request.get(location, name)
    except ValueError:
        raise refuse(400, "the body is not JSON") from None


def fits(sent: Any, schema: Mapping[str, Any]) -> bool:
    """Whether text (or a JSON value) can stand for ``schema``; arrays are lists with commas."""
    types = types_of(dict(schema))
    if "array" in types or "object" in types:
        items = schema.get("items")
        listed = sent.split(",") if isinstance(sent, str) else sent if isinstance(sent, list) else [sent]
        return "object" in types or not isinstance(items, dict) or all(fits(item, items) for item in listed)
    text = _text(sent)
    if schema.get("enum"):
        return text in {_text(option) for option in schema["enum"]}
    if "string" in types:
        return True
    if "boolean" in types:
        return text.lower() in ("true", "false", "1", "0")
    if not (_INTEGER if "integer" in types else _NUMBER).fullmatch(text):
        return False
    return bool(schema.get("minimum", float("-inf")) <= float(text) <= schema.get("maximum", float("inf")))


def _text(value: Any) -> str:
    """A scalar as it is spelled in JSON and in a query."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def page_size(endpoint: Endpoint, request: Request, default: int, largest: int) -> int:
    """The size of this page: what was asked for, capped or refused above ``largest``."""
    size = endpoint.size
    sent = body_safe(request, size.location, size.param) if size.param else None
    if sent is None or sent == "":
        return default
    if not _INTEGER.fullmatch(str(sent)) or int(sent) < 1:
        raise refuse(400, f"the page size {size.param} must be a whole number from 1")
    if size.over == "reject" and size.maximum is not None and int(sent) > size.maximum:
        raise refuse(400, f"the page size {size.param} must not exceed {size.maximum}")
    return min(int(sent), largest)


def asked_position(endpoint: Endpoint, request: Request) -> tuple[Position, str | None]:
    """The position that the request names, and its value; the endpoint's own and ``None`` for the first page."""
    for position in (endpoint.position, *endpoint.also):
        sent = body_safe(request, position.location, position.param) if position.param else None
        if sent is not None and sent != "":
            return position, str(sent)
    return endpoint.position, None


def whole(position: Position, text: str) -> int:
    if not _INTEGER.fullmatch(text) or int(text) < position.first:
        raise refuse(400, f"{position.param} must be a whole number from {position.first}")
    return int(text) - position.first


def moment(time_filter: TimeFilter, request: Request) -> datetime | None:
    """The time that a filter's parameter names; ``None`` if it is not sent, or (in a filter language) if the
    expression does not hold this function."""
    sent = body_safe(request, time_filter.location, time_filter.param)
    if sent is None or sent == "":
        return None
    shape = re.escape(time_filter.template).replace(re.escape("{value}"), "([^,()]+)")
    inner = re.search(shape, str(sent))
    if inner is None and time_filter.template != "{value}":
        return None
    found = parse_time(inner.group(1), time_filter.format) if inner else None
    if found is None:
        raise refuse(400, f"{time_filter.param} holds no time ({time_filter.format}): {str(sent)[:40]}")
    return found


def parse_time(text: str, form: TimeFormat) -> datetime | None:
    """Read a time; of the ISO 8601 forms either is taken where one is asked for."""
    if form in ("epoch_s", "epoch_ms"):
        if not _NUMBER.fullmatch(text):
            return None
        seconds = float(text) / (1000 if form == "epoch_ms" else 1)
        return datetime.fromtimestamp(seconds, UTC) if abs(seconds) < 1e11 else None
    try:
        parsed = datetime.fromisoformat(text.replace(" ", "+") if "T" in text else text)
    except ValueError:
        return None
    return parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)
