"""Reads a document from the web without being led into private networks."""
from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class FetchPolicy:
    """What may be fetched. ``allow_loopback`` is for the embedded stack only."""

    allow_loopback: bool = False
    max_bytes: int = 50 * 1024 * 1024
    timeout_s: float = 30.0
    max_redirects: int = 5


async def fetch(url: str, policy: FetchPolicy) -> bytes:
    """See below."""
    raise NotImplementedError
