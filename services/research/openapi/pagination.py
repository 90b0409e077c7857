"""How the next page is asked for: judged by request parameters and response fields together. Pure."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal

from contracts.blueprint import (
    Candidate,
    CursorPagination,
    JsonPath,
    LastRecordPagination,
    LinkHeaderPagination,
    NextUrlPagination,
    NoPagination,
    OffsetPagination,
    PageNumberPagination,
    PageSize,
    Pagination,
)
from services.research.openapi.endpoint import Endpoint, Field, Param, fields_of
from services.research.openapi.ranking import candidate
from services.research.openapi.words import phrases, vocabulary, words

Words = tuple[str, ...]

_SIZE_NAMES: frozenset[Words] = frozenset(
    tuple(name.split())
    for name in [
        "limit",
        "per page",
        "page size",
        "page limit",
        "page length",
        "page len",
        "pagelen",
        "max results",
        "count",
        "size",
        "results per page",
        "items per page",
        "take",
        "top",
        "rows",
        "num results",
        "max items",
        "batch size",
        "max",
        "num",
        "page count",
        "records per page",
        "max page size",
        "page max",
        "number of results",
        "results",
        "amount",
        "hits per page",
        "first",
        "length",
        "pagesize",
        "max count",
        "page items",
        "entries per page",
        "maximum results",
        "perpage",
        "max size",
        "limit count",
    ]
)
_PAGE_NAMES: frozenset[Words] = frozenset(
    tuple(name.split())
    for name in [
        "page",
        "page number",
        "page num",
        "page no",
        "p",
        "page index",
        "current page",
        "pageno",
        "page id",
        "pageindex",
        "pg",
    ]
)
_OFFSET_NAMES: frozenset[Words] = frozenset(
    tuple(name.split())
    for name in [
        "offset",
        "start",
        "skip",
        "start at",
        "start index",
        "start position",
        "from",
        "page offset",
        "first result",
        "start row",
        "start offset",
        "startat",
        "begin",
        "index",
        "record offset",
        "result offset",
        "start from",
    ]
)
_CURSOR_NAMES: frozenset[Words] = frozenset(
    tuple(name.split())
    for name in [
        "cursor",
        "page token",
        "next token",
        "continuation",
        "continuation token",
        "marker",
        "after",
        "page cursor",
        "page after",
        "start cursor",
        "next cursor",
        "next page token",
        "scroll id",
        "bookmark",
        "batch token",
        "next page",
        "next",
        "after cursor",
        "start key",
        "pagination token",
        "page key",
        "nextpage",
        "starting token",
        "cursor token",
        "start after",
        "token",
        "next page id",
        "paging token",
        "next marker",
        "exclusive start key",
        "last evaluated key",
        "cursor mark",
        "search after",
        "starting after",
        "page state",
    ]
)
_LAST_RECORD_NAMES: frozenset[Words] = frozenset(
    tuple(name.split())
    for name in [
        "starting after",
        "since id",
        "after id",
        "last id",
        "min id",
        "start after id",
        "after",
        "last seen id",
        "from id",
    ]
)
_PREFIXES = ("search", "list", "query", "filter", "request", "x", "paging", "pagination", "v")
_OPAQUE = re.compile(
    r"\b(cursor|token|opaque|continuation|next_?cursor|bookmark|previous (response|call|request))\b"
)
_LINK_TEXT = re.compile(
    r"\blink(`|'|\")?\s+(response\s+|http\s+)*header|rel=\\?[\"']?next|web ?linking|rfc ?(5988|8288)"
)
_URL_TEXT = re.compile(r"\b(url|uri|link|href)\b")
_ZERO_BASED = re.compile(
    r"zero[- ]?(based|indexed)|0[- ](based|indexed)|start(s|ing)?\s+(at|from|with)\s+(page\s+)?(0|zero)\b|"
    r"first page is (page )?(0|zero)|value of 0"
)
_MAXIMUM = re.compile(
    r"(?:max(?:imum)?(?:\s+(?:value|allowed|number|limit|page size))*(?:\s+(?:is|of|allowed|value))*\s*[:=]?|up to|"
    r"at most|no (?:more|larger|greater) than|cannot exceed|must not exceed|between \d+ (?:and|to)|"
    r"\b(?:0|1)\s*(?:-|to|\u2013)|<=?)\s*[`'\"(]?(\d{1,3}(?:,\d{3})+|\d{1,6})\b"
)
_USUAL_SIZE = 100
_LARGEST_SIZE = 1000


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


@dataclass(frozen=True)
class PagingFields:
    """What a response says about paging; each the best member for its role."""

    token: tuple[Field, ...] = ()
    next_url: tuple[Field, ...] = ()
    total: Field | None = None
    total_pages: Field | None = None
    has_more: Field | None = None

    @property
    def any(self) -> bool:
        return bool(self.token or self.next_url or self.total or self.total_pages or self.has_more)


@dataclass(frozen=True)
class Habits:
    """What is usual in an API: whether its lists carry a Link header, the name of its cursor parameter, and where
    the token for it is."""

    link_header: bool = False
    cursor: str | None = None
    token: JsonPath | None = None


# --- the request ----------------------------------------------------------------------------------


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


# --- the response ---------------------------------------------------------------------------------

_TOTAL_NAMES = phrases(
    "total|total count|count|total results|total items|total entries|records total|total size|"
    "total records|total set size|total hits|result count|item count|num found|total elements|"
    "total rows|num results|total number|size|record count|total item count|number of results|"
    "results count|full count|total amount|number of items"
)
_TOTAL_PAGES_NAMES = phrases(
    "total pages|pages|page count|last page|num pages|number of pages|pages total|pages count|"
    "pages number|max page|total page count|page total"
)
_HAS_MORE_NAMES = phrases(
    "has more|has next|has next page|more|is truncated|truncated|more available|has more items|"
    "more items|has more pages|more items in collection|has more results|more results|"
    "next page exists|has additional results|more pages"
)
_TOKEN_NAMES = phrases(
    "next cursor|next page token|next token|next marker|continuation token|continuation|end cursor|"
    "next page|cursor|marker|next start|scroll id|next page id|after|next offset|batch token|"
    "page token|next page cursor|next|pagination token|next batch token|bookmark|next key|"
    "next continuation token|next start cursor|cursor next|next page start|next bookmark|"
    "cursor after|next id|nextpage|last evaluated key|next sync token|page next|cursors after|"
    "next position|next page key"
) - {"next sync token"}
_NEXT_URL_NAMES = phrases(
    "next|next url|next page url|next link|next page uri|next uri|next page|next page link|"
    "next href|next page href|odata next link|next path|href next|url next|link next"
)
_TOKENS_OF_NEXT = frozenset({"offset", "cursor", "token", "after", "marker", "id", "key"})
"""What a member called ``next`` or ``next_page`` may hold."""
_PAGING_PARENTS = vocabulary(
    "links link paging pagination page meta metadata cursors cursor response next info pages result data list page"
) | {"next page", "page info", "response metadata", "paging info", "pagination info", "meta data"}


def paging_fields(endpoint: Endpoint, records: JsonPath) -> PagingFields:
    """Looks at the members beside the records (never inside of them), at the top and in paging containers."""
    fields = [
        field for field in fields_of(endpoint.response) if field.path != records and _is_beside(field, records)
    ]
    urls = tuple(field for field in fields if _is_next_url(field))
    return PagingFields(
        token=tuple(sorted((field for field in fields if field not in urls and _is_token(field)), key=_token_rank)),
        next_url=urls,
        total=next((field for field in fields if _is_count(field, _TOTAL_NAMES)), None),
        total_pages=next((field for field in fields if _is_count(field, _TOTAL_PAGES_NAMES)), None),
        has_more=next(
            (field for field in fields if _joined(field.name) in _HAS_MORE_NAMES and field.type in ("boolean", "")),
            None,
        ),
    )


def _joined(name: str) -> str:
    return " ".join(words(name))


def _is_beside(field: Field, records: JsonPath) -> bool:
    """Top level, on the way to the records, or in a container that is about paging."""
    parents = field.path[:-1]
    return all(
        parents[: depth + 1] == records[: depth + 1] or _joined(parent) in _PAGING_PARENTS
        for depth, parent in enumerate(parents)
    )


def _is_next_url(field: Field) -> bool:
    """``next`` and its like, where something says that it is a URL; ``links.next`` and ``next.href`` always are."""
    parents = [_joined(parent) for parent in field.path[:-1]]
    name = _joined(field.name)
    if field.type not in ("string", ""):
        return False
    if name in ("href", "url") and parents and parents[-1] == "next":
        return True
    if name not in _NEXT_URL_NAMES:
        return False
    if name not in ("next", "next page") or field.schema.get("format") in ("uri", "url", "uri-reference"):
        return True
    if parents and parents[-1] in ("links", "link"):
        return True
    examples = [*field.schema.get("examples", ()), field.schema.get("default")]
    if any(isinstance(value, str) and ("/" in value or "?" in value) for value in examples):
        return True
    return bool(_URL_TEXT.search(str(field.schema.get("description", "")).lower()))


def _is_token(field: Field) -> bool:
    name = _joined(field.name)
    parents = [_joined(parent) for parent in field.path[:-1]]
    if field.type not in ("string", "integer", "number", ""):
        return False
    if parents and words(parents[-1])[:1] == ("next",) and name in _TOKENS_OF_NEXT:
        return True
    if name in ("after", "next") and not set(parents) & {
        "cursors",
        "cursor",
        "paging",
        "pagination",
        "meta",
        "page",
    }:
        return field.type == "string" and name == "next"
    return name in _TOKEN_NAMES


def _token_rank(field: Field) -> tuple[int, int]:
    """``next_...`` before a bare ``cursor`` (which may be an echo), shallow before deep."""
    return (0 if "next" in words(field.name) or "end" in words(field.name) else 1, len(field.path))


def _is_count(field: Field, names: frozenset[str]) -> bool:
    return _joined(field.name) in names and field.type in ("integer", "number", "")


# --- together -------------------------------------------------------------------------------------


def pagination_candidates(
    endpoint: Endpoint, records: JsonPath, key: JsonPath | None, habits: Habits
) -> list[Candidate[Pagination]]:
    """Candidates in no order; "none" is always among them. ``key`` is the record's own id, for APIs that page by
    it; ``habits`` is how the API's other lists do it."""
    params, fields = page_params(endpoint), paging_fields(endpoint, records)
    size = _size(params.size)
    more = fields.has_more.path if fields.has_more else None
    found: list[Candidate[Pagination]] = []
    found += _by_next_url(endpoint, params, fields, size)
    found += _by_cursor(endpoint, params, fields, size, more, habits)
    found += _by_last_record(endpoint, params, fields, size, more, key)
    found += _by_number(endpoint, params, fields, size, more)
    found += _by_header(endpoint, params, size, habits)
    sure = 0.8 if not found else 0.15
    if params.size is not None and not found:
        sure = 0.55
    reason = "no parameter and no field for paging" if not found else "last resort: one page is all"
    if (packed := _packed(endpoint)) is not None and not found:
        sure, reason = 0.3, f"the paging is packed into the parameter {packed.name}"
    found.append(candidate(NoPagination(), sure, endpoint.evidence(reason)))
    return found


def _packed(endpoint: Endpoint) -> Param | None:
    """A query parameter that holds an object (JSON, say) with members for paging."""
    kinds = _SIZE_NAMES | _PAGE_NAMES | _OFFSET_NAMES | _CURSOR_NAMES
    members = (
        (param, member) for param in endpoint.params if param.location == "query" for member in param.members
    )
    return next((param for param, member in members if words(member) in kinds), None)


def _size(param: Param | None) -> PageSize | None:
    return PageSize(param=param.name, value=_size_value(param)) if param is not None else None


def _size_value(param: Param) -> int:
    """The largest page that the document allows, within reason."""
    numbers = [int(str(value)) for value in param.enum if str(value).isdigit()]
    if numbers:
        return max(1, min(max(numbers), _LARGEST_SIZE))
    if param.maximum is not None and param.maximum >= 1:
        return int(min(param.maximum, _LARGEST_SIZE))
    said = [int(match.replace(",", "")) for match in _MAXIMUM.findall(param.text)]
    default = int(str(param.default)) if str(param.default or "").isdigit() else 0
    if said and max(said) >= max(default, 1):
        return min(max(said), _LARGEST_SIZE)
    return min(default, _LARGEST_SIZE) if default > 1 else _USUAL_SIZE


def _by_next_url(
    endpoint: Endpoint, params: PageParams, fields: PagingFields, size: PageSize | None
) -> list[Candidate[Pagination]]:
    return [
        candidate(
            NextUrlPagination(path=field.path, size=size),
            0.92 - 0.02 * rank,
            endpoint.response_evidence(field.path, "the URL of the next page"),
        )
        for rank, field in enumerate(fields.next_url)
    ]


def _place(param: Param) -> Literal["query", "body"]:
    return "body" if param.location == "body" else "query"


def _by_cursor(
    endpoint: Endpoint,
    params: PageParams,
    fields: PagingFields,
    size: PageSize | None,
    more: JsonPath | None,
    habits: Habits,
) -> list[Candidate[Pagination]]:
    found: list[Candidate[Pagination]] = []
    for param in (*params.cursors, *((params.page,) if params.page and not params.page.is_integer else ())):
        for field in fields.token:
            match = _affinity(param, field)
            if param is params.page and match < 0.1:
                continue
            cursor = CursorPagination(
                param=param.name, path=field.path, size=size, has_more_path=more, location=_place(param)
            )
            evidence = (param.evidence(), endpoint.response_evidence(field.path, "the token of the next page"))
            found.append(candidate(cursor, 0.85 + match, *evidence))
    if not params.cursors and not params.page and not params.offset and fields.token:
        found += _undeclared_cursor(endpoint, fields.token[0], size, more, habits.cursor)
    if params.cursors and not fields.token and not fields.next_url and habits.token is not None:
        cursor = CursorPagination(
            param=params.cursors[0].name, path=habits.token, size=size, location=_place(params.cursors[0])
        )
        note = endpoint.evidence(f"other lists of the API hand out the token at {'.'.join(habits.token)}")
        found.append(candidate(cursor, 0.65, params.cursors[0].evidence(), note))
    for param in params.cursors:
        for name, _ in endpoint.headers:
            if set(words(name)) & {"next", "cursor", "continuation"} and not set(words(name)) & {"limit", "link"}:
                cursor = CursorPagination(param=param.name, source="header", header=name, size=size)
                found.append(
                    candidate(cursor, 0.85, param.evidence(), endpoint.evidence(f"response header {name}"))
                )
    return found


def _affinity(param: Param, field: Field) -> float:
    """How well the two names go together: ``page_token`` with ``next_page_token`` better than with ``cursor``."""
    shared = set(param.words) & set(words(field.name))
    return min(0.1, 0.05 * len(shared)) + (0.03 if "next" in words(field.name) else 0.0) - 0.01 * len(field.path)


def _undeclared_cursor(
    endpoint: Endpoint, field: Field, size: PageSize | None, more: JsonPath | None, api_cursor: str | None
) -> list[Candidate[Pagination]]:
    """The response hands out a token, but no parameter takes it."""
    if "next" not in words(field.name):
        return []
    own = "_".join(word for word in words(field.name) if word != "next") or "cursor"
    names = [(api_cursor, 0.6)] if api_cursor else []
    names += [(own, 0.3), (f"start_{own}" if own == "cursor" else "page_token", 0.25)]
    body = endpoint.method == "post"
    return [
        candidate(
            CursorPagination(
                param=name, path=field.path, size=size, has_more_path=more, location="body" if body else "query"
            ),
            confidence,
            endpoint.response_evidence(field.path, "a token, but no parameter that takes it is declared"),
        )
        for name, confidence in names
    ]


def _by_last_record(
    endpoint: Endpoint,
    params: PageParams,
    fields: PagingFields,
    size: PageSize | None,
    more: JsonPath | None,
    key: JsonPath | None,
) -> list[Candidate[Pagination]]:
    param = params.last_record
    if param is None:
        return []
    said = re.search(r"\b(object|record|item|last|id|entry|element)\b", param.text) is not None
    confidence = 0.6 + (0.15 if said else 0.0) + (0.1 if more else 0.0) - (0.4 if fields.token else 0.0)
    if param.words[-1] == "after" and len(param.words) == 1 and not said:
        confidence -= 0.3
    last = LastRecordPagination(
        param=param.name, field=key or ("id",), size=size, has_more_path=more, location=_place(param)
    )
    return [candidate(last, confidence - (0.0 if key else 0.1), param.evidence())]


def _by_number(
    endpoint: Endpoint, params: PageParams, fields: PagingFields, size: PageSize | None, more: JsonPath | None
) -> list[Candidate[Pagination]]:
    found: list[Candidate[Pagination]] = []
    if (param := params.page) is not None:
        page = PageNumberPagination(
            param=param.name,
            start=_start(param),
            size=size,
            total_pages_path=fields.total_pages.path if fields.total_pages else None,
            has_more_path=more,
            location=_place(param),
        )
        confidence = 0.8 + (0.05 if size else 0.0) + (0.03 if fields.total_pages or fields.total else 0.0)
        found.append(candidate(page, confidence, param.evidence()))
        other = page.model_copy(update={"start": 1 - page.start})
        found.append(candidate(other, 0.3, param.evidence("the other way of counting")))
    if (param := params.offset) is not None:
        offset = OffsetPagination(
            param=param.name,
            start=1 if param.default == 1 or param.minimum == 1 else 0,
            size=size,
            total_path=fields.total.path if fields.total else None,
            has_more_path=more,
            location=_place(param),
        )
        confidence = 0.8 + (0.05 if size else -0.1) + (0.03 if fields.total else 0.0)
        if params.page is not None:
            confidence -= 0.1
        found.append(candidate(offset, confidence, param.evidence()))
    return found


def _start(param: Param) -> int:
    """Of the first page: what the default or the description says, else what the minimum allows, else 1."""
    if param.default is not None and str(param.default) in ("0", "1"):
        return int(str(param.default))
    if _ZERO_BASED.search(param.text):
        return 0
    return 0 if param.minimum == 0 and "start" not in param.text else 1


def _by_header(
    endpoint: Endpoint, params: PageParams, size: PageSize | None, habits: Habits
) -> list[Candidate[Pagination]]:
    link = LinkHeaderPagination(size=size)
    if any(name.lower() == "link" for name, _ in endpoint.headers):
        return [candidate(link, 0.9, endpoint.evidence("response header Link"))]
    if _LINK_TEXT.search(endpoint.text) or any(_LINK_TEXT.search(param.text) for param in endpoint.params):
        return [candidate(link, 0.82, endpoint.evidence("the description names the Link header"))]
    if habits.link_header and params.any:
        return [candidate(link, 0.7, endpoint.evidence("the API pages by the Link header"))]
    if params.cursors or params.page:
        return [candidate(link, 0.3, endpoint.evidence("a Link header that is not described"))]
    return []


def habits_of(text: str, endpoints: Iterable[Endpoint]) -> Habits:
    """How an API usually pages, from its description and from those of its lists that say it completely."""
    link_header = _LINK_TEXT.search(text.lower()) is not None
    cursors: Counter[str] = Counter()
    tokens: Counter[JsonPath] = Counter()
    for endpoint in endpoints:
        link_header = link_header or any(name.lower() == "link" for name, _ in endpoint.headers)
        params = page_params(endpoint)
        cursors.update(param.name for param in params.cursors)
        if params.cursors:
            tokens.update(field.path for field in paging_fields(endpoint, ()).token[:1])
    return Habits(
        link_header=link_header,
        cursor=cursors.most_common(1)[0][0] if cursors else None,
        token=tokens.most_common(1)[0][0] if tokens else None,
    )
