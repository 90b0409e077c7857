"""``python -m tests.benchmarks.paged_server``: an API that costs its reader as little as possible.

``GET /STREAM?page=P&per_page=1000`` (P from 1) answers ``{"data":[...]}`` with 1,000 records of about 500 bytes,
for PAGES pages, and an empty page for any other. A thread per connection, no parsing but of the request line,
bodies put together beforehand (beyond KEPT_PAGES pages: when asked for). Prints its URL when it listens.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import re
import socketserver
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache, lru_cache

from infra.runtime.processes import die_with_parent

PAGE_SIZE = 1000
RECORD_BYTES = 500
KEPT_PAGES = 250
_REQUEST = re.compile(rb"GET /(\w+)\?(?:\S*&)?page=(\d+)")


@cache
def rest_of_record(number: int) -> bytes:
    """What follows the id in a flat record like those of a CRM, so that both have ``RECORD_BYTES``."""
    fields: dict[str, object] = {
        "name": f"Contact {number}",
        "email": f"contact{number}@example.com",
        "active": number % 2 == 0,
        "score": number * 0.5,
        "company": {"id": f"co_{number % 97}", "name": "A company of that name"},
        "tags": ["lead", "newsletter"],
        "updated_at": "2026-01-01T00:00:00Z",
        "note": None,
    }
    text = "x" * (RECORD_BYTES - len(json.dumps(fields)) - len('"id":1000000,"text":"", '))
    return json.dumps({**fields, "text": text}).encode()[1:]


def body(page: int, pages: int) -> bytes:
    """Ids go on from page to page, so no two pages are equal."""
    first = (page - 1) * PAGE_SIZE
    numbers = range(PAGE_SIZE) if 1 <= page <= pages else ()
    return b'{"data":[' + b",".join(b'{"id":%d,' % (first + n) + rest_of_record(n) for n in numbers) + b"]}"


class Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, pages: int, latency_s: float) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.pages = pages
        self.latency_s = latency_s
        self.answers = lru_cache(KEPT_PAGES)(self._answer)
        for page in range(1, min(pages + 1, KEPT_PAGES) + 1):
            self.answers(page)

    def _answer(self, page: int) -> bytes:
        content = body(page, self.pages)
        head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(content)}\r\n\r\n"
        return head.encode() + content


class Handler(socketserver.StreamRequestHandler):
    disable_nagle_algorithm = True
    server: Server

    def handle(self) -> None:
        with contextlib.suppress(ConnectionError):
            while line := self.rfile.readline():
                while self.rfile.readline() not in {b"\r\n", b""}:
                    pass
                asked = _REQUEST.match(line)
                page = int(asked[2]) if asked else 1
                if self.server.latency_s:
                    time.sleep(self.server.latency_s)
                self.request.sendall(self.server.answers(min(page, self.server.pages + 1)))


@contextmanager
def serving(pages: int, *, latency_s: float = 0.0) -> Iterator[str]:
    """The server in a process of its own; yields its URL."""
    command = [sys.executable, "-m", __name__, "--pages", str(pages), "--latency", str(latency_s)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, preexec_fn=die_with_parent) as process:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        if not url:
            raise RuntimeError("the API of the benchmark did not start")
        try:
            yield url
        finally:
            process.terminate()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--pages", type=int, required=True)
    parser.add_argument("--latency", type=float, default=0.0)
    arguments = parser.parse_args()
    with Server(arguments.pages, arguments.latency) as server:
        print(f"http://127.0.0.1:{server.server_address[1]}", flush=True)
        server.serve_forever()


if __name__ == "__main__":
    main()
