"""What every process asks before it calls itself ready: does JetStream answer, is there room, is the store well?

Probes come every few seconds from every process. So what several checks need is asked for once, what is asked costs
whoever answers a look at what he knows, and nothing is waited for longer than a check may take.
"""

from __future__ import annotations

from functools import partial

import nats.errors
from nats.aio.client import Client
from nats.js import api
from nats.js.errors import NotFoundError
from pydantic import ValidationError

from contracts import subjects
from contracts.queries import StoreReady
from infra.runtime import space
from infra.runtime.bus import Bus
from infra.runtime.health import Health, Shared

STORE_TIMEOUT_S = 1.8
"""More than the store gives its database, less than a check may take."""


def watch_bus(health: Health, bus: Bus) -> None:
    """Let ``health`` say that the bus is away or does not answer, and that a stream is full or fills up."""
    look = Shared(partial(space.look, bus.js))

    async def answers() -> str | None:
        if not bus.nc.is_connected:
            return "not connected to the bus"
        try:
            await look()
        except NotFoundError:
            return None  # that is an answer; who waits for a stream says so itself
        except (TimeoutError, nats.errors.Error) as error:
            return f"JetStream does not answer: {str(error) or type(error).__name__}"
        return None

    async def seen() -> list[api.StreamInfo]:
        try:
            return await look() if bus.nc.is_connected else []
        except (TimeoutError, nats.errors.Error):
            return []  # that is another problem, and told

    async def full() -> str | None:
        return space.full(await seen())

    async def filling() -> str | None:
        return space.filling(await seen())

    health.checks |= {"bus": answers, "space": full}
    health.warnings["space"] = filling


def watch_store(health: Health, nc: Client) -> None:
    """Let ``health`` say that the event store does not answer, or what it says is wrong with it."""

    async def answers() -> str | None:
        return await _store_problem(nc) if nc.is_connected else None  # else the bus is the problem

    health.checks["event_store"] = answers


async def _store_problem(nc: Client) -> str | None:
    try:
        reply = await nc.request(subjects.STORE_READY, timeout=STORE_TIMEOUT_S)
        return StoreReady.model_validate_json(reply.data).problem
    except nats.errors.NoRespondersError:
        return "no event store is there"
    except (TimeoutError, nats.errors.Error):
        return "the event store does not answer"
    except ValidationError:
        return "the event store's answer cannot be read"
