"""Which agents have a model? Asked over the bus; the answer is kept for some seconds."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from nats.aio.client import Client

from contracts.queries import Capability
from contracts.services import Service
from contracts.subjects import CAPABILITIES
from gateway.asking import ask_all

NEEDED = (Service.RESEARCH, Service.GENERATOR)
"""What begins with a model needs one here: to find out what the API is, and to write what no compiler can."""


class Capabilities:
    """``timeout_s``: how long agents may take to answer."""

    def __init__(self, nc: Client, *, timeout_s: float, cache_s: float) -> None:
        self._nc = nc
        self._timeout_s = timeout_s
        self._cache_s = cache_s
        self._lacking: tuple[Service, ...] = NEEDED
        self._until = 0.0

    async def lacking(self) -> tuple[Service, ...]:
        """Who of `NEEDED` has no model, as far as anybody says."""
        now = asyncio.get_running_loop().time()
        if now >= self._until:
            told = await ask_all(
                self._nc,
                CAPABILITIES,
                Capability,
                timeout_s=self._timeout_s,
                enough=lambda told: not _lacking(told),
            )
            self._lacking = _lacking(told)
            self._until = now + self._cache_s
        return self._lacking


def _lacking(told: Sequence[Capability]) -> tuple[Service, ...]:
    return tuple(service for service in NEEDED if not any(one.service == service for one in told))
