"""The simulated API's paging beside the blueprint's: whether they agree, and what it is when it follows. Pure."""

from __future__ import annotations

from typing import Any

from contracts.blueprint import (
    CursorPagination,
    LastRecordPagination,
    LinkHeaderPagination,
    NextUrlPagination,
    NoPagination,
    OffsetPagination,
    PageNumberPagination,
    Pagination,
)
from contracts.simulation import Endpoint, PageSize, Position, Signal


def same_paging(endpoint: Endpoint, pagination: Pagination) -> bool:
    """Whether a client that pages like this gets everything from the endpoint, and knows where the end is."""
    kinds = {signal.kind for signal in endpoint.signals}
    understood = {(p.kind, p.param, p.location) for p in (endpoint.position, *endpoint.also)}
    if isinstance(pagination, NoPagination):
        return endpoint.position.kind == "none"
    if isinstance(pagination, NextUrlPagination):
        return "next_url" in kinds
    if isinstance(pagination, LinkHeaderPagination):
        return "link" in kinds
    if isinstance(pagination, CursorPagination) and not kinds & {"next_cursor", "next_page", "next_offset"}:
        return False
    return (pagination.kind, pagination.param, pagination.location) in understood


def with_paging(endpoint: Endpoint, pagination: Pagination) -> Endpoint:
    """The endpoint that pages like this, and tells of pages no more than a client of this kind needs."""
    position, signals = _position(pagination), _signals(pagination)
    size = getattr(pagination, "size", None)
    sized = PageSize(param=size.param, default=size.value) if size else PageSize(default=endpoint.size.default)
    return endpoint.model_copy(update={"position": position, "also": (), "signals": signals, "size": sized})


def _position(pagination: Pagination) -> Position:
    if isinstance(pagination, NoPagination):
        return Position()
    if isinstance(pagination, NextUrlPagination | LinkHeaderPagination):
        return Position(kind="page", param="page", first=1)
    more: dict[str, Any] = {}
    if isinstance(pagination, PageNumberPagination | OffsetPagination):
        more["first"] = pagination.start
    if isinstance(pagination, LastRecordPagination):
        more["field"] = pagination.field
    return Position(kind=pagination.kind, param=pagination.param, location=pagination.location, **more)


def _signals(pagination: Pagination) -> tuple[Signal, ...]:
    found: list[Signal] = []
    if isinstance(pagination, NextUrlPagination):
        found.append(Signal(kind="next_url", path=pagination.path, at_end="null"))
    if isinstance(pagination, LinkHeaderPagination):
        found.append(Signal(kind="link", header="Link"))
    if isinstance(pagination, CursorPagination):
        where = {"header": pagination.header} if pagination.source == "header" else {"path": pagination.path}
        found.append(Signal.model_validate({"kind": "next_cursor", **where}))
    if isinstance(pagination, PageNumberPagination) and pagination.total_pages_path is not None:
        found.append(Signal(kind="total_pages", path=pagination.total_pages_path))
    if isinstance(pagination, OffsetPagination) and pagination.total_path is not None:
        found.append(Signal(kind="total", path=pagination.total_path))
    has_more = getattr(pagination, "has_more_path", None)
    if has_more is not None:
        found.append(Signal(kind="has_more", path=has_more, at_end="false"))
    return tuple(found)
