"""What every request passes first: whose name it used, whose page it came from, its token, its size."""

from __future__ import annotations

import secrets
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway.problems import Problem
from gateway.settings import MIB, Settings

OPEN_PATHS = frozenset({"/", "/healthz", "/readyz"})
"""Without a token: the page holds no data, and probes cannot send one."""

IMPORT_PATH = "/imports"
"""Where exported pipelines are taken in: they may be larger than a document."""

MULTIPART_OVERHEAD = MIB
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


class Guard:
    """Pure ASGI, so that live streams are not buffered."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self._app = app
        self._settings = settings
        token = settings.token
        self._token = token.get_secret_value().encode() if token is not None else None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        try:
            self._check(scope, headers)
        except Problem as problem:
            await problem.response(scope["path"])(scope, receive, _secured(send))
            return
        await self._app(scope, _limited(receive, *self._limits(scope)), _secured(send))

    def _limits(self, scope: Scope) -> tuple[int, int]:
        """Bytes that a body may have, and what is told of it: a form is a little longer than its document."""
        if scope["path"] == IMPORT_PATH:
            return self._settings.max_import_bytes, self._settings.max_import_bytes
        return self._settings.max_document_bytes + MULTIPART_OVERHEAD, self._settings.max_document_bytes

    def _check(self, scope: Scope, headers: Headers) -> None:
        host = headers.get("host", "")
        if not self._settings.accepts_host(_name(host)):
            known = "localhost, an IP address, or a name in CONNECTORS_GATEWAY_ALLOWED_HOSTS"
            raise Problem(421, "unknown-host", f"this gateway is not called {host[:100]!r}; use {known}")
        if scope["method"] not in SAFE_METHODS and not _same_origin(headers, host):
            raise Problem(403, "cross-site", "a page of another origin may not change anything here")
        if self._token is not None and scope["path"] not in OPEN_PATHS:
            self._check_token(headers.get("authorization", ""), self._token)
        length = headers.get("content-length", "0")
        limit, told = self._limits(scope)
        if length.isdigit() and int(length) > limit:
            raise too_large(told)

    @staticmethod
    def _check_token(authorization: str, token: bytes) -> None:
        scheme, _, given = authorization.partition(" ")
        if scheme.lower() != "bearer" or not secrets.compare_digest(given.strip().encode(), token):
            challenge = {"WWW-Authenticate": 'Bearer realm="agentic-connectors"'}
            raise Problem(
                401, "no-token", "send the gateway's token as `Authorization: Bearer ...`", headers=challenge
            )


def too_large(limit: int) -> Problem:
    return Problem(413, "too-large", f"what was sent is larger than the limit of {limit:,} bytes")


def _limited(receive: Receive, limit: int, told: int) -> Receive:
    """``receive`` that counts, because a length may be missing or wrong."""
    taken = 0

    async def count() -> Message:
        nonlocal taken
        message = await receive()
        taken += len(message.get("body", b""))
        if taken > limit:
            raise too_large(told)
        return message

    return count


def _secured(send: Send) -> Send:
    async def secure(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            headers["X-Content-Type-Options"] = "nosniff"
            headers["Referrer-Policy"] = "no-referrer"
            headers["Cross-Origin-Resource-Policy"] = "same-origin"
            headers.setdefault("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
            headers.setdefault("Cache-Control", "no-store")
        await send(message)

    return secure


def _name(host: str) -> str:
    """Without the port: ``localhost:8002`` -> ``localhost``, ``[::1]:8002`` -> ``[::1]``."""
    return host[: host.find("]") + 1] if host.startswith("[") else host.partition(":")[0]


def _same_origin(headers: Headers, host: str) -> bool:
    """Browsers say where a request comes from; other clients say nothing."""
    if headers.get("sec-fetch-site", "none") not in ("none", "same-origin"):
        return False
    origin = headers.get("origin")
    return origin is None or urlsplit(origin).netloc.lower() == host.lower()
