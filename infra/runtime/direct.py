"""Reads from a stream without a consumer: JetStream's direct get, in batches.

Wire format: NATS ADR-31 "JetStream Direct Get". nats-py has no call for the batched form.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from nats.aio.client import Client
from nats.aio.msg import Msg

from contracts.errors import Transient
from contracts.subjects import API

BATCH = 256
MAX_BATCH_BYTES = 2 * 1024 * 1024


class StreamUnavailable(Transient):
    """No server answers for the stream: it is not provisioned, has no leader, or the bus is away."""


@dataclass(frozen=True)
class Stored:
    """One message of a stream."""

    sequence: int
    subject: str
    headers: dict[str, str]
    data: bytes


class DirectReader:
    """One inbox for all direct reads of a process; replies find their request by the subject's last token."""

    def __init__(self, nc: Client, *, timeout_s: float) -> None:
        self._nc = nc
        self._timeout_s = timeout_s
        self._inbox = nc.new_inbox()
        self._waiting: dict[str, asyncio.Queue[Msg]] = {}
        self._count = 0

    @classmethod
    async def on(cls, nc: Client, *, timeout_s: float) -> DirectReader:
        reader = cls(nc, timeout_s=timeout_s)
        # No limits on what waits here: what is asked for is bounded already.
        await nc.subscribe(f"{reader._inbox}.*", cb=reader._receive, pending_msgs_limit=0, pending_bytes_limit=0)
        return reader

    async def _receive(self, msg: Msg) -> None:
        queue = self._waiting.get(msg.subject.rpartition(".")[2])
        if queue is not None:
            queue.put_nowait(msg)

    async def last(self, stream: str, subject: str) -> Stored | None:
        """The newest message on ``subject``, or None.

        Raises:
            StreamUnavailable: nobody answered.
        """
        found, _ = await self._request(stream, {"last_by_subj": subject}, single=True)
        return found[0] if found else None

    async def since(self, stream: str, subject: str, sequence: int = 1) -> list[Stored]:
        """All messages that match the filter ``subject``, from ``sequence`` on, oldest first.

        Raises:
            StreamUnavailable: nobody answered.
        """
        messages: list[Stored] = []
        start, more = sequence, True
        while more:
            found, more = await self.page(stream, subject, start)
            messages += found
            start = found[-1].sequence + 1 if found else start
        return messages

    async def page(
        self, stream: str, subject: str, sequence: int, *, limit: int = BATCH
    ) -> tuple[list[Stored], bool]:
        """At most ``limit`` messages (fewer if they are large) from ``sequence`` on, and whether there are more.

        Raises:
            StreamUnavailable: nobody answered.
        """
        request = {
            "seq": max(sequence, 1),
            "next_by_subj": subject,
            "batch": limit,
            "max_bytes": MAX_BATCH_BYTES,
        }
        found, pending = await self._request(stream, request)
        return found, bool(found and pending)

    async def newest(self, stream: str, wanted: Sequence[str]) -> list[Stored]:
        """The newest message on each of the subjects ``wanted`` (at most 1,024) that has one.

        Raises:
            StreamUnavailable: nobody answered.
        """
        found, _ = await self._request(stream, {"multi_last": list(wanted), "batch": len(wanted)})
        return found

    async def _request(
        self, stream: str, request: dict[str, Any], *, single: bool = False
    ) -> tuple[list[Stored], int]:
        """Send one request and collect its replies: the messages, and how many more match."""
        self._count += 1
        token = str(self._count)
        queue = self._waiting[token] = asyncio.Queue()
        try:
            await self._nc.publish(
                f"{API}.DIRECT.GET.{stream}", json.dumps(request).encode(), reply=f"{self._inbox}.{token}"
            )
            async with asyncio.timeout(self._timeout_s):
                return await self._collect(stream, queue, single)
        except TimeoutError:
            raise StreamUnavailable(f"stream {stream} did not answer within {self._timeout_s:g} s") from None
        finally:
            del self._waiting[token]

    async def _collect(self, stream: str, queue: asyncio.Queue[Msg], single: bool) -> tuple[list[Stored], int]:
        found: list[Stored] = []
        while True:
            msg = await queue.get()
            headers = msg.headers or {}
            match headers.get("Status"):
                case None:
                    found.append(Stored(int(headers["Nats-Sequence"]), headers["Nats-Subject"], headers, msg.data))
                    if single:
                        return found, 0
                case "204":
                    return found, int(headers.get("Nats-Num-Pending", "0"))
                case "404":
                    return found, 0
                case status:
                    raise StreamUnavailable(
                        f"stream {stream} answered {status} {headers.get('Description', '')}".rstrip()
                    )
