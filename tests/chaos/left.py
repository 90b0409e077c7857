"""Reads what a run has left: the stream, the SQL copy, the event store's answers, the agents' journals."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterable, Sequence
from datetime import datetime
from pathlib import Path

import httpx2
from sqlalchemy import Engine, text

from contracts import subjects
from contracts.pipeline import PipelineState
from infra.runtime.bus import Bus
from infra.runtime.patience import insist
from services.event_store.database.copy import Copy
from services.event_store.database.engine import open_engine
from services.event_store.settings import Settings
from tests.chaos.agents import read_journals
from tests.chaos.judge import Message, Seen
from tests.chaos.plays import Play

CATCH_UP_S = 60
AGAIN_S = 0.3


async def look(
    data: Path, accepted: dict[str, Play], bus: Bus, http: httpx2.AsyncClient, *, url: str | None = None
) -> Seen:
    """Everything, once the copy has come as far as the stream; if it does not within `CATCH_UP_S`, as it is then.
    ``url`` is the event store's database, if it is not the default.

    Raises:
        TimeoutError: the bus does not answer.
    """
    stream = await _stream(bus)
    engine = open_engine(url or Settings().database_url(data))
    await _caught_up(engine, stream[-1].sequence if stream else 0)
    states = await _states(http, {message.subject.split(".", 2)[1] for message in stream})
    with engine.connect() as copy:
        rows = copy.execute(text("SELECT sequence, subject, payload FROM events ORDER BY sequence")).all()
        found = copy.execute(text("SELECT sha256, content FROM artifacts")).all()
    engine.dispose()
    artifacts = {sha256: bytes(content) for sha256, content in found}
    copied = [(sequence, subject, bytes(payload)) for sequence, subject, payload in rows]
    return Seen(accepted, stream, copied, states, artifacts, read_journals(data))


async def _stream(bus: Bus) -> Sequence[Message]:
    async with asyncio.timeout(CATCH_UP_S):
        stored = await insist(lambda: bus.reader.since(subjects.EVENTS_STREAM, subjects.ALL_EVENTS), _wait)
    return [
        Message(one.sequence, one.subject, one.data, datetime.fromisoformat(one.headers["Nats-Time-Stamp"]))
        for one in stored
    ]


def _wait(error: Exception) -> None:
    """The bus may have been the last to be killed, too."""


async def _caught_up(engine: Engine, last: int) -> None:
    for _ in range(int(CATCH_UP_S / AGAIN_S)):
        if Copy(engine).last_sequence() >= last:
            return
        await asyncio.sleep(AGAIN_S)


async def _states(http: httpx2.AsyncClient, pipelines: Iterable[str]) -> dict[str, PipelineState]:
    """What the gateway says of each; who is not answered for is left out."""
    found: dict[str, PipelineState] = {}
    for pipeline in pipelines:
        for _ in range(int(CATCH_UP_S / AGAIN_S)):
            with contextlib.suppress(httpx2.TransportError):  # it may have been the last to be killed
                answer = await http.get(f"/pipelines/{pipeline}/state")
                if answer.status_code == 200:
                    found[pipeline] = PipelineState.model_validate(answer.json()["state"])
                    break
            await asyncio.sleep(AGAIN_S)
    return found
