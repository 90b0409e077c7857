"""Which parameters of a request turn pages: by name, type and description. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from services.research.openapi.endpoint import Endpoint, Param
from services.research.openapi.words import phrases, vocabulary, words

Words = tuple[str, ...]


def _names(text: str) -> frozenset[Words]:
    return frozenset(tuple(phrase.split()) for phrase in phrases(text))


_SIZE_NAMES = _names(
    "limit|per page|page size|page limit|page length|page len|pagelen|max results|count|size|"
    "results per page|items per page|take|top|rows|num results|max items|batch size|max|num|"
    "page count|records per page|max page size|page max|number of results|results|amount|"
    "hits per page|first|length|pagesize|max count|page items|entries per page|maximum results|"
    "perpage|max size|limit count|results limit|max entries|max records|nb per page|chunk size|fetch size|page rows"
)
_LOOSE_SIZE_NAMES = _names("first|max|num|results|amount|length|size")
"""Names that mean other things as well: an amount of money, the length of a text. Numbers only, and whatever else
there is goes first."""
_PAGE_NAMES = _names(
    "page|page number|page num|page no|p|page index|current page|pageno|page id|pageindex|pg|page nr|page offset"
)
_OFFSET_NAMES = _names(
    "offset|start|skip|start at|start index|start position|from|page offset|first result|"
    "start row|start offset|startat|begin|index|record offset|result offset|start from|first|start record|"
    "first row|start item|results offset|from index|begin index|items offset|offset index"
)
_SURE_OFFSET_NAMES = _names("offset|skip|start at|page offset|start index|start row|first result")
_CURSOR_NAMES = _names(
    "cursor|page token|next token|continuation|continuation token|marker|after|page cursor|"
    "page after|start cursor|next cursor|next page token|scroll id|bookmark|batch token|next page|"
    "next|after cursor|start key|pagination token|page key|nextpage|starting token|cursor token|"
    "start after|token|next page id|paging token|next marker|exclusive start key|"
    "last evaluated key|cursor mark|search after|starting after|page state|page info|continue|skip token|skiptoken|"
    "resume token|next key|start token|page marker|cursor id|next id|scroll|sync cursor|page hash|pagination key"
)
_VAGUE_CURSOR_NAMES = _names("token|next|after|start key|continue|next id|scroll|continuation")
_LAST_RECORD_NAMES = _names(
    "starting after|since id|after id|last id|min id|start after id|after|last seen id|from id|start after|"
    "last record id|after key|start id|greater than id|id gt|id after"
)
_BACKWARD_NAMES = _names("before id|max id|before|until id|older than id|id lt|id before|ending before")
"""Lists that come newest first are walked towards the older records."""
_PACKED_NAMES = _names("page|page size|per page|limit|offset|skip|cursor|page token|page number|starting after")
_EVERY_NAME = _SIZE_NAMES | _PAGE_NAMES | _OFFSET_NAMES | _CURSOR_NAMES | _LAST_RECORD_NAMES
_PREFIXES = vocabulary("search list query filter request x paging pagination pager options v criteria sysparm")
_OPAQUE = re.compile(
    r"\b(cursor|token|opaque|continuation|next_?cursor|bookmark|previous (response|call|request))\b"
)
_UNUSED = re.compile(
    r"^\W*(deprecated|obsolete|reserved for|not used|unused|ignored)\b|no longer (used|supported|has)"
)
_ABOUT_PAGES = re.compile(r"\b(pages?|paginat\w+|paging|records?|results?|items?|entries|rows|objects|elements)\b")
_POSITION = re.compile(
    r"\b(offset|skip(ped)?|index|position|starting (row|record|item|from)|"
    r"first (result|row|record|item)|from which)\b"
)
_NEXT_PAGE = re.compile(
    r"\b(next|previous|following) (page|set|batch|response|call|request|results)|\bpaginat|\bpaging\b|\bcursor\b|"
    r"\b(more|further|remaining) (results|records|items|data|entries)"
)
_RECORD_ID = re.compile(
    r"\b(ids?|identifier|last (object|record|item|entry|element)|(object|record|item|entry)'?s? id)\b"
)
_DATED = re.compile(r"\b(dates?|times?|timestamp|unix|epoch|iso)\b")


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
    """The parameters by role; what the document calls deprecated, reserved or ignored is not offered."""
    params = tuple(
        param for param in endpoint.params if param.location in ("query", "body") and not _UNUSED.search(param.text)
    )
    sizes = [param for param in params if _is_size(param)]
    size = min(sizes, key=lambda param: _core(param.words) in _LOOSE_SIZE_NAMES, default=None)
    rest = [param for param in params if param is not size]
    page = next((param for param in rest if _is_page(param)), None)
    offsets = [param for param in rest if param is not page and _is_offset(param)]
    offset = min(offsets, key=lambda param: _core(param.words) not in _SURE_OFFSET_NAMES, default=None)
    cursors = tuple(
        param for param in rest if param not in (page, offset) and (_is_cursor(param) or _is_opaque_page(param))
    )
    return PageParams(size, page, offset, cursors, _last_record(rest))


@lru_cache(maxsize=4096)
def _core(param_words: Words) -> Words:
    """Without words that only say whose it is: ``search_limit`` is ``limit``; ``page[limit]`` and
    ``pagination_token`` are names of their own."""
    while len(param_words) > 1 and param_words[0] in _PREFIXES and param_words not in _EVERY_NAME:
        param_words = param_words[1:]
    return param_words


def _named(param: Param, names: frozenset[Words]) -> bool:
    return _core(param.words) in names


def _is_page(param: Param) -> bool:
    return (
        _named(param, _PAGE_NAMES)
        and param.type not in ("array", "object", "boolean")
        and not _is_opaque(param)
        and not _skips(param)
    )


def _skips(param: Param) -> bool:
    """``page_offset`` counts pages or records: what it skips is said."""
    return _core(param.words) == ("page", "offset") and not re.search(r"\bpage(s| number)\b", param.text)


def _is_size(param: Param) -> bool:
    if not _named(param, _SIZE_NAMES) or param.type in ("boolean", "array", "object"):
        return False
    if param.format in ("date", "date-time") or (param.type == "string" and param.enum and not _all_digits(param)):
        return False
    if param.is_integer and _core(param.words) == ("first",):
        return not _counts_records(param)
    core = _core(param.words)
    if core == ("amount",):
        return param.is_integer and _ABOUT_PAGES.search(param.text) is not None
    return param.is_integer or core not in _LOOSE_SIZE_NAMES


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
    if _core(param.words) == ("first",):
        return param.is_integer and _counts_records(param)
    if _core(param.words) in _SURE_OFFSET_NAMES:
        return param.type not in ("array", "object", "boolean")
    dated = _DATED.search(param.text)
    return not dated and (param.is_integer or (_counts_records(param) and param.type in ("string", "")))


def _counts_records(param: Param) -> bool:
    """Whether the description speaks of a place in the list."""
    if _core(param.words) != ("first",) and "number of" in param.text:
        return True
    return _POSITION.search(param.text) is not None


def _is_cursor(param: Param) -> bool:
    core = _core(param.words)
    if core not in _CURSOR_NAMES or param.type in ("boolean", "array", "object"):
        return False
    if param.format in ("date", "date-time"):
        return False
    if core in _VAGUE_CURSOR_NAMES:
        paging = _NEXT_PAGE.search(param.text)
        return paging is not None and not re.search(r"authenticat|access token|\bdate\b|timestamp", param.text)
    return True


def _last_record(params: Iterable[Param]) -> Param | None:
    """The parameter that takes the id of the last record seen; one that goes forward first."""
    dateless = [param for param in params if param.format not in ("date", "date-time")]
    forward = next((param for param in dateless if _named(param, _LAST_RECORD_NAMES)), None)
    if forward is not None:
        return forward
    return next(
        (
            param
            for param in dateless
            if _named(param, _BACKWARD_NAMES)
            and (param.words[-1] == "id" or _RECORD_ID.search(param.text))
            and not _DATED.search(param.text)
        ),
        None,
    )


def packed_paging(endpoint: Endpoint) -> Param | None:
    """A parameter that holds an object (JSON, say) with members for paging: nothing can fill it in. The members of
    a ``deepObject`` are parameters of their own."""
    spelled = {param.name for param in endpoint.params}
    members = (
        (param, member)
        for param in endpoint.params
        if param.location == "query"
        for member in param.members
        if f"{param.name}[{member}]" not in spelled
    )
    return next((param for param, member in members if words(member) in _PACKED_NAMES), None)
