"""A pipeline in memory, brought as far as a test wants it."""

from __future__ import annotations

from contracts import events as e
from contracts.envelope import wrap
from contracts.pipeline import fold
from contracts.policy import Policy
from contracts.services import Service
from tests.support import scripted as s
from tests.support.log import NOW, PIPELINE, Log

CHILD = "c" * 32
BOTH_HALVES = (Service.RESEARCH, Service.GENERATOR, Service.FIXTURES)
TO_REVIEW = (*BOTH_HALVES, Service.TESTER, Service.TEST_REVIEWER)
TO_END = (*TO_REVIEW, Service.REVIEWER, Service.PUBLISHER)


def begun(**policy: object) -> Log:
    log = Log()
    log.say(Service.GATEWAY, e.PipelineSubmitted(name="sample", policy=Policy(**policy)))
    return log


def step(log: Log, service: Service, answer: s.Answer | None = None) -> None:
    """``service`` answers its open task, then the router works."""
    task = next(task for task in log.state.tasks if task.service == service)
    log.answer(task, answer or s.HAPPY[service])
    log.route()


def until(log: Log, *services: Service) -> Log:
    for service in services:
        step(log, service)
    return log


def fork(parent: Log, at: int, policy: Policy | None = None) -> Log:
    """A child in memory: the parent's state at ``at``, then its own facts under its own id."""
    child = Log(state=fold(parent.facts[:at]))
    fact = e.PipelineForked(parent=PIPELINE, at=at, policy=policy)
    envelope = wrap(fact, id="fork", pipeline=CHILD, source=Service.GATEWAY, time=NOW, causation=None)
    child.put(envelope)
    return child
