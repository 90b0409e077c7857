"""HTTP/1.1 on a unix socket or a loopback port, and everything that can go wrong on a wire. h11 keeps the rules
(RFC 9112); the sockets are ours, so that a body can be cut and a connection reset."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from email.utils import format_datetime

import h11

from infra.runtime import clock
from infra.runtime.simulator.messages import Reply, Request, problem
from infra.runtime.simulator.plan import Fault
from infra.runtime.simulator.site import Answer

_MAX_BODY = 1024 * 1024
_MAX_HEAD = 64 * 1024
_RESET = struct.pack("ii", 1, 0)


@dataclass
class Exchange:
    """One request with its answer; ``delivered`` is called once the whole reply has been handed to the socket."""

    answer: Answer
    delivered: Callable[[], None]


Handle = Callable[[Request], Exchange]


class Connection:
    """One client connection, kept alive until either side ends it. ``busy`` while it owes an answer."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, handle: Handle) -> None:
        self.busy = False
        self._reader = reader
        self._writer = writer
        self._handle = handle
        self._http = h11.Connection(h11.SERVER, max_incomplete_event_size=_MAX_HEAD)

    async def serve(self) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            try:
                while await self._exchange():
                    self._http.start_next_cycle()
            except h11.RemoteProtocolError as error:
                await self._complain(error)
            finally:
                self._writer.close()

    async def _complain(self, error: h11.RemoteProtocolError) -> None:
        if self._http.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            await self._send(problem(error.error_status_hint, str(error)), lambda: None)

    async def _exchange(self) -> bool:
        """Read one request and answer it; whether another may follow on this connection."""
        request = await self._request()
        if request is None:
            return False
        self.busy = True
        exchange = self._handle(request)
        reply = await self._spoilt(exchange.answer)
        if reply is None:
            return False
        await self._send(reply, exchange.delivered)
        self.busy = False
        return self._http.our_state is h11.DONE and self._http.their_state is h11.DONE

    async def _request(self) -> Request | None:
        head: h11.Request | None = None
        body = bytearray()
        while True:
            event = self._http.next_event()
            if event is h11.NEED_DATA:
                if self._http.they_are_waiting_for_100_continue:
                    go_on = h11.InformationalResponse(status_code=100, headers=[])
                    self._writer.write(self._http.send(go_on) or b"")
                self._http.receive_data(await self._reader.read(65536))
            elif isinstance(event, h11.Request):
                head = event
            elif isinstance(event, h11.Data):
                body += event.data
                if len(body) > _MAX_BODY:
                    raise h11.RemoteProtocolError("the body is larger than 1 MiB", error_status_hint=413)
            elif isinstance(event, h11.EndOfMessage) and head is not None:
                headers = {name.decode().lower(): value.decode("latin-1") for name, value in head.headers}
                return Request.of(head.method.decode(), head.target.decode("latin-1"), headers, bytes(body))
            else:
                return None

    async def _send(self, reply: Reply, delivered: Callable[[], None]) -> None:
        headers = [
            ("Content-Type", reply.media_type),
            ("Content-Length", str(len(reply.body))),
            *reply.headers,
        ]
        response = h11.Response(status_code=reply.status, headers=headers)
        for event in (response, h11.Data(data=reply.body), h11.EndOfMessage()):
            self._writer.write(self._http.send(event) or b"")
        delivered()
        await self._writer.drain()

    # --- faults of the wire -----------------------------------------------------------------------

    async def _spoilt(self, answer: Answer) -> Reply | None:
        """The reply as the fault leaves it; ``None`` if the connection is no more."""
        fault, reply = answer.fault, answer.reply
        if fault is None or (reply is not None and reply.status != 200):
            return reply
        if fault.kind == "status":
            return problem(fault.status, "simulated failure", *_retry_after(fault))
        if fault.kind == "timeout":
            await self._reader.read()
            return None
        if fault.kind == "reset" or reply is None:
            self._reset()
            return None
        if fault.kind == "cut":
            await self._cut(reply)
            return None
        if fault.kind == "delay":
            await asyncio.sleep(fault.delay_s)
        if fault.kind == "bad_json":
            return Reply(200, reply.body[: len(reply.body) // 2] + b"\x00<oops", (), reply.media_type)
        return reply

    async def _cut(self, reply: Reply) -> None:
        headers = [("Content-Type", reply.media_type), ("Content-Length", str(len(reply.body) + 1))]
        head = h11.Response(status_code=200, headers=headers)
        self._writer.write(self._http.send(head) or b"")
        self._writer.write(reply.body[: len(reply.body) // 2])
        await self._writer.drain()

    def _reset(self) -> None:
        """Close without a word; on TCP with RST (lingering for 0 seconds)."""
        sock = self._writer.get_extra_info("socket")
        if sock is not None and sock.family in (socket.AF_INET, socket.AF_INET6):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        self._writer.transport.abort()


def _retry_after(fault: Fault) -> tuple[tuple[str, str], ...]:
    if fault.retry_after is None:
        return ()
    if isinstance(fault.retry_after, int):
        return (("Retry-After", str(fault.retry_after)),)
    at = (clock.now() + timedelta(seconds=2)).replace(microsecond=0)
    if fault.retry_after == "date":
        return (("Retry-After", format_datetime(at, usegmt=True)),)
    limits = {"Limit": "100", "Remaining": "0", "Reset": str(int(at.timestamp()))}
    return tuple((f"X-RateLimit-{name}", value) for name, value in limits.items())
