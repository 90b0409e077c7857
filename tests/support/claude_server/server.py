"""The server: HTTP/1.1 on a loopback port, by h11 on the loop that runs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

import h11

from infra.runtime import clock
from tests.support.claude_server.desk import Desk, Hangup, Response, Silence
from tests.support.claude_server.scripts import Source, script

KEY = "test-key-of-nobody"
_READ_BYTES = 65536


class ClaudeServer(Desk):
    """A desk that is open to clients at ``url``, which is their ``base_url``."""

    url: str = ""


@asynccontextmanager
async def serving(
    source: Source, *, key: str | None = KEY, port: int = 0, clock: Callable[[], float] = clock.epoch_s
) -> AsyncIterator[ClaudeServer]:
    """Answer as the script says until the block ends; connections that are open then break off.

    ``key``: the credential that is taken, ``None`` for any. ``port`` 0 is a free one. ``clock`` gives seconds and
    decides when the cache forgets.

    Raises:
        ExceptionGroup: the script or the server failed on a request; a script may assert what it is asked.
    """
    desk = ClaudeServer(script(source), key, clock)
    connections: set[asyncio.Task[None]] = set()

    def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(_serve(desk, reader, writer))
        connections.add(task)
        task.add_done_callback(ended)

    def ended(task: asyncio.Task[None]) -> None:
        connections.discard(task)
        if not task.cancelled() and isinstance(error := task.exception(), Exception):
            desk.errors.append(error)

    server = await asyncio.start_server(connected, "127.0.0.1", port)
    desk.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield desk
    finally:
        server.close()
        for task in connections:
            task.cancel()
        await asyncio.gather(*connections, return_exceptions=True)
    if desk.errors:
        raise ExceptionGroup("the scripted server failed", desk.errors)


async def _serve(desk: Desk, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        # A client that goes away in the middle is none of the server's business.
        with suppress(ConnectionError, h11.RemoteProtocolError):
            await _Connection(desk, reader, writer).serve()
    finally:
        writer.close()


class _Connection:
    """One connection and the requests that come over it, one after the other."""

    def __init__(self, desk: Desk, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._desk, self._reader, self._writer = desk, reader, writer
        self._http = h11.Connection(h11.SERVER)

    async def serve(self) -> None:
        while (request := await self._next()) and isinstance(request, h11.Request):
            content = await self._body()
            headers = {name.decode().lower(): value.decode("latin-1") for name, value in request.headers}
            response = self._desk.answer(request.method.decode(), request.target.decode(), headers, content)
            await asyncio.sleep(response.latency_s)
            self._desk.cache.update(response.entries)
            if not await self._send(response):
                return
            if self._http.our_state is h11.MUST_CLOSE:
                return
            self._http.start_next_cycle()

    async def _next(self) -> h11.Event:
        while (event := self._http.next_event()) is h11.NEED_DATA:
            self._http.receive_data(await self._reader.read(_READ_BYTES))
        assert not isinstance(event, type)
        return event

    async def _body(self) -> bytes:
        content = bytearray()
        while isinstance(event := await self._next(), h11.Data):
            content += event.data
        return bytes(content)

    async def _send(self, response: Response) -> bool:
        """False if the connection is to break off."""
        headers = [*response.headers.items(), ("transfer-encoding", "chunked")]
        await self._write(h11.Response(status_code=response.status, headers=headers))
        for step in response.steps:
            match step:
                case Hangup():
                    return False
                case Silence(seconds):
                    await asyncio.sleep(seconds)
                case bytes():
                    await self._write(h11.Data(data=step))
        await self._write(h11.EndOfMessage())
        return True

    async def _write(self, event: h11.Event) -> None:
        self._writer.write(self._http.send(event) or b"")
        await self._writer.drain()
