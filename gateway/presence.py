"""Which open steps nobody works on: every agent is asked what it is doing."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from nats.aio.client import Client

from contracts.pipeline import PipelineState, Task, outstanding
from contracts.queries import Presence
from contracts.subjects import PRESENCE
from gateway.answers import WaitingStep
from gateway.asking import ask_all
from infra.runtime.bus import Bus

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

    def enough(found: Sequence[Presence]) -> bool:
        return set(wanted) <= {task for one in found for task in one.tasks}

    return await ask_all(nc, PRESENCE, Presence, timeout_s=ANSWER_TIMEOUT_S, enough=enough)
