"""How full the streams are: they have a fixed size, and refuse what does not fit any more."""

from __future__ import annotations

import asyncio

from nats.js import JetStreamContext, api

from contracts import subjects
from infra.runtime.object_store import OBJECT_STREAM

WARN_AT = 0.8
ROOM_BYTES = 64 * 1024
"""Less than this is no room: a fact is smaller, but another one may come first."""

_LIMITS = {
    subjects.EVENTS_STREAM: "CONNECTORS_EVENTS_MAX_BYTES",
    subjects.TURNS_STREAM: "CONNECTORS_TURNS_MAX_BYTES",
    subjects.DEAD_STREAM: "CONNECTORS_DEAD_MAX_BYTES",
    OBJECT_STREAM: "CONNECTORS_ARTIFACTS_MAX_BYTES",
}


async def look(js: JetStreamContext) -> list[api.StreamInfo]:
    """What the bus says of its streams.

    Raises:
        nats.errors.Error, TimeoutError: it says nothing.
    """
    return await asyncio.gather(*(js.stream_info(stream) for stream in _LIMITS))


def full(streams: list[api.StreamInfo]) -> str | None:
    """Which of them take nothing more, if any."""
    return _told([one for one in streams if _left(one) < ROOM_BYTES], "is full")


def filling(streams: list[api.StreamInfo]) -> str | None:
    """Which of them soon will."""
    return _told([one for one in streams if _left(one) >= ROOM_BYTES and _used(one) >= WARN_AT], "fills up")


def _left(found: api.StreamInfo) -> int:
    return (found.config.max_bytes or 0) - found.state.bytes


def _used(found: api.StreamInfo) -> float:
    return found.state.bytes / (found.config.max_bytes or 1)


def _told(found: list[api.StreamInfo], what: str) -> str | None:
    """One sentence for each stream, with what helps."""
    told = (
        f"stream {one.config.name} {what} ({_used(one):.1%}): "
        f"raise {_LIMITS[str(one.config.name)]} of the event store and restart it"
        for one in found
    )
    return "; ".join(told) or None
