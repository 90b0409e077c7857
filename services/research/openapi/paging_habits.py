"""How an API usually pages: what a list leaves out, its neighbours may say. Pure."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeVar

from contracts.blueprint import JsonPath
from services.research.openapi.endpoint import Endpoint, Param
from services.research.openapi.paging_request import page_params
from services.research.openapi.paging_response import paging_fields

T = TypeVar("T")
_LINK_TEXT = re.compile(
    r"\blink(`|'|\")?\s+(response\s+|http\s+)*header|\blinks?\b[^.]{0,60}\b(response|http) headers?\b|"
    r"rel=\\?[\"']?next|web ?linking|rfc ?(5988|8288)"
)


@dataclass(frozen=True)
class Habits:
    """Whether an API's lists carry a Link header, the name of its cursor parameter, where the token for it or the
    next page's URL is, and the parameters that count pages or records."""

    link_header: bool = False
    cursor: str | None = None
    token: JsonPath | None = None
    next_url: JsonPath | None = None
    page: Param | None = None
    offset: Param | None = None


def names_link_header(text: str) -> bool:
    """Whether a text (in lower case) speaks of RFC 8288's ``Link: <url>; rel="next"``."""
    return _LINK_TEXT.search(text) is not None


def habits_of(text: str, endpoints: Iterable[Endpoint]) -> Habits:
    """From an API's description and from those of its lists that say it completely."""
    link_header = names_link_header(text.lower())
    cursors: Counter[str] = Counter()
    tokens: Counter[JsonPath] = Counter()
    urls: Counter[JsonPath] = Counter()
    pages: dict[str, list[Param]] = {}
    offsets: dict[str, list[Param]] = {}
    for endpoint in endpoints:
        link_header = link_header or any(name.lower() == "link" for name, _ in endpoint.headers)
        params, fields = page_params(endpoint), paging_fields(endpoint, ())
        cursors.update(param.name for param in params.cursors)
        urls.update(field.path for field in fields.next_url[:1])
        if params.cursors:
            tokens.update(field.path for field in fields.token[:1])
        for found, param in ((pages, params.page), (offsets, params.offset)):
            if param is not None:
                found.setdefault(param.name, []).append(param)
    return Habits(
        link_header, _commonest(cursors), _commonest(tokens), _commonest(urls), _usual(pages), _usual(offsets)
    )


def _commonest(counts: Counter[T]) -> T | None:
    return counts.most_common(1)[0][0] if counts else None


def _usual(params: dict[str, list[Param]]) -> Param | None:
    return max(params.values(), key=len)[0] if params else None
