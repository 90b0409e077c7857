"""Which open steps nobody works on: every agent is asked what it is doing."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection, Sequence

import nats.errors
from nats.aio.client import Client
from pydantic import ValidationError

from contracts.pipeline import PipelineState, Task, outstanding
from contracts.queries import Presence
from contracts.subjects import PRESENCE
from gateway.answers import WaitingStep
from infra.runtime.bus import Bus

logger = logging.getLogger(__name__)

ANSWER_TIMEOUT_S = 0.5
"""How long agents may take; only who has a step that nobody works on waits so long."""


async def steps_that_wait(bus: Bus, state: PipelineState) -> tuple[WaitingStep, ...]:
    """The open tasks of a pipeline that no process works on, and why; what the router requests anew is not among
    them."""
    tasks = () if state.imported else tuple(task for task in outstanding(state) if not task.stale)
    if not tasks:
        return ()
    present = await _present(bus.nc, {task.id for task in tasks})
    idle = [task for task in tasks if not _is_at_work(task, present)]
    if not idle:
        return ()
    told = {fact.id: fact.time for _, fact in await bus.log.whole_history(state.id)}
    return tuple(
        WaitingStep(service=task.service, task=task.id, since=told.get(task.id), why=_why(task, present))
        for task in idle
    )


def _is_at_work(task: Task, present: Sequence[Presence]) -> bool:
    return any(task.id in one.tasks for one in present if one.service == task.service)


def _why(task: Task, present: Sequence[Presence]) -> str:
    same = [one for one in present if one.service == task.service]
    if not same:
        return f"no process of {task.service} is running"
    if all(one.tasks for one in same):
        return f"{task.service} is busy with other pipelines ({len(same)} running)"
    return f"{task.service} is about to take it"


async def _present(nc: Client, wanted: Collection[str]) -> list[Presence]:
    """What the agents answer, until each of the tasks ``wanted`` is known to be worked on, or the time is over."""
    found: list[Presence] = []
    inbox = nc.new_inbox()
    replies = await nc.subscribe(inbox)
    try:
        await nc.publish(PRESENCE, b"", reply=inbox)
        async with asyncio.timeout(ANSWER_TIMEOUT_S):
            while not set(wanted) <= {task for one in found for task in one.tasks}:
                reply = await replies.next_msg(timeout=ANSWER_TIMEOUT_S)
                if (reply.headers or {}).get("Status"):  # 503: nobody listens
                    break
                found += _read(reply.data)
    except (TimeoutError, nats.errors.Error) as error:
        logger.debug("some agents did not answer: %r", error)
    finally:
        await replies.unsubscribe()
    return found


def _read(payload: bytes) -> list[Presence]:
    try:
        return [Presence.model_validate_json(payload)]
    except ValidationError as error:
        logger.warning("an agent's presence cannot be read: %s", error)
        return []
