"""Is this process alive, is it ready, what does it count? Answers on a port or a unix socket, if one is set.

``GET /healthz``: 200 while the event loop turns. ``GET /readyz``: 200 when connected and consuming and nothing is
wrong, else 503; the body is ``{"ready": bool, "problems": {name: text}, "warnings": {name: text}}``.
``GET /metrics``: what `infra.runtime.telemetry.metrics` declares, in Prometheus' text format.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Generic, TypeVar

from infra.runtime.telemetry import scrape

_MAX_REQUEST_BYTES = 8192
_REQUEST_TIMEOUT_S = 5.0
_CHECK_TIMEOUT_S = 2.0

Check = Callable[[], Awaitable[str | None]]
"""Returns what is wrong right now, or None."""

T = TypeVar("T")


class Shared(Generic[T]):
    """A question that is asked once at a time, however many want its answer, which is kept for ``keep_s``; an error
    is not."""

    def __init__(self, ask: Callable[[], Awaitable[T]], *, keep_s: float = 1.0) -> None:
        self._ask = ask
        self._keep_s = keep_s
        self._asked_s = 0.0
        self._answer: asyncio.Future[T] | None = None

    async def __call__(self) -> T:
        """The answer, or what was raised instead; whoever gives up waiting takes it from nobody."""
        now_s = asyncio.get_running_loop().time()
        if self._answer is None or (self._answer.done() and self._is_old(self._answer, now_s)):
            self._answer, self._asked_s = asyncio.ensure_future(self._ask()), now_s
        return await asyncio.shield(self._answer)

    def _is_old(self, answer: asyncio.Future[T], now_s: float) -> bool:
        return answer.cancelled() or answer.exception() is not None or now_s - self._asked_s >= self._keep_s


class Health:
    """What is known about this process. ``started`` is set once it consumes."""

    def __init__(self) -> None:
        self.started = False
        self.problems: dict[str, str] = {}
        self.checks: dict[str, Check] = {}
        self.warnings: dict[str, Check] = {}
        self.looks: list[scrape.Look] = []

    async def report(self) -> tuple[bool, dict[str, object]]:
        """Ready or not, and the body of ``/readyz``."""
        problems = dict(self.problems) if self.started else {"start": "not consuming yet", **self.problems}
        found, warnings = await asyncio.gather(_ask(self.checks), _ask(self.warnings))
        problems |= found
        ready = not problems
        return ready, {"ready": ready, "problems": problems, "warnings": warnings}


async def _ask(checks: dict[str, Check]) -> dict[str, str]:
    """What the checks find wrong, all asked at the same time."""
    answers = await asyncio.gather(*(_answer(check) for check in checks.values()))
    return {name: answer for name, answer in zip(checks, answers, strict=True) if answer}


async def _answer(check: Check) -> str | None:
    try:
        async with asyncio.timeout(_CHECK_TIMEOUT_S):
            return await check()
    except TimeoutError:
        return f"no answer within {_CHECK_TIMEOUT_S:g} s"
    except Exception as error:  # whatever stops a check, the report must come, and says so
        return f"this cannot be told: {str(error) or type(error).__name__}"


@asynccontextmanager
async def served(
    health: Health, *, host: str = "127.0.0.1", port: int | None = None, socket: Path | None = None
) -> AsyncIterator[None]:
    """Answer for ``health`` while inside; nothing is opened without a port or a socket."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(_REQUEST_TIMEOUT_S):
                request = await reader.readuntil(b"\r\n\r\n")
                writer.write(await _respond(health, request))
                await writer.drain()
        except (TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, ConnectionError):
            pass  # not a request, or nobody waits for the answer any more
        finally:
            writer.close()

    servers: list[asyncio.Server] = []
    if port is not None:
        servers.append(await asyncio.start_server(answer, host, port, limit=_MAX_REQUEST_BYTES))
    if socket is not None:
        _unlink(socket)
        servers.append(await asyncio.start_unix_server(answer, socket, limit=_MAX_REQUEST_BYTES))
    try:
        yield
    finally:
        for server in servers:
            server.close()
        if socket is not None:
            _unlink(socket)


def _unlink(path: Path) -> None:
    path.unlink(missing_ok=True)


async def _respond(health: Health, request: bytes) -> bytes:
    method, path, _ = (*request.split(b"\r\n", 1)[0].split(b" "), b"", b"", b"")[:3]
    if method not in (b"GET", b"HEAD"):
        return _response("405 Method Not Allowed", {"error": "use GET"})
    if path == b"/healthz":
        return _response("200 OK", {"alive": True})
    if path == b"/metrics":
        return _typed("200 OK", scrape.CONTENT_TYPE, await scrape.scraped(health.looks))
    if path == b"/readyz":
        ready, body = await health.report()
        return _response("200 OK" if ready else "503 Service Unavailable", body)
    return _response("404 Not Found", {"error": "there are /healthz, /readyz and /metrics"})


def _response(status: str, body: dict[str, object]) -> bytes:
    return _typed(status, "application/json", json.dumps(body).encode())


def _typed(status: str, content_type: str, content: bytes) -> bytes:
    head = f"HTTP/1.1 {status}\r\nContent-Type: {content_type}\r\nContent-Length: {len(content)}\r\n"
    return f"{head}Connection: close\r\n\r\n".encode() + content
