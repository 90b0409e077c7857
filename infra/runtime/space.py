"""How full the streams are: they have a fixed size, and refuse what does not fit any more."""

from __future__ import annotations

import asyncio

from nats.js import api

from contracts import subjects
from infra.runtime.bus import Bus
from infra.runtime.health import Health
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


def watch_space(health: Health, bus: Bus) -> None:
    """Let ``health`` warn of streams that fill up, and name those that are full as a problem."""

    async def full() -> str | None:
        return _told([found for found in await _all(bus) if _left(found) < ROOM_BYTES], "is full")

    async def filling() -> str | None:
        found = [found for found in await _all(bus) if _left(found) >= ROOM_BYTES and _used(found) >= WARN_AT]
        return _told(found, "fills up")

    health.checks["space"] = full
    health.warnings["space"] = filling


async def _all(bus: Bus) -> list[api.StreamInfo]:
    if not bus.nc.is_connected:  # that is another problem, and asking would take long
        return []
    return await asyncio.gather(*(bus.js.stream_info(stream) for stream in _LIMITS))


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
