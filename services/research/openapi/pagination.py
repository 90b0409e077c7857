"""How the next page is asked for: judged by request parameters and response fields together. Pure."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, TypeVar

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
from services.research.openapi.endpoint import Endpoint, Field, Param
from services.research.openapi.paging_request import PageParams, packed_paging, page_params
from services.research.openapi.paging_response import PagingFields, paging_fields
from services.research.openapi.ranking import candidate
from services.research.openapi.words import words

T = TypeVar("T")
_LINK_TEXT = re.compile(
    r"\blink(`|'|\")?\s+(response\s+|http\s+)*header|rel=\\?[\"']?next|web ?linking|rfc ?(5988|8288)"
)
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
class Habits:
    """What is usual in an API: whether its lists carry a Link header, the name of its cursor parameter, and where
    the token for it, or the next page's URL, is."""

    link_header: bool = False
    cursor: str | None = None
    token: JsonPath | None = None
    next_url: JsonPath | None = None


def pagination_candidates(
    endpoint: Endpoint, records: JsonPath, key: JsonPath | None, habits: Habits
) -> list[Candidate[Pagination]]:
    """Candidates in no order; "none" is always among them. ``key`` is the record's own id, for APIs that page by
    it; ``habits`` is how the API's other lists do it."""
    params, fields = page_params(endpoint), paging_fields(endpoint, records)
    size = _size(params.size)
    more = fields.has_more.path if fields.has_more else None
    found: list[Candidate[Pagination]] = []
    found += _by_next_url(endpoint, params, fields, size, habits)
    found += _by_cursor(endpoint, params, fields, size, more, habits)
    found += _by_last_record(endpoint, params, fields, size, more, key)
    found += _by_number(endpoint, params, fields, size, more)
    found += _by_header(endpoint, params, size, habits)
    sure = 0.8 if not found else 0.15
    if params.size is not None and not found:
        sure = 0.55
    reason = "no parameter and no field for paging" if not found else "last resort: one page is all"
    if (packed := packed_paging(endpoint)) is not None and not found:
        sure, reason = 0.3, f"the paging is packed into the parameter {packed.name}"
    found.append(candidate(NoPagination(), sure, endpoint.evidence(reason)))
    return found


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
    endpoint: Endpoint, params: PageParams, fields: PagingFields, size: PageSize | None, habits: Habits
) -> list[Candidate[Pagination]]:
    if params.cursors and habits.next_url is not None and not fields.next_url and not fields.token:
        note = endpoint.evidence(f"other lists of the API hand out the next URL at {'.'.join(habits.next_url)}")
        usual = NextUrlPagination(path=habits.next_url, size=size)
        return [candidate(usual, 0.6, params.cursors[0].evidence(), note)]
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
    found += _by_following(endpoint, params, fields, size, more)
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


def _by_following(
    endpoint: Endpoint, params: PageParams, fields: PagingFields, size: PageSize | None, more: JsonPath | None
) -> list[Candidate[Pagination]]:
    """A parameter whose next value the response hands out by the same name (``stream_position`` and
    ``next_stream_position``), whatever that name is."""
    counted = (params.size, params.page, params.offset)
    moving = [param for param in endpoint.params if param.location in ("query", "body") and param not in counted]
    pairs = ((param, field) for param in moving for field in fields.following)
    return [
        candidate(
            CursorPagination(
                param=param.name, path=field.path, size=size, has_more_path=more, location=_place(param)
            ),
            0.9,
            param.evidence(),
            endpoint.response_evidence(field.path, "the parameter's next value"),
        )
        for param, field in pairs
        if words(field.name)[1:] == param.words
    ]


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
    urls: Counter[JsonPath] = Counter()
    for endpoint in endpoints:
        link_header = link_header or any(name.lower() == "link" for name, _ in endpoint.headers)
        params = page_params(endpoint)
        cursors.update(param.name for param in params.cursors)
        if params.cursors:
            fields = paging_fields(endpoint, ())
            tokens.update(field.path for field in fields.token[:1])
            urls.update(field.path for field in fields.next_url[:1])
    return Habits(link_header, _commonest(cursors), _commonest(tokens), _commonest(urls))


def _commonest(counts: Counter[T]) -> T | None:
    return counts.most_common(1)[0][0] if counts else None
