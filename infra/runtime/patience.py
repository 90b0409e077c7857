"""What is done while the bus has trouble: wait for it, say so in readiness, and go on.

A bus that is away is no failure of a task: that would use up one of its retries, or end its pipeline, which would
end otherwise than it would have without the trouble.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import TypeVar

import nats.errors

from contracts.artifacts import ArtifactRef, Tree
from contracts.errors import Transient
from infra.runtime.agent import Artifacts
from infra.runtime.artifacts import ArtifactMissing
from infra.runtime.health import Health

logger = logging.getLogger(__name__)

TROUBLES = (Transient, TimeoutError, nats.errors.Error)
RETRY_S = (0.05, 0.1, 0.2, 0.5, 1.0, 2.0)
PROBLEM = "artifacts"
"""Their name in readiness."""

T = TypeVar("T")


async def insist(operation: Callable[[], Awaitable[T]], in_trouble: Callable[[Exception], None]) -> T:
    """Repeat ``operation`` while the bus has trouble, with growing waits in between.

    ``in_trouble`` is told of each error before the wait; it may raise, and that is the end of it.
    """
    attempt = 0
    while True:
        try:
            return await operation()
        except TROUBLES as error:
            in_trouble(error)
        await asyncio.sleep(RETRY_S[min(attempt, len(RETRY_S) - 1)])
        attempt += 1


class PatientArtifacts:
    """The artifacts of an agent: each call is repeated while the store does not answer, is full, confirms nothing.

    What it lacks (`ArtifactMissing`) or holds damaged is told at once. How long is too long is decided by the time
    limit of the attempt; meanwhile readiness says what is waited for.
    """

    def __init__(self, artifacts: Artifacts, health: Health) -> None:
        self._artifacts = artifacts
        self._health = health

    async def put(self, content: bytes, media_type: str) -> ArtifactRef:
        return await self._insist(lambda: self._artifacts.put(content, media_type))

    async def get(self, ref: ArtifactRef) -> bytes:
        return await self._insist(lambda: self._artifacts.get(ref))

    async def put_tree(self, tree: Tree) -> ArtifactRef:
        return await self._insist(lambda: self._artifacts.put_tree(tree))

    async def get_tree(self, ref: ArtifactRef) -> dict[str, bytes]:
        return await self._insist(lambda: self._artifacts.get_tree(ref))

    async def _insist(self, call: Callable[[], Awaitable[T]]) -> T:
        try:
            return await insist(call, self._in_trouble)
        finally:
            self._health.problems.pop(PROBLEM, None)

    def _in_trouble(self, error: Exception) -> None:
        if isinstance(error, ArtifactMissing):
            raise error
        self._health.problems[PROBLEM] = str(error) or type(error).__name__
        logger.warning("the artifact store has trouble, trying again: %r", error)
