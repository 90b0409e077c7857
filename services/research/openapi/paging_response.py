"""What a response says about paging, beside its records. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from contracts.blueprint import JsonPath
from services.research.openapi.endpoint import Endpoint, Field, fields_of
from services.research.openapi.words import phrases, vocabulary, words

_TOTAL_NAMES = phrases(
    "total|total count|count|total results|total items|total entries|records total|total size|"
    "total records|total set size|total hits|result count|item count|num found|total elements|"
    "total rows|num results|total number|size|record count|total item count|number of results|"
    "results count|full count|total amount|number of items|nb hits|nb results|items total|results total|"
    "count total|total matches|total docs|found|hits total|entries total|row count|max results count|total found"
)
_TOTAL_PAGES_NAMES = phrases(
    "total pages|pages|page count|last page|num pages|number of pages|pages total|pages count|"
    "pages number|max page|total page count|page total|nb pages|total page|last page number|page last|max pages"
)
_HAS_MORE_NAMES = phrases(
    "has more|has next|has next page|more|is truncated|truncated|more available|has more items|"
    "more items|has more pages|more items in collection|has more results|more results|"
    "next page exists|has additional results|more pages"
)
_MORE = vocabulary("more additional truncated")
_MORE_ABOUT = vocabulary(
    "has have is are there more additional truncated next available exist exists result results item items record "
    "records page pages data entries rows in collection list to load"
)
_TOKEN_NAMES = phrases(
    "next cursor|next page token|next token|next marker|continuation token|continuation|end cursor|"
    "next page|cursor|marker|next start|scroll id|next page id|after|next offset|batch token|"
    "page token|next page cursor|next|pagination token|next batch token|bookmark|next key|"
    "next continuation token|next start cursor|cursor next|next page start|next bookmark|"
    "cursor after|next id|nextpage|last evaluated key|page next|cursors after|"
    "next position|next page key|continue|next cursor mark|next skip token|next scroll id|next page info|"
    "next after|resume token|next starting after|next since id|paging token|next page hash|next max id|"
    "next search after|after cursor|next page number|next page state|page state|next cursor id|skip token"
)
_NEXT_URL_NAMES = phrases(
    "next|next url|next page url|next link|next page uri|next uri|next page|next page link|"
    "next href|next page href|odata next link|next path|href next|url next|link next"
)
_URL_WORDS = vocabulary("url uri link href path")
_NEXT_WORDS = _URL_WORDS | vocabulary("next page records results items batch set odata list response")
"""What a name that starts with ``next`` and says that it is a URL may be made of (``nextRecordsUrl``)."""
_TOKENS_OF_NEXT = vocabulary("offset cursor token after marker id key page start") | {
    "starting after",
    "page token",
    "start cursor",
    "page cursor",
}
"""What a member called ``next`` or ``next_page`` may hold."""
_PAGING_PARENTS = vocabulary(
    "links link paging pagination page meta metadata cursors cursor response next info pages result data list pager"
) | {
    "next page",
    "page info",
    "response metadata",
    "paging info",
    "pagination info",
    "meta data",
    "additional data",
    "page meta",
    "result info",
    "response meta",
    "paging metadata",
    "pagination metadata",
    "response info",
}
_URL_TEXT = re.compile(r"\b(url|uri|link|href|path)\b")


@dataclass(frozen=True)
class PagingFields:
    """What a response says about paging; each the best member for its role; ``following`` are all that are called
    ``next...`` and are no URL, ``beside`` all members that could hold a token."""

    token: tuple[Field, ...] = ()
    next_url: tuple[Field, ...] = ()
    following: tuple[Field, ...] = ()
    beside: tuple[Field, ...] = ()
    total: Field | None = None
    total_pages: Field | None = None
    has_more: Field | None = None

    @property
    def any(self) -> bool:
        return bool(self.token or self.next_url or self.total or self.total_pages or self.has_more)


def paging_fields(endpoint: Endpoint, records: JsonPath) -> PagingFields:
    """Looks at the members beside the records (never inside of them), at the top and in paging containers."""
    fields = [
        field for field in fields_of(endpoint.response) if field.path != records and _is_beside(field, records)
    ]
    urls = tuple(field for field in fields if _is_next_url(field))
    return PagingFields(
        token=tuple(sorted((field for field in fields if field not in urls and _is_token(field)), key=_token_rank)),
        next_url=tuple(sorted(urls, key=_url_rank)),
        following=tuple(field for field in fields if field not in urls and words(field.name)[:1] == ("next",)),
        beside=tuple(field for field in fields if field.type in ("string", "") and field not in urls),
        total=min((field for field in fields if _is_count(field, _TOTAL_NAMES)), key=_total_rank, default=None),
        total_pages=next((field for field in fields if _is_count(field, _TOTAL_PAGES_NAMES)), None),
        has_more=next((field for field in fields if _is_has_more(field)), None),
    )


@lru_cache(maxsize=16384)
def _joined(name: str) -> str:
    return " ".join(words(name))


def _is_beside(field: Field, records: JsonPath) -> bool:
    """Top level, on the way to the records, or in a container that is about paging."""
    parents = field.path[:-1]
    return all(
        parents[: depth + 1] == records[: depth + 1] or _joined(parent) in _PAGING_PARENTS
        for depth, parent in enumerate(parents)
    )


def _is_has_more(field: Field) -> bool:
    name = _joined(field.name)
    if name in _HAS_MORE_NAMES:
        return field.type in ("boolean", "")
    own = set(words(field.name))
    return field.type == "boolean" and bool(own & _MORE) and own <= _MORE_ABOUT


def _is_next_url(field: Field) -> bool:
    """``next`` and its like, where something says that it is a URL; ``links.next`` and ``next.href`` always are."""
    parents = [_joined(parent) for parent in field.path[:-1]]
    name = _joined(field.name)
    if field.type not in _TEXTS:
        return False
    if name in _URL_WORDS and parents and parents[-1] in ("next", "next page"):
        return name != "path" or field.type == "string"
    own = words(field.name)
    spelled = bool(own) and "next" in own and bool(_URL_WORDS & set(own)) and set(own) <= _NEXT_WORDS
    if spelled or (name in _NEXT_URL_NAMES and name not in ("next", "next page")):
        return True
    if name not in ("next", "next page"):
        return False
    return _looks_like_url(field) or bool({"links", "link"} & set(parents))


_TEXTS = ("string", "", "null")
"""``null`` is what an example of the last page says."""


def _looks_like_url(field: Field) -> bool:
    if field.schema.get("format") in ("uri", "url", "uri-reference"):
        return True
    examples = [*field.schema.get("examples", ()), field.schema.get("default")]
    if any(isinstance(value, str) and ("/" in value or "?" in value) for value in examples):
        return True
    return bool(_URL_TEXT.search(str(field.schema.get("description", "")).lower()))


def _url_rank(field: Field) -> tuple[bool, int]:
    """What is certainly a URL before a path, shallow before deep."""
    return "path" in words(field.name), len(field.path)


def _is_token(field: Field) -> bool:
    name = _joined(field.name)
    parents = [_joined(parent) for parent in field.path[:-1]]
    if field.type not in ("string", "integer", "number", "", "null"):
        return False
    if parents and words(parents[-1])[:1] == ("next",) and name in _TOKENS_OF_NEXT:
        return True
    if name in ("after", "next", "continue") and not set(parents) & _NAMING_PARENTS:
        return field.type == "string" and name == "next"
    return name in _TOKEN_NAMES


_NAMING_PARENTS = vocabulary("cursors cursor paging pagination meta metadata page") | {
    "page info",
    "additional data",
}
"""In these, a bare ``after`` or ``next`` is about pages."""


def _token_rank(field: Field) -> tuple[int, int]:
    """``next_...`` before a bare ``cursor`` (which may be an echo), shallow before deep; a page's number last."""
    own = words(field.name)
    named = 0 if "next" in own or "end" in own or words(".".join(field.path[:-1]))[-1:] == ("next",) else 1
    return (2 if "number" in own else named, len(field.path))


def _total_rank(field: Field) -> bool:
    """Where there is a ``total``, a ``count`` or ``size`` beside it is that of the page."""
    return not {"total", "full", "found", "hits"} & set(words(field.name))


_COUNT_TEXT = re.compile(r"\b(number|total|count)\b")


def _is_count(field: Field, names: frozenset[str]) -> bool:
    """Some APIs write their numbers as text; then the description must say that it is one."""
    if _joined(field.name) not in names:
        return False
    if field.type == "string":
        return _COUNT_TEXT.search(str(field.schema.get("description", "")).lower()) is not None
    return field.type in ("integer", "number", "")
