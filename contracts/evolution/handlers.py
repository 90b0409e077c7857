"""How the changes of each fact are registered, and the rules that all answers share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from contracts.envelope import Envelope
from contracts.events import Fact
from contracts.services import Service
from contracts.state import PipelineState, Task

Changes = dict[str, Any]
"""Fields of the state -> their new values, in a dict of its own each time. An answer's ``opened`` are the tasks
that it adds."""

F = TypeVar("F", bound=Fact)
Handler = Callable[[PipelineState, Envelope, F], Changes]
HANDLERS: dict[str, Handler[Any]] = {}
"""Type of a fact -> what it changes in a state that is not final."""


def on(*facts: type[F]) -> Callable[[Handler[F]], Handler[F]]:
    def register(handler: Handler[F]) -> Handler[F]:
        HANDLERS.update({fact.TYPE: handler for fact in facts})
        return handler

    return register


def answered(service: Service) -> Callable[[Handler[F]], Handler[F]]:
    """Take an answer only for an open task of ``service``, and close that task."""

    def wrap(handler: Handler[F]) -> Handler[F]:
        def taken(state: PipelineState, envelope: Envelope, fact: F) -> Changes:
            task = open_task(state, service, envelope.causation)
            if task is None:
                return {}
            changes = handler(state, envelope, fact)
            changes["tasks"] = with_opened(state.tasks, *changes.pop("opened", ()), closed=task)
            return changes

        return taken

    return wrap


def open_task(state: PipelineState, service: Service | str, task_id: str | None) -> Task | None:
    """The task whose answer would still be taken, also while the pipeline is paused."""
    for task in state.tasks:
        if task.id == task_id and task.service == service:
            return task
    return None


def with_opened(tasks: tuple[Task, ...], *opened: Task, closed: Task | None = None) -> tuple[Task, ...]:
    """``tasks`` without ``closed``, and ``opened``, each of which replaces an older one of its service."""
    if not tasks:
        return opened
    services = [task.service for task in opened]
    return (*[task for task in tasks if task is not closed and task.service not in services], *opened)
