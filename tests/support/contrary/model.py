"""What every contrary server is made of."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from tests.support.openapi import array, get, obj
from tests.support.paged_api import Answer, Api, Asked

Row = dict[str, Any]
Serve = Callable[["Shelf", Asked], Answer]

SIZE = 20
"""Rows on a page of the real servers, whatever a client asks for."""

THING = obj(id={"type": "integer", "description": "Unique identifier."}, name="string", colour="string")


@dataclass
class Shelf:
    """What one running server holds; ``asked`` counts its requests."""

    rows: list[Row]
    asked: int = 0

    def cut(self, begin: int, size: int = SIZE) -> list[Row]:
        return self.rows[begin : begin + size] if begin >= 0 else []

    def more(self, begin: int, size: int = SIZE) -> bool:
        return begin + size < len(self.rows)


@dataclass(frozen=True)
class Contrary:
    """``path_item`` is what the document says of ``/things``, ``serve`` what the server does.

    ``alone``: what a connector made from the document alone does: it reads all rows, or it fails and says so;
    ``mended``: what one does that was made with recorded answers too. ``shown``: the requests, besides the bare
    one, that whoever recorded them made: path and query, or only the query.
    ``count``: rows that the server holds.
    """

    name: str
    lie: str
    path_item: dict[str, Any]
    serve: Serve
    alone: Literal["complete", "loud"]
    mended: Literal["complete", "loud"] = "complete"
    shown: tuple[str, ...] = ()
    count: int = 45
    rename: Callable[[Row], Row] = lambda row: row
    wrap: Callable[[Row], Row] = lambda row: row

    @property
    def document(self) -> bytes:
        raw = {
            "openapi": "3.0.3",
            "info": {"title": "Things", "version": "1"},
            "servers": [{"url": "https://things.example"}],
            "paths": {"/things": self.path_item},
        }
        return json.dumps(raw).encode()

    @property
    def rows(self) -> list[Row]:
        return [self.rename(row) for row in things(self.count)]

    @property
    def as_read(self) -> list[Row]:
        """The rows as the server wraps them."""
        return [self.wrap(row) for row in self.rows]

    def targets(self) -> list[str]:
        """Path and query of the requests to record."""
        return ["/things", *(shown if shown.startswith("/") else f"/things?{shown}" for shown in self.shown)]

    def api(self) -> Api:
        shelf = Shelf(self.rows)

        def route(asked: Asked) -> Answer:
            shelf.asked += 1
            return self.serve(shelf, asked)

        class AnyPath(dict[str, Any]):
            """Every path below /things is this server's."""

            def get(self, path: str, default: Any = None) -> Any:
                return route if path.startswith("/things") else default

        return Api(routes=AnyPath())


def things(count: int) -> list[Row]:
    return [{"id": n, "name": f"thing {n}", "colour": "red" if n % 2 else "blue"} for n in range(1, count + 1)]


def listed(at: str, *parameters: dict[str, Any], **beside: Any) -> dict[str, Any]:
    """A GET that answers ``{at: [thing, ...]}`` with the members of ``beside`` around it."""
    return get(obj(**{at: array(THING)}, **beside), *parameters, summary="List things")


def whole(asked: Asked, name: str, default: int) -> int:
    """A query parameter as a whole number."""
    value = asked.query.get(name, "")
    return int(value) if value.lstrip("-").isdigit() else default


def ids(rows: list[Row]) -> list[Any]:
    return sorted(json.dumps(row, sort_keys=True) for row in rows)
