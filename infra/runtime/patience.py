"""The artifacts of an agent, as long as the bus takes: a bus that is away is no failure of the task.

A task that failed because the bus was restarted would use up one of its retries, or end its pipeline: it would end
otherwise than it would have without the restart.
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

RETRY_S = (0.1, 0.2, 0.5, 1.0, 2.0)
PROBLEM = "artifacts"
"""Its name in readiness."""

T = TypeVar("T")


class PatientArtifacts:
    """``artifacts``, every call repeated while the store does not answer, is full, or confirms nothing.

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
        attempt = 0
        try:
            while True:
                try:
                    return await call()
                except ArtifactMissing:
                    raise
                except (Transient, TimeoutError, nats.errors.Error) as error:
                    self._health.problems[PROBLEM] = str(error) or type(error).__name__
                    logger.warning("the artifact store has trouble, trying again: %r", error)
                await asyncio.sleep(RETRY_S[min(attempt, len(RETRY_S) - 1)])
                attempt += 1
        finally:
            self._health.problems.pop(PROBLEM, None)
