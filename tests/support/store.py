"""The event store in the test's own process, and questions to it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, SecretStr

from contracts import subjects
from contracts.queries import Answer, Counts, CountsQuery, Query, StoreReady
from contracts.services import Service
from infra.runtime.bus import Bus
from infra.runtime.gate import GATED
from infra.runtime.nats_server import NatsServer
from infra.runtime.service import Runtime, serving
from services.event_store.handler import store
from services.event_store.settings import Settings
from tests.support.nats import fast

R = TypeVar("R", bound=BaseModel)


@asynccontextmanager
async def running_store(server: NatsServer, folder: Path, **settings: Any) -> AsyncIterator[Runtime]:
    """The event store on ``folder``/events.db, or on the database ``url``."""
    url = SecretStr(settings.pop("url", f"sqlite:///{folder / 'events.db'}"))
    setup = store(Settings(url=url, **{"artifact_patience_s": 0.2, "min_seq_timeout_s": 2, **settings}))
    async with serving(Service.EVENT_STORE, setup, server.settings(Service.EVENT_STORE, fast(folder))) as runtime:
        yield runtime


async def ask(bus: Bus, name: str, query: Query, answer: type[R]) -> R:
    """The result of a question, which must not be refused."""
    reply = await bus.nc.request(subjects.query(name), query.model_dump_json().encode(), timeout=10)
    found = Answer[answer].model_validate_json(reply.data)  # type: ignore[valid-type]
    assert found.refusal is None, found.refusal
    assert found.result is not None
    return found.result


async def problems(runtime: Runtime) -> dict[str, str]:
    """What readiness says is wrong."""
    _, report = await runtime.health.report()
    assert isinstance(report["problems"], dict)
    return report["problems"]


async def store_problem(bus: Bus) -> str | None:
    """What the store says to every service that asks for its own readiness."""
    reply = await bus.nc.request(subjects.STORE_READY, timeout=1.5)
    return StoreReady.model_validate_json(reply.data).problem


async def copied(bus: Bus) -> Counts:
    """Wait until the copy has all that the streams have."""
    ends = {stream: (await bus.js.stream_info(stream)).state.last_seq for stream in GATED}
    last = ends.pop(subjects.EVENTS_STREAM)
    async with asyncio.timeout(20):
        while True:
            counts = await ask(bus, "counts", CountsQuery(), Counts)
            if (counts.last_sequence, counts.ledgers) == (last, ends):
                return counts
            await asyncio.sleep(0.05)
