"""The ledger of turns: what was received, and what tool calls did, kept before anybody uses it.

A place is written once. Who comes second is told what the first one wrote, and goes on with that (design.md,
rule 12).
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import re
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Protocol, TypeVar

from contracts import subjects
from contracts.errors import Transient
from infra.runtime.bus import Bus
from infra.runtime.health import Health
from infra.runtime.log import PREVIOUS, WRONG_LAST_SEQUENCE
from infra.runtime.patience import insist

logger = logging.getLogger(__name__)

PROBLEM = "turns"
"""The ledger's name in readiness."""

REQUEST_TIMEOUT_S = 5.0

_PLAIN = re.compile(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*")

T = TypeVar("T")


class Turns(Protocol):
    """Contents by subject (`contracts.subjects.turn`, `effect`)."""

    async def get(self, subject: str) -> bytes | None:
        """What is there."""

    async def put(self, subject: str, content: bytes) -> bytes:
        """What is there from now on: ``content``, or what another one put first."""


class MemoryTurns:
    """For tests."""

    def __init__(self) -> None:
        self.contents: dict[str, bytes] = {}

    async def get(self, subject: str) -> bytes | None:
        return self.contents.get(subject)

    async def put(self, subject: str, content: bytes) -> bytes:
        return self.contents.setdefault(subject, content)


class FolderTurns:
    """One file per subject, written beside and linked into place: for one agent alone, without a bus."""

    def __init__(self, root: Path) -> None:
        self._root = root

    async def get(self, subject: str) -> bytes | None:
        return await asyncio.to_thread(self._read, self._path(subject))

    async def put(self, subject: str, content: bytes) -> bytes:
        return await asyncio.to_thread(self._write, self._path(subject), content)

    def _path(self, subject: str) -> Path:
        if not _PLAIN.fullmatch(subject):
            raise ValueError(f"not a subject: {subject!r}")
        return self._root / subject

    @staticmethod
    def _read(path: Path) -> bytes | None:
        try:
            return path.read_bytes()
        except FileNotFoundError:
            return None

    @staticmethod
    def _write(path: Path, content: bytes) -> bytes:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=".new-")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            os.link(name, path)  # unlike a rename it fails where something is
        except FileExistsError:
            return path.read_bytes()
        finally:
            Path(name).unlink(missing_ok=True)
        return content


class BusTurns:
    """The stream ``TURNS``. While the bus has trouble a call waits, and readiness says so."""

    def __init__(self, bus: Bus, health: Health) -> None:
        self._bus = bus
        self._health = health

    async def get(self, subject: str) -> bytes | None:
        stored = await patiently(lambda: self._bus.reader.last(subjects.TURNS_STREAM, subject), self._health)
        return stored.data if stored else None

    async def put(self, subject: str, content: bytes) -> bytes:
        return await patiently(lambda: self._put(subject, content), self._health)

    async def _put(self, subject: str, content: bytes) -> bytes:
        if await publish_after(self._bus, subject, content, 0):
            return content
        first = await self._bus.reader.last(subjects.TURNS_STREAM, subject)
        if first is None:  # a replica that lags behind answers direct reads
            raise Transient("the stream of turns does not show yet what it holds", where=subject)
        return first.data


async def publish_after(bus: Bus, subject: str, content: bytes, last: int) -> bool:
    """Append ``content`` if the newest message on ``subject`` is at sequence ``last`` (0: there is none).

    Returns:
        False if another message came first.

    Raises:
        Transient: the stream refused it for another reason.
        nats.errors.Error, TimeoutError: no answer; it may have been stored.
    """
    headers = {PREVIOUS: str(last)}
    reply = json.loads((await bus.nc.request(subject, content, timeout=REQUEST_TIMEOUT_S, headers=headers)).data)
    if error := reply.get("error"):
        if error.get("err_code") in WRONG_LAST_SEQUENCE:
            return False
        raise Transient(f"the stream of turns refused a message: {error.get('description')}", where=subject)
    return True


async def patiently(operation: Callable[[], Awaitable[T]], health: Health) -> T:
    """Repeat ``operation`` while the bus has trouble, until the attempt's time is over."""

    def in_trouble(error: Exception) -> None:
        health.problems[PROBLEM] = str(error) or type(error).__name__
        logger.warning("the stream of turns has trouble, trying again: %r", error)

    try:
        return await insist(operation, in_trouble)
    finally:
        health.problems.pop(PROBLEM, None)
