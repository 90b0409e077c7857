"""Servers whose totals are not what their document says."""

from __future__ import annotations

from tests.support.contrary.model import SIZE, Contrary, Shelf, listed, whole
from tests.support.contrary.paging import OFFSET, PAGE
from tests.support.paged_api import Answer, Asked

TOTAL = {"type": "integer", "description": "The number of all things."}
TOTAL_PAGES = {"type": "integer", "description": "The number of pages."}


def _of_the_page(shelf: Shelf, asked: Asked) -> Answer:
    page = shelf.cut(whole(asked, "offset", 0))
    return Answer(body={"data": page, "total": len(page)})


def _of_pages(shelf: Shelf, asked: Asked) -> Answer:
    return Answer(body={"data": shelf.cut(whole(asked, "offset", 0)), "total": -(-len(shelf.rows) // SIZE)})


def _last_page(shelf: Shelf, asked: Asked) -> Answer:
    """The number of the last page, counted from 0, while pages are asked for from 1."""
    begin = (whole(asked, "page", 1) - 1) * SIZE
    return Answer(body={"data": shelf.cut(begin), "total_pages": (len(shelf.rows) - 1) // SIZE})


TOTALS: tuple[Contrary, ...] = (
    Contrary(
        "total_of_the_page",
        "the total counts the things of the page",
        listed("data", OFFSET, total=TOTAL),
        _of_the_page,
        "loud",
        shown=("offset=20",),
    ),
    Contrary(
        "total_of_pages",
        "the total counts pages",
        listed("data", OFFSET, total=TOTAL),
        _of_pages,
        "loud",
        shown=("offset=20",),
    ),
    Contrary(
        "total_pages_less_one",
        "the number of pages is that of the last one, counted from 0",
        listed("data", PAGE, total_pages=TOTAL_PAGES),
        _last_page,
        "loud",
        shown=("page=1", "page=2", "page=3"),
    ),
)
