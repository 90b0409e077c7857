"""One attempt at a task, as it is told: how long it took, what came of it, how many are in flight."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from contracts.events import AgentFailed, Fact
from contracts.services import Service
from infra.runtime.agent import Job
from infra.runtime.attempt import Ended
from infra.runtime.telemetry import metrics
from infra.runtime.telemetry.spans import Span


@contextmanager
def measured(service: Service, job: Job, work: Span) -> Iterator[Callable[[Fact | Ended], None]]:
    """Measure what is done inside; what is yielded hears what came of it, and ends the span ``work`` with that."""
    task, began = job.task, time.monotonic()

    def came(answer: Fact | Ended) -> None:
        outcome = _outcome(answer)
        metrics.TASK_SECONDS.labels(service, task.mode or "", outcome).observe(time.monotonic() - began)
        work.set(
            {
                "connectors.pipeline.id": job.state.id,
                "connectors.task.id": task.id,
                "connectors.task.mode": task.mode or "",
                "connectors.task.attempt": task.attempt,
                "connectors.task.outcome": outcome,
            }
        )
        if isinstance(answer, AgentFailed):
            work.fail(answer.kind)
        work.end()

    with metrics.IN_FLIGHT.labels(service).track_inprogress():
        yield came


def _outcome(answer: Fact | Ended) -> str:
    """In a word."""
    if isinstance(answer, AgentFailed):
        return answer.kind
    return "done" if isinstance(answer, Fact) else answer.value
