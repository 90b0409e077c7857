"""A real HTTP server on loopback that serves collections by any kind of pagination, and misbehaves on demand."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from infra.runtime import clock

Record = dict[str, Any]


@dataclass(frozen=True)
class Asked:
    """One request as it arrived; ``path`` is without the query."""

    method: str
    path: str
    query: dict[str, str]
    headers: Mapping[str, str]
    body: bytes = b""


@dataclass(frozen=True)
class Answer:
    """``cut``: the connection breaks off after half of the body."""

    status: int = 200
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)
    raw: bytes | None = None
    cut: bool = False

    def encoded(self) -> bytes:
        return json.dumps(self.body).encode() if self.raw is None else self.raw


Route = Callable[[Asked], Answer]


@dataclass
class Api:
    """Routes by path, the requests that came, and answers to give first: path (or ``*``) -> queue.

    ``clock_ahead_s``: by how much the server's clock is wrong.
    """

    routes: dict[str, Route] = field(default_factory=dict)
    asked: list[Asked] = field(default_factory=list)
    first: dict[str, list[Answer]] = field(default_factory=dict)
    guard: Callable[[Asked], Answer | None] = lambda asked: None
    url: str = ""
    clock_ahead_s: float = 0.0

    def answer(self, asked: Asked) -> Answer:
        self.asked.append(asked)
        for key in (asked.path, "*"):
            if self.first.get(key):
                return self.first[key].pop(0)
        if refused := self.guard(asked):
            return refused
        route = self.routes.get(asked.path)
        return route(asked) if route else Answer(404, {"error": "not found"})

    def count(self, path: str) -> int:
        return sum(asked.path == path for asked in self.asked)


@contextmanager
def serving(api: Api) -> Iterator[Api]:
    """Serve ``api`` on a free port until the block ends; its ``url`` is set."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(api))
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    api.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield api
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _handler(api: Api) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def _serve(self) -> None:
            parts = urlsplit(self.path)
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            query = dict(parse_qsl(parts.query, keep_blank_values=True))
            answer = api.answer(Asked(self.command, parts.path, query, dict(self.headers), body))
            content = answer.encoded()
            self.send_response(answer.status)
            for name, value in {"Content-Type": "application/json", **answer.headers}.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            if answer.cut:
                self.wfile.write(content[: len(content) // 2])
                self.wfile.flush()
                self.connection.shutdown(socket.SHUT_RDWR)
                self.close_connection = True
                return
            self.wfile.write(content)

        def date_time_string(self, timestamp: float | None = None) -> str:
            return super().date_time_string((timestamp or clock.epoch_s()) + api.clock_ahead_s)

        do_GET = do_POST = _serve  # noqa: N815

        def log_message(self, format: str, *args: object) -> None:
            pass

    return Handler


def records(count: int, start: int = 1) -> list[Record]:
    """``count`` records with ids from ``start``; every fifth shares its time with the one before."""
    return [
        {"id": n, "name": f"record {n}", "updated_at": f"2024-01-01T00:{n // 60:02}:{(n - (n % 5 == 0)) % 60:02}Z"}
        for n in range(start, start + count)
    ]


def collection(kind: str, held: list[Record], *, size: int = 5, api: Api | None = None) -> Route:
    """A route that pages through ``held`` by ``kind``, a key of `tests.support.blueprints.PAGINATIONS`."""

    def route(asked: Asked) -> Answer:
        found = [item for item in held if item["updated_at"] >= asked.query.get("updated_since", "")]
        return _PAGERS[kind](asked, found, size, api.url if api else "")

    return route


def _none(asked: Asked, held: list[Record], size: int, url: str) -> Answer:
    return Answer(body={"data": held})


def _page(asked: Asked, held: list[Record], size: int, url: str) -> Answer:
    begin = (int(asked.query["page"]) - 1) * size
    return Answer(body={"data": held[begin : begin + size]})


def _page_zero(asked: Asked, held: list[Record], size: int, url: str) -> Answer:
    begin = int(asked.query["page"]) * size
    return Answer(body={"data": held[begin : begin + size], "meta": {"pages": -(-len(held) // size)}})


def _offset(asked: Asked, held: list[Record], size: int, url: str) -> Answer:
    begin = int(asked.query["offset"])
    return Answer(body={"data": held[begin : begin + size], "meta": {"total": len(held)}})


def _token(text: str | None) -> int:
    return int(text.removeprefix("c-")) if text else 0


def _cursor(asked: Asked, held: list[Record], size: int, url: str) -> Answer:
    begin = _token(asked.query.get("cursor"))
    more = begin + size < len(held)
    return Answer(
        body={"data": held[begin : begin + size], "meta": {"next_cursor": f"c-{begin + size}" if more else None}}
    )


def _header_cursor(asked: Asked, held: list[Record], size: int, url: str) -> Answer:
    begin = _token(asked.query.get("cursor"))
    more = begin + size < len(held)
    headers = {"X-Next-Cursor": f"c-{begin + size}"} if more else {}
    return Answer(body={"data": held[begin : begin + size]}, headers=headers)


def _last_record(asked: Asked, held: list[Record], size: int, url: str) -> Answer:
    after = asked.query.get("starting_after")
    begin = next((n + 1 for n, item in enumerate(held) if str(item["id"]) == after), 0)
    return Answer(body={"data": held[begin : begin + size], "has_more": begin + size < len(held)})


def _next(asked: Asked, held: list[Record], size: int, url: str) -> tuple[list[Record], str | None]:
    begin = int(asked.query.get("from", 0))
    query = {**asked.query, "from": str(begin + size)}
    target = f"{url}{asked.path}?{urlencode(query)}" if begin + size < len(held) else None
    return held[begin : begin + size], target


def _next_url(asked: Asked, held: list[Record], size: int, url: str) -> Answer:
    page, target = _next(asked, held, size, url)
    return Answer(body={"data": page, "links": {"next": target}})


def _link_header(asked: Asked, held: list[Record], size: int, url: str) -> Answer:
    page, target = _next(asked, held, size, url)
    first = f'<{url}{asked.path}>; rel="first"'
    link = f'{first}, <{target}>; rel="next"' if target else first
    return Answer(body={"data": page}, headers={"Link": link})


_PAGERS: dict[str, Callable[[Asked, list[Record], int, str], Answer]] = {
    "none": _none,
    "page": _page,
    "page_zero": _page_zero,
    "offset": _offset,
    "cursor": _cursor,
    "header_cursor": _header_cursor,
    "last_record": _last_record,
    "next_url": _next_url,
    "link_header": _link_header,
}
