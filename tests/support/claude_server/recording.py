"""Recorded answers of the real API: taken down once by a proxy, served later without a key and without a network.

A recording is a folder with a file for each request: its name is the request's hash, as in the ledger
(`infra.runtime.claude.transport.request_hash`), its content the stream of server-sent events as it came. Of headers
nothing is kept, so no credential is: the key passes through the proxy only.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx2
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from infra.runtime.claude.stream import Received
from infra.runtime.claude.transport import EVENT_STREAM, request_hash
from tests.support.asgi import listening
from tests.support.claude_server.desk import PATH
from tests.support.claude_server.messages import MessagesRequest
from tests.support.claude_server.replies import Failure, invalid_request
from tests.support.claude_server.stream import error_body, sse

CONNECT_TIMEOUT_S = 10.0
_OF_THE_CONNECTION = {"connection", "content-encoding", "content-length", "host", "transfer-encoding"}
_REQUEST_ID = "req_recording"


@dataclass(frozen=True)
class Recordings:
    """The files of ``folder``, which need not be there yet."""

    folder: Path

    @property
    def there(self) -> bool:
        """Whether there is anything at all."""
        return any(self.folder.glob("*.sse"))

    def path(self, request: str) -> Path:
        """Of the reply to the request with this hash."""
        return self.folder / f"{request}.sse"

    def get(self, request: str) -> bytes | None:
        path = self.path(request)
        return path.read_bytes() if path.is_file() else None

    def put(self, request: str, reply: bytes) -> None:
        """Whole or not at all, whenever the process ends."""
        self.folder.mkdir(parents=True, exist_ok=True)
        new = self.path(request).with_suffix(".new")
        new.write_bytes(reply)
        new.replace(self.path(request))


@asynccontextmanager
async def recording(folder: Path, upstream_url: str) -> AsyncIterator[str]:
    """A proxy to the API at ``upstream_url``; yields the URL that agents use in its place.

    A reply with status 200 that came to its end is kept in ``folder``; all else is passed on and forgotten. What is
    there already is not asked again: a run that broke off goes on where it was, and who asks the same twice
    is answered the same, as it will be when the recording is served.
    """
    # How long silence may last is for the client to say, which hangs up.
    timeout = httpx2.Timeout(None, connect=CONNECT_TIMEOUT_S)
    async with (
        httpx2.AsyncClient(base_url=upstream_url, timeout=timeout, follow_redirects=False) as upstream,
        _serving(Recordings(folder), upstream) as url,
    ):
        yield url


@asynccontextmanager
async def replaying(folder: Path) -> AsyncIterator[str]:
    """What was recorded in ``folder``, for any key; yields the URL. A request that was not recorded gets a 400."""
    async with _serving(Recordings(folder), None) as url:
        yield url


@asynccontextmanager
async def _serving(recordings: Recordings, upstream: httpx2.AsyncClient | None) -> AsyncIterator[str]:
    async def answer(request: Request) -> Response:
        body = await request.body()
        try:
            asked = json.loads(body)
        except ValueError:
            asked = None
        if not isinstance(asked, dict):
            return _failed(invalid_request("The request body is not a JSON object"))
        known = recordings.get(request_hash(body))
        if known is not None:
            return Response(known, media_type=EVENT_STREAM)
        if upstream is None:
            return _failed(_not_recorded(MessagesRequest(asked, {}, "any"), request_hash(body), recordings.folder))
        return await _passed_on(request, body, upstream, recordings)

    async with listening(Starlette(routes=[Route(PATH, answer, methods=["POST"])])) as url:
        yield url


async def _passed_on(
    request: Request, body: bytes, upstream: httpx2.AsyncClient, recordings: Recordings
) -> Response:
    """The API's own answer, chunk by chunk."""
    headers = {**_end_to_end(request.headers), "accept-encoding": "identity"}
    target = httpx2.URL(request.url.path, query=request.url.query.encode())
    try:
        sent = upstream.build_request("POST", target, content=body, headers=headers)
        response = await upstream.send(sent, stream=True)
    except httpx2.TransportError as error:
        return _failed(Failure(502, "api_error", f"the API at {upstream.base_url} cannot be reached: {error!r}"))
    chunks = _kept(response, request_hash(body), recordings)
    return StreamingResponse(chunks, response.status_code, headers=_end_to_end(response.headers))


async def _kept(response: httpx2.Response, request: str, recordings: Recordings) -> AsyncIterator[bytes]:
    """The chunks of a reply. If it is one that the ledger would keep, it is written down before its end is passed
    on: a client may hang up as soon as it has that. A connection that broke becomes an ``error`` event."""
    received, end = Received(), b""
    try:
        async for chunk in response.aiter_bytes():
            received.feed(chunk)
            if received.complete:
                end += chunk
            else:
                yield chunk
    except httpx2.TransportError as error:
        broke_off = Failure(200, "api_error", f"the API at {response.url.host} broke off: {error!r}")
        yield b"\n\n" + sse(error_body(broke_off, _REQUEST_ID))
        return
    finally:
        await response.aclose()
    if response.status_code == httpx2.codes.OK and received.why_not is None:
        recordings.put(request, bytes(received.body))
    yield end


def _end_to_end(headers: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in headers.items() if name.lower() not in _OF_THE_CONNECTION}


def _not_recorded(asked: MessagesRequest, request: str, folder: Path) -> Failure:
    return invalid_request(
        f"not recorded: request {request} of {asked.marker!r}, turn {asked.turn + 1}, is not in {folder}; prompts, "
        "tools or inputs are others than when it was recorded: record it again with the API's key"
    )


def _failed(failure: Failure) -> Response:
    return JSONResponse(error_body(failure, _REQUEST_ID), failure.status)
