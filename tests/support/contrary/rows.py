"""Servers whose rows are not where, or not what, their document says."""

from __future__ import annotations

from tests.support.contrary.model import Contrary, Row, Shelf, listed, whole
from tests.support.contrary.paging import OFFSET, PAGE
from tests.support.paged_api import Answer, Asked


def _under_items(shelf: Shelf, asked: Asked) -> Answer:
    return Answer(body={"data": None, "items": shelf.cut(whole(asked, "offset", 0))})


def _plain(shelf: Shelf, asked: Asked) -> Answer:
    return Answer(body={"data": shelf.cut(whole(asked, "offset", 0))})


def _wrapped(shelf: Shelf, asked: Asked) -> Answer:
    return Answer(body={"items": [{"data": row} for row in shelf.cut(whole(asked, "offset", 0))]})


def _error_with_200(shelf: Shelf, asked: Asked) -> Answer:
    page = whole(asked, "page", 1)
    if page > 2:
        return Answer(body={"status": "error", "message": "pages go up to 2; use the export"})
    return Answer(body={"data": shelf.cut((page - 1) * 20)})


def _error_unheard_of(shelf: Shelf, asked: Asked) -> Answer:
    page = whole(asked, "page", 1)
    if page > 2:
        return Answer(body={"result": "no", "why": "pages go up to 2; use the export"})
    return Answer(body={"data": shelf.cut((page - 1) * 20), "took_ms": 3})


def _error_beside_nothing(shelf: Shelf, asked: Asked) -> Answer:
    page = whole(asked, "page", 1)
    if page > 2:
        return Answer(body={"data": [], "error": {"code": "too_deep", "message": "use the export"}})
    return Answer(body={"data": shelf.cut((page - 1) * 20)})


def _bare_object(shelf: Shelf, asked: Asked) -> Answer:
    page = shelf.cut(whole(asked, "offset", 0))
    return Answer(body={"data": page[0] if len(page) == 1 else page})


def _by_uid(row: Row) -> Row:
    return {"thing_uid": f"t-{row['id']}", "name": row["name"], "colour": row["colour"]}


ROWS: tuple[Contrary, ...] = (
    Contrary(
        "rows_under_another_key",
        "the rows are in items; data, where they should be, is null",
        listed("data", OFFSET),
        _under_items,
        "loud",
        shown=("offset=20",),
    ),
    Contrary(
        "key_not_called_id",
        "the rows have no id, but a thing_uid",
        listed("data", OFFSET),
        _plain,
        "loud",
        rename=_by_uid,
    ),
    Contrary(
        "rows_wrapped_deeper",
        "each row is wrapped in data",
        listed("items", OFFSET),
        _wrapped,
        "loud",
        wrap=lambda row: {"data": row},
    ),
    Contrary(
        "error_with_200",
        "an error comes with status 200",
        listed("data", PAGE),
        _error_with_200,
        "loud",
        mended="loud",
        shown=("page=2", "page=3"),
    ),
    Contrary(
        "error_unheard_of",
        "an error comes with status 200, in words that no other API has",
        listed("data", PAGE),
        _error_unheard_of,
        "loud",
        mended="loud",
        shown=("page=2",),
    ),
    Contrary(
        "error_beside_nothing",
        "an error comes with status 200 beside an empty list",
        listed("data", PAGE),
        _error_beside_nothing,
        "loud",
        mended="loud",
        shown=("page=3",),
    ),
    Contrary(
        "bare_object",
        "a page of one thing is the thing, not a list",
        listed("data", OFFSET),
        _bare_object,
        "loud",
        shown=("offset=40",),
        count=41,
    ),
)
