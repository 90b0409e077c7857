"""Servers that turn their pages in another way than their document says."""

from __future__ import annotations

from tests.support.contrary.model import SIZE, THING, Contrary, Shelf, listed, whole
from tests.support.openapi import array, get, query
from tests.support.paged_api import Answer, Asked

LIMIT = query("limit", "integer", "Things on a page.", maximum=100)
OFFSET = query("offset", "integer", "Number of things to skip.")
PAGE = query("page", "integer", "The page.")
NEXT_CURSOR = {"type": "string", "nullable": True, "description": "Cursor of the next page."}
CURSOR = query("cursor", "string", "The cursor of the page, from next_cursor.")


def _token_named_offset(shelf: Shelf, asked: Asked) -> Answer:
    """A token that the server does not know leads behind the end."""
    token = asked.query.get("offset", "")
    known = token.removeprefix("itr")
    begin = 0 if token in ("", "0") else int(known) if token != known else len(shelf.rows)
    more = {"offset": f"itr{begin + SIZE}"} if shelf.more(begin) else {}
    return Answer(body={"records": shelf.cut(begin), **more})


def _by_link(shelf: Shelf, asked: Asked) -> Answer:
    begin = whole(asked, "after", 0)
    link = {"Link": f'</things?after={begin + SIZE}>; rel="next"'} if shelf.more(begin) else {}
    return Answer(body={"data": shelf.cut(begin)}, headers=link)


def _by_link_at_root(shelf: Shelf, asked: Asked) -> Answer:
    found = _by_link(shelf, asked)
    return Answer(body=found.body["data"], headers=found.headers)


def _capped(shelf: Shelf, asked: Asked) -> Answer:
    return Answer(body={"data": shelf.cut(whole(asked, "offset", 0), min(whole(asked, "limit", SIZE), SIZE))})


def _pages_from_zero(shelf: Shelf, asked: Asked) -> Answer:
    return Answer(body={"data": shelf.cut(whole(asked, "page", 0) * SIZE)})


def _pages_from_one(shelf: Shelf, asked: Asked) -> Answer:
    return Answer(body={"data": shelf.cut((whole(asked, "page", 1) - 1) * SIZE)})


def _offset_of_pages(shelf: Shelf, asked: Asked) -> Answer:
    return Answer(body={"data": shelf.cut(whole(asked, "offset", 0) * SIZE)})


def _cursor_on_full_pages(shelf: Shelf, asked: Asked) -> Answer:
    begin = whole(asked, "cursor", 0)
    page = shelf.cut(begin)
    cursor = {"next_cursor": str(begin + SIZE)} if len(page) == SIZE else {}
    return Answer(body={"data": page, **cursor})


def _cursor_elsewhere(shelf: Shelf, asked: Asked) -> Answer:
    begin = whole(asked, "cursor", 0)
    paging = {"next_cursor": str(begin + SIZE), "has_more": True} if shelf.more(begin) else {"has_more": False}
    return Answer(body={"data": shelf.cut(begin), "paging": paging})


def _cursor_repeated(shelf: Shelf, asked: Asked) -> Answer:
    begin = whole(asked, "cursor", 0)
    following = begin + SIZE if shelf.more(begin) else begin
    return Answer(body={"data": shelf.cut(begin), "next_cursor": str(following)})


def _next_on_another_path(shelf: Shelf, asked: Asked) -> Answer:
    tail = asked.path.removeprefix("/things").removeprefix("/more/")
    begin = int(tail) if tail else 0
    return Answer(
        body={"data": shelf.cut(begin), "next": f"/things/more/{begin + SIZE}" if shelf.more(begin) else None}
    )


def _unstable(shelf: Shelf, asked: Asked) -> Answer:
    """Each request sees the rows in another order."""
    turned = shelf.rows[shelf.asked * 7 % len(shelf.rows) :] + shelf.rows[: shelf.asked * 7 % len(shelf.rows)]
    begin = (whole(asked, "page", 1) - 1) * SIZE
    return Answer(body={"data": turned[begin : begin + SIZE] if begin >= 0 else []})


PAGING: tuple[Contrary, ...] = (
    Contrary(
        "token_named_offset",
        "the parameter called offset, documented as a number, wants an opaque token",
        listed("records", OFFSET, LIMIT),
        _token_named_offset,
        "loud",
        shown=("offset=itr20",),
    ),
    Contrary(
        "undeclared_link_header",
        "the document knows no paging, but the answers carry Link headers",
        get(array(THING)),
        _by_link_at_root,
        "loud",
    ),
    Contrary(
        "link_header_for_page",
        "the documented page parameter is ignored: an undeclared Link header leads on",
        listed("data", PAGE),
        _by_link,
        "loud",
        shown=("page=2", "after=20"),
    ),
    Contrary(
        "undeclared_paging",
        "the document knows no paging and no answer speaks of it, but only one page comes",
        listed("data"),
        _pages_from_one,
        "loud",
        shown=("page=2",),
    ),
    Contrary(
        "page_size_capped",
        "pages are smaller than asked for",
        listed("data", OFFSET, LIMIT),
        _capped,
        "complete",
        shown=("limit=100", "limit=100&offset=20"),
    ),
    Contrary(
        "pages_from_zero",
        "the first page is page 0, on which the document is silent",
        listed("data", PAGE),
        _pages_from_zero,
        "loud",
        shown=("page=0", "page=1"),
    ),
    Contrary(
        "pages_from_one",
        "the document says that pages begin at 0, but they begin at 1 and page 0 is empty",
        listed("data", query("page", "integer", "The page, zero-based.", default=0)),
        _pages_from_one,
        "loud",
        shown=("page=0", "page=1", "page=2"),
    ),
    Contrary(
        "offset_of_pages",
        "offset skips pages, not things",
        listed("data", OFFSET),
        _offset_of_pages,
        "loud",
        shown=("offset=0", "offset=1"),
    ),
    Contrary(
        "cursor_on_full_pages",
        "the documented cursor is only there when a page is full, also on the last",
        listed("data", CURSOR, LIMIT, next_cursor=NEXT_CURSOR),
        _cursor_on_full_pages,
        "complete",
        shown=("cursor=20",),
        count=40,
    ),
    Contrary(
        "cursor_elsewhere",
        "the cursor is not where the document says",
        listed("data", CURSOR, LIMIT, next_cursor=NEXT_CURSOR),
        _cursor_elsewhere,
        "loud",
        shown=("cursor=20",),
    ),
    Contrary(
        "cursor_repeated",
        "the last page repeats the cursor that led to it",
        listed("data", CURSOR, next_cursor=NEXT_CURSOR),
        _cursor_repeated,
        "loud",
        mended="loud",
        shown=("cursor=20", "cursor=40"),
    ),
    Contrary(
        "next_on_another_path",
        "the next URL is relative, and on another path than the documented one",
        listed("data", next={"type": "string", "format": "uri", "nullable": True}),
        _next_on_another_path,
        "complete",
    ),
    Contrary(
        "unstable_order",
        "every request sees another order",
        listed("data", PAGE),
        _unstable,
        "loud",
        mended="loud",
        shown=("page=2",),
    ),
)
