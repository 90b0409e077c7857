"""Puts back into the log what it lost, from the copy: the same messages at the same sequences.

Every publication names the sequence that it must follow, so nothing can come between: whoever appended to the
shortened log in the meantime makes the refill fail, and the next comparison says that log and copy diverged.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable
from concurrent.futures import Executor
from typing import Any, TypeVar

import nats.errors
from nats.aio.client import Client

from contracts import subjects
from contracts.artifacts import TREE_MEDIA_TYPE, ArtifactRef, TreeManifest
from contracts.envelope import Envelope
from contracts.errors import Transient
from infra.runtime.agent import Artifacts
from infra.runtime.log import PREVIOUS
from services.event_store.archive import references
from services.event_store.database.copy import Copy, Stored

logger = logging.getLogger(__name__)

PAGE = 256
CONFIRM_TIMEOUT_S = 10.0

T = TypeVar("T")


class RefillFailed(Transient):
    """The log took not all of it; what it took stays, and the next attempt goes on after it."""


class Refill:
    """``writer`` is the thread that the database is used in."""

    def __init__(self, nc: Client, artifacts: Artifacts, copy: Copy, writer: Executor) -> None:
        self._nc = nc
        self._artifacts = artifacts
        self._copy = copy
        self._writer = writer

    async def run(self, after: int) -> int:
        """Publish every fact after sequence ``after``, its artifacts first; returns the last sequence.

        Raises:
            RefillFailed: the log refused a fact or did not confirm it.
        """
        logger.warning("the log ends at sequence %d; refilling it from the copy", after)
        while page := await self._run(self._copy.stored, after, PAGE):
            await self._put_artifacts(page)
            await asyncio.gather(*(self._publish(message) for message in page))
            after = page[-1].sequence
        logger.warning("the log is refilled up to sequence %d", after)
        return after

    async def _publish(self, message: Stored) -> None:
        headers = {
            "Nats-Expected-Last-Sequence": str(message.sequence - 1),
            PREVIOUS: str(message.previous),
            f"{PREVIOUS}-Subject": subjects.history(message.pipeline),
        }
        if message.id:
            headers["Nats-Msg-Id"] = message.id
        try:
            reply = await self._nc.request(
                message.subject, message.payload, timeout=CONFIRM_TIMEOUT_S, headers=headers
            )
        except (TimeoutError, nats.errors.Error) as error:
            raise RefillFailed(f"the log did not confirm sequence {message.sequence} of the refill") from error
        answer = json.loads(reply.data)
        if answer.get("seq") != message.sequence or answer.get("duplicate"):
            why = (answer.get("error") or {}).get("description", f"it stored it at {answer.get('seq')}")
            raise RefillFailed(f"the log did not take sequence {message.sequence} of the refill: {why}")

    async def _put_artifacts(self, page: list[Stored]) -> None:
        """What the facts name, in the object store again; what is still there is not put a second time."""
        refs = {
            ref.sha256: ref
            for message in page
            if message.id
            for ref in references(Envelope.decode(message.payload).data)
        }
        for ref in refs.values():
            content = await self._run(self._copy.content, ref.sha256)
            if content is None:
                logger.error("the copy does not have %s either", ref.sha256)
                continue
            if ref.media_type == TREE_MEDIA_TYPE:
                await self._put_blobs(content)
            await self._artifacts.put(content, ref.media_type)

    async def _put_blobs(self, manifest: bytes) -> None:
        blobs: dict[str, ArtifactRef] = {b.sha256: b for b in TreeManifest.model_validate_json(manifest).blobs()}
        for blob in blobs.values():
            content = await self._run(self._copy.content, blob.sha256)
            if content is not None:
                await self._artifacts.put(content, blob.media_type)

    async def _run(self, function: Callable[..., T], *args: Any) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._writer, function, *args)
