"""Which parameters of a request turn pages: by name, type and description. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from services.research.openapi.endpoint import Endpoint, Param
from services.research.openapi.words import phrases, words

Words = tuple[str, ...]


def _names(text: str) -> frozenset[Words]:
    return frozenset(tuple(phrase.split()) for phrase in phrases(text))


_SIZE_NAMES = _names(
    "limit|per page|page size|page limit|page length|page len|pagelen|max results|count|size|"
    "results per page|items per page|take|top|rows|num results|max items|batch size|max|num|"
    "page count|records per page|max page size|page max|number of results|results|amount|"
    "hits per page|first|length|pagesize|max count|page items|entries per page|maximum results|"
    "perpage|max size|limit count"
)


_PAGE_NAMES = _names("page|page number|page num|page no|p|page index|current page|pageno|page id|pageindex|pg")


_OFFSET_NAMES = _names(
    "offset|start|skip|start at|start index|start position|from|page offset|first result|"
    "start row|start offset|startat|begin|index|record offset|result offset|start from"
)


_CURSOR_NAMES = _names(
    "cursor|page token|next token|continuation|continuation token|marker|after|page cursor|"
    "page after|start cursor|next cursor|next page token|scroll id|bookmark|batch token|next page|"
    "next|after cursor|start key|pagination token|page key|nextpage|starting token|cursor token|"
    "start after|token|next page id|paging token|next marker|exclusive start key|"
    "last evaluated key|cursor mark|search after|starting after|page state"
)


_LAST_RECORD_NAMES = _names(
    "starting after|since id|after id|last id|min id|start after id|after|last seen id|from id"
)


_PREFIXES = ("search", "list", "query", "filter", "request", "x", "paging", "pagination", "v")


_OPAQUE = re.compile(
    r"\b(cursor|token|opaque|continuation|next_?cursor|bookmark|previous (response|call|request))\b"
)


@dataclass(frozen=True)
class PageParams:
    """What a request offers for paging. A parameter may be offered in several roles."""

    size: Param | None = None
    page: Param | None = None
    offset: Param | None = None
    cursors: tuple[Param, ...] = ()
    last_record: Param | None = None

    @property
    def any(self) -> bool:
        moving = (self.page, self.offset, self.last_record, *self.cursors)
        return any(moving) or (self.size is not None and len(self.size.words) > 1)


def page_params(endpoint: Endpoint) -> PageParams:
    params = [param for param in endpoint.params if param.location in ("query", "body")]
    size = _first(params, _is_size)
    rest = [param for param in params if param is not size]
    page = _first(rest, _is_page)
    offset = _first(rest, _is_offset)
    cursors = tuple(
        param for param in rest if param not in (page, offset) and (_is_cursor(param) or _is_opaque_page(param))
    )
    last = _first(
        rest, lambda param: _named(param, _LAST_RECORD_NAMES) and param.format not in ("date", "date-time")
    )
    return PageParams(size, page, offset, cursors, last)


def _first(params: list[Param], test: Callable[[Param], bool]) -> Param | None:
    return next((param for param in params if test(param)), None)


def _is_page(param: Param) -> bool:
    return _named(param, _PAGE_NAMES) and param.type not in ("array", "object") and not _is_opaque(param)


def _core(param_words: Words) -> Words:
    """Without words that only say whose it is: ``$top``, ``page[limit]`` stay, ``search_limit`` is ``limit``."""
    while len(param_words) > 1 and param_words[0] in _PREFIXES:
        param_words = param_words[1:]
    return param_words


def _named(param: Param, names: frozenset[Words]) -> bool:
    return _core(param.words) in names


def _is_size(param: Param) -> bool:
    if not _named(param, _SIZE_NAMES) or param.type in ("boolean", "array", "object"):
        return False
    if param.format in ("date", "date-time") or (param.type == "string" and param.enum and not _all_digits(param)):
        return False
    plain = _core(param.words) in (
        ("first",),
        ("max",),
        ("num",),
        ("results",),
        ("amount",),
        ("length",),
        ("size",),
    )
    return not plain or param.is_integer


def _all_digits(param: Param) -> bool:
    return all(str(value).isdigit() for value in param.enum)


def _is_opaque(param: Param) -> bool:
    """A string that the server made: no number, whatever it is called."""
    if param.is_integer or str(param.default or "").isdigit() or str(param.example or "").isdigit():
        return False
    return param.type == "string" and bool(_OPAQUE.search(param.text)) and "page number" not in param.text


def _is_opaque_page(param: Param) -> bool:
    return (_named(param, _PAGE_NAMES) or _named(param, _OFFSET_NAMES)) and _is_opaque(param)


def _is_offset(param: Param) -> bool:
    if not _named(param, _OFFSET_NAMES) or _is_opaque(param) or param.format in ("date", "date-time"):
        return False
    if _core(param.words) in (("offset",), ("skip",), ("start", "at"), ("page", "offset"), ("start", "index")):
        return param.type not in ("array", "object", "boolean")
    said = re.search(r"\b(offset|skip|index|position|number of|starting (row|record|item|from))\b", param.text)
    dated = re.search(r"\b(date|time|timestamp|unix|epoch|iso)\b", param.text)
    return not dated and (param.is_integer or (bool(said) and param.type in ("string", "")))


def _is_cursor(param: Param) -> bool:
    core = _core(param.words)
    if core not in _CURSOR_NAMES or param.type in ("boolean", "array", "object"):
        return False
    if param.format in ("date", "date-time"):
        return False
    if core in (("token",), ("next",), ("after",), ("start", "key")):
        paging = re.search(
            r"\b(next|previous|following) (page|set|batch|response|call|request)|\bpaginat|\bcursor\b", param.text
        )
        return paging is not None and not re.search(r"authenticat|access token|\bdate\b|timestamp", param.text)
    return True


def packed_paging(endpoint: Endpoint) -> Param | None:
    """A query parameter that holds an object (JSON, say) with members for paging."""
    kinds = _SIZE_NAMES | _PAGE_NAMES | _OFFSET_NAMES | _CURSOR_NAMES
    members = (
        (param, member) for param in endpoint.params if param.location == "query" for member in param.members
    )
    return next((param for param, member in members if words(member) in kinds), None)
