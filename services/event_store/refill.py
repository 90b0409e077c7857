"""Makes the streams whole again from the copy: the same messages at the same sequences, and the artifacts.

Whoever decided on a log that has lost its end would decide once more what is decided already. So the streams are
closed to everybody else while they are refilled (`infra.runtime.gate`), and every publication names the sequence
that it must follow.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from datetime import datetime
from typing import Any, Protocol, TypeVar

import nats.errors
from nats.js import api
from nats.js.errors import NotFoundError

from contracts import subjects
from contracts.artifacts import ArtifactRef
from contracts.errors import Transient
from infra.runtime.bus import Bus
from infra.runtime.gate import as_closed, as_open, move
from infra.runtime.object_store import OBJECT_STREAM
from services.event_store.archive import groups
from services.event_store.database.copy import Copy
from services.event_store.errors import Diverged, Gap

logger = logging.getLogger(__name__)

PAGE = 256
CONFIRM_TIMEOUT_S = 10.0

T = TypeVar("T")


class Kept(Protocol):
    """A message as a copy holds it."""

    @property
    def sequence(self) -> int: ...
    @property
    def subject(self) -> str: ...
    @property
    def payload(self) -> bytes: ...
    @property
    def headers(self) -> Mapping[str, str]: ...


class CopyOf(Protocol):
    """The copy of one stream: of the log, or of one beside it."""

    stream: str

    def last_sequence(self) -> int: ...

    def recorded(self, sequence: int) -> str | None: ...

    def mark(self, subject: str, payload: bytes) -> str | None: ...

    def stored(self, after: int, limit: int) -> Sequence[Kept]: ...


class RefillFailed(Transient):
    """The stream took not all of it; what it took stays, and the next attempt goes on after it."""


class Refill:
    """``copies`` in the order in which they are refilled, the log's last; ``writer`` is the thread that the
    database is used in."""

    def __init__(self, bus: Bus, copies: Sequence[CopyOf], artifacts: Copy, writer: Executor) -> None:
        self._bus = bus
        self._copies = copies
        self._artifacts = artifacts
        self._writer = writer
        self._bucket_made: datetime | None = None

    async def run(self) -> None:
        """Compare every stream with its copy, refill what ends before it, and open what is closed.

        Raises:
            Gap, Diverged: stream and copy are not of one piece.
            RefillFailed: a stream refused a message or did not confirm it.
        """
        behind = [copy for copy in self._copies if await self._is_behind(copy)]
        if behind:
            for copy in self._copies:
                await move(self._bus.js, copy.stream, as_closed)
        await self._put_artifacts()
        try:
            for copy in behind:
                if await self._is_behind(copy):  # once more: now nobody else gets in
                    await self._put_back(copy)
        except (Gap, Diverged):
            await self._open()
            raise
        await self._open()

    async def _open(self) -> None:
        for copy in self._copies:
            await move(self._bus.js, copy.stream, as_open)

    async def _is_behind(self, copy: CopyOf) -> bool:
        """Whether the stream ends before the copy. Of one piece they are if the last message that both must have is
        the same.

        Raises:
            Gap, Diverged: they are not.
        """
        last = await self._run(copy.last_sequence)
        stream = (await self._bus.js.stream_info(copy.stream)).state
        common = min(last, stream.last_seq)
        if common and common >= stream.first_seq:
            await self._compare_at(copy, common)
        if last + 1 < stream.first_seq <= stream.last_seq:
            raise Gap(last + 1, stream.first_seq, copy.stream)
        return stream.last_seq < last

    async def _compare_at(self, copy: CopyOf, sequence: int) -> None:
        try:
            found = await self._bus.js.get_msg(copy.stream, sequence)
        except NotFoundError:
            raise Gap(sequence, sequence + 1, copy.stream) from None
        mark, recorded = copy.mark(found.subject or "", found.data or b""), await self._run(copy.recorded, sequence)
        if recorded != mark:
            raise Diverged(sequence, str(recorded), str(mark), copy.stream)

    async def _put_back(self, copy: CopyOf) -> None:
        after = (await self._bus.js.stream_info(copy.stream)).state.last_seq
        logger.warning("stream %s ends at sequence %d; refilling it from the copy", copy.stream, after)
        while page := await self._run(copy.stored, after, PAGE):
            await asyncio.gather(*(self._publish(copy.stream, message) for message in page))
            after = page[-1].sequence
        logger.warning("stream %s is refilled up to sequence %d", copy.stream, after)

    async def _publish(self, stream: str, message: Kept) -> None:
        # Without its id: a copy may hold one twice, further apart than the duplicate window was then.
        headers = {key: value for key, value in message.headers.items() if key != api.Header.MSG_ID.value}
        headers[api.Header.EXPECTED_LAST_SEQUENCE.value] = str(message.sequence - 1)
        what = f"sequence {message.sequence} of the refill of {stream}"
        try:
            reply = await self._bus.nc.request(
                f"{subjects.REFILL}{message.subject}", message.payload, timeout=CONFIRM_TIMEOUT_S, headers=headers
            )
        except (TimeoutError, nats.errors.Error) as error:
            raise RefillFailed(f"{what} was not confirmed") from error
        answer = json.loads(reply.data)
        if answer.get("seq") != message.sequence or answer.get("duplicate"):
            why = (answer.get("error") or {}).get("description", f"it was stored at {answer.get('seq')}")
            raise RefillFailed(f"{what} was not taken: {why}")

    # --- artifacts ------------------------------------------------------------------------------

    async def _put_artifacts(self) -> None:
        """Once for every bucket: what the copy has and the object store has not. Nothing is put a second time."""
        made = (await self._bus.js.stream_info(OBJECT_STREAM)).created
        if made == self._bucket_made:
            return
        count, after = 0, ""
        while page := await self._run(self._artifacts.artifacts, after, PAGE):
            present = await self._bus.artifacts.present([ref.sha256 for ref in page])
            for group in groups(ref for ref in page if ref.sha256 not in present):
                await asyncio.gather(*(self._put(ref) for ref in group))
                count += len(group)
            after = page[-1].sha256
        if count:
            logger.warning("%d artifacts that the object store had lost are put back", count)
        self._bucket_made = made

    async def _put(self, ref: ArtifactRef) -> None:
        content = await self._run(self._artifacts.content, ref.sha256)
        if content is not None:
            await self._bus.artifacts.put(content, ref.media_type)

    async def _run(self, function: Callable[..., T], *args: Any) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._writer, function, *args)
