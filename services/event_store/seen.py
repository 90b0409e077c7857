"""What the event store tells at a scrape: how far its copy is, what it holds, and how full the streams are.

The streams are everybody's; it tells of them because one has to, and because it reads all of them.
"""

from __future__ import annotations

import asyncio

from nats.js import JetStreamContext
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from contracts import subjects
from contracts.queries import Counts
from contracts.services import Service
from infra.runtime.object_store import OBJECT_STREAM
from infra.runtime.telemetry import metrics
from infra.runtime.telemetry.scrape import Look, answered
from services.event_store.database import read
from services.event_store.watermark import Watermark

_OWN = Service.EVENT_STORE.value
STREAMS = (
    subjects.EVENTS_STREAM,
    subjects.TURNS_STREAM,
    subjects.TIMERS_STREAM,
    subjects.DEAD_STREAM,
    OBJECT_STREAM,
)


def looks(js: JetStreamContext, engine: Engine, watermark: Watermark) -> list[Look]:
    """One for the streams, one for the database."""

    async def stream(name: str) -> None:
        info = await answered(js.stream_info(name))
        if name == subjects.EVENTS_STREAM:
            lag(None if info is None else info.state.last_seq)
        if info is None:
            metrics.STREAM_BYTES.remove(name)
            metrics.STREAM_MAX_BYTES.remove(name)
        else:
            metrics.STREAM_BYTES.labels(name).set(info.state.bytes)
            metrics.STREAM_MAX_BYTES.labels(name).set(info.config.max_bytes or 0)

    def lag(last: int | None) -> None:
        if last is None:
            metrics.STORE_LAG.clear()
        else:
            metrics.STORE_LAG.labels(_OWN).set(last - watermark.last)

    async def streams() -> None:
        await asyncio.gather(*map(stream, STREAMS))

    asking: asyncio.Future[Counts] | None = None

    async def database() -> None:
        nonlocal asking
        if asking is None or asking.done():  # one that hangs is enough: each takes a thread
            asking = asyncio.ensure_future(asyncio.to_thread(read.counts, engine))
        try:
            counts = await answered(asyncio.shield(asking))
        except SQLAlchemyError:
            counts = None
        if counts is None:
            metrics.PIPELINES.clear()
            metrics.MISSING_ARTIFACTS.clear()
            return
        metrics.MISSING_ARTIFACTS.labels(_OWN).set(len(counts.missing))
        for status, number in counts.pipelines.items():
            metrics.PIPELINES.labels(status).set(number)

    return [streams, database]
