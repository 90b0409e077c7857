"""How an API hands out its pages: one kind of them for each list."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from contracts.base import Frozen
from contracts.blueprint.decisions import JsonPath


class PageSize(Frozen):
    """The parameter that sets the page's size, and the value to ask for."""

    param: str
    value: int = Field(ge=1)


class NoPagination(Frozen):
    """One response holds everything."""

    kind: Literal["none"] = "none"


class PageNumberPagination(Frozen):
    """Pages counted from ``start``. Ends at ``total_pages_path``, ``has_more_path`` false, or an empty page."""

    kind: Literal["page"] = "page"
    param: str
    start: int = 1
    size: PageSize | None = None
    total_pages_path: JsonPath | None = None
    has_more_path: JsonPath | None = None
    location: Literal["query", "body"] = "query"


class OffsetPagination(Frozen):
    """Records skipped. Ends at ``total_path``, ``has_more_path`` false, or an empty page."""

    kind: Literal["offset"] = "offset"
    param: str
    start: int = 0
    size: PageSize | None = None
    total_path: JsonPath | None = None
    has_more_path: JsonPath | None = None
    location: Literal["query", "body"] = "query"


class CursorPagination(Frozen):
    """An opaque token of the response is sent with the next request; ends when it is absent, null or empty.

    ``source``: the token is in the ``body`` at ``path`` or in the response ``header`` named ``header``.
    """

    kind: Literal["cursor"] = "cursor"
    param: str
    source: Literal["body", "header"] = "body"
    path: JsonPath = ()
    header: str | None = None
    size: PageSize | None = None
    has_more_path: JsonPath | None = None
    location: Literal["query", "body"] = "query"


class LastRecordPagination(Frozen):
    """The ``field`` of the last record of a page is sent with the next request (Stripe's ``starting_after``)."""

    kind: Literal["last_record"] = "last_record"
    param: str
    field: JsonPath
    size: PageSize | None = None
    has_more_path: JsonPath | None = None
    location: Literal["query", "body"] = "query"


class NextUrlPagination(Frozen):
    """The body holds the next page's URL at ``path``, absolute or relative."""

    kind: Literal["next_url"] = "next_url"
    path: JsonPath
    size: PageSize | None = None


class LinkHeaderPagination(Frozen):
    """RFC 8288 ``Link: <url>; rel="next"``; some APIs add ``results="false"`` on the last page."""

    kind: Literal["link_header"] = "link_header"
    rel: str = "next"
    size: PageSize | None = None


Pagination = Annotated[
    NoPagination
    | PageNumberPagination
    | OffsetPagination
    | CursorPagination
    | LastRecordPagination
    | NextUrlPagination
    | LinkHeaderPagination,
    Field(discriminator="kind"),
]
