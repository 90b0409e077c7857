"""Is there an agent with a model? Asked over the bus; the answer is kept for some seconds."""

from __future__ import annotations

import asyncio

import nats.errors
from nats.aio.client import Client
from pydantic import ValidationError

from contracts.queries import Capability
from contracts.subjects import CAPABILITIES


class Capabilities:
    """``timeout_s``: how long agents may take to answer."""

    def __init__(self, nc: Client, *, timeout_s: float, cache_s: float) -> None:
        self._nc = nc
        self._timeout_s = timeout_s
        self._cache_s = cache_s
        self._known: bool = False
        self._until = 0.0

    async def has_model(self) -> bool:
        """Whether some agent announces one; nobody answering means no."""
        now = asyncio.get_running_loop().time()
        if now >= self._until:
            self._known = await self._ask()
            self._until = now + self._cache_s
        return self._known

    async def _ask(self) -> bool:
        try:
            reply = await self._nc.request(CAPABILITIES, b"", timeout=self._timeout_s)
            return bool(Capability.model_validate_json(reply.data).models)
        except (TimeoutError, nats.errors.Error, ValidationError):
            return False
