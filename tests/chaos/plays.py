"""What happens in a pipeline of a chaos run: a pure function of its name.

Agents forget everything when they are killed, so what one answers depends only on the pipeline's name and on what
the log says: which task it is, and how many rounds were decided before it. The same function, played in memory
without a bus and without a fault, says how the pipeline must end.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

from contracts import events as e
from contracts.envelope import Envelope
from contracts.pipeline import REQUESTS, PipelineState, Status, Task, evolve, outstanding
from contracts.policy import Policy
from contracts.services import AGENTS, Service
from tests.support import scripted as says
from tests.support.log import Log

MAX_WORK_S = 0.4
_CANCELLED_AT = tuple(service for service in AGENTS if service is not Service.FIXTURES)
"""Fixtures work beside the generator: how far that one has come then depends on who is faster."""

_PAUSED_AFTER = (e.ResearchCompleted, e.TestsRequested, e.TestsReviewed, e.GenerationRequested, e.ReviewRequested)
_REQUESTED = {fact.TYPE for fact in REQUESTS.values()}

Weighted = Sequence[tuple[float, says.Answer]]


@dataclass(frozen=True)
class Play:
    """One pipeline, by its connector's name.

    ``cancelled_at``: that service works on its first task until somebody cancels the pipeline. ``paused_after``:
    once a fact of this type is there, somebody pauses it, and resumes it ``paused_s`` later. ``granted``: what a
    person says where the policy asks one.
    """

    name: str
    policy: Policy
    cancelled_at: Service | None = None
    paused_after: str | None = None
    paused_s: float = 0
    granted: bool = True

    @classmethod
    def of(cls, name: str) -> Play:
        dice = Random(name)
        policy = Policy(
            retry_backoff_s=dice.choice((0.05, 0.2, 0.5)),
            code_repairs=dice.choice((1, 2, 3)),
            test_repairs=dice.choice((1, 2, 3)),
            approval="required" if dice.random() < 0.1 else "none",
        )
        kind = dice.random()
        return cls(
            name,
            policy,
            cancelled_at=dice.choice(_CANCELLED_AT) if kind < 0.12 else None,
            paused_after=dice.choice(_PAUSED_AFTER).TYPE if 0.12 <= kind < 0.27 else None,
            paused_s=dice.uniform(0, 1.5),
            granted=dice.random() < 0.8,
        )

    def submitted(self) -> e.PipelineSubmitted:
        return e.PipelineSubmitted(name=self.name, document=says.ref("document"), policy=self.policy)

    def approval(self, request: str) -> e.Fact:
        return e.ApprovalGranted(request=request) if self.granted else e.ApprovalDenied(request=request)


def work_s(state: PipelineState, task: Task) -> float:
    """How long the work takes: mostly nothing, sometimes long enough to be killed in it."""
    dice = _dice(state, task, "work")
    return dice.uniform(0.02, MAX_WORK_S) if dice.random() < 0.5 else 0


def answer(state: PipelineState, task: Task) -> e.Fact:
    """What the agent says; may raise as an agent does."""
    dice = _dice(state, task, "answer")
    if dice.random() < 0.06 and (task.service is not Service.FIXTURES or task.attempt == 1):
        return says.transient(state, task)
    if dice.random() < 0.01 and task.service is not Service.FIXTURES:
        return says.permanent(state, task)
    table = _ANSWERS.get(task.service, ((1, says.HAPPY[task.service]),))
    (said,) = dice.choices([one for _, one in table], [weight for weight, _ in table])
    return said(state, task)


def _dice(state: PipelineState, task: Task, what: str) -> Random:
    """Of this task, whoever does it, and of what stands for it when it is requested anew after a pause."""
    rounds = ",".join(map(str, state.counters.model_dump().values()))
    return Random(f"{state.name}/{what}/{task.service}/{task.mode}/{task.attempt}/{rounds}")


def _unchanged(state: PipelineState, task: Task) -> e.Fact:
    """A repair that comes to nothing: the code is as it was."""
    if state.code is None:
        return says.generated(state, task)
    return e.ConnectorGenerated(mode=e.GeneratorMode(task.mode or ""), code=state.code)


_ANSWERS: dict[Service, Weighted] = {
    Service.GENERATOR: ((85, says.generated), (15, _unchanged)),
    Service.TESTER: ((70, says.passed), (30, says.failed)),
    Service.TEST_REVIEWER: (
        (55, says.good()),
        (6, says.good(9)),
        (5, says.good(6)),
        (3, says.good(3)),
        (13, says.bad_code(6)),
        (4, says.bad_code(8)),
        (4, says.bad_code(3)),
        (10, says.bad_tests(6)),
    ),
    Service.REVIEWER: (
        (70, says.approved),
        (15, says.rejected()),
        (10, says.rejected(e.Blame.CONTEXT)),
        (5, says.rejected(critical=1)),
    ),
}


# --- how it must end --------------------------------------------------------------------------------


@dataclass(frozen=True)
class Ending:
    """All of a pipeline's end that does not depend on who was faster.

    ``decisions`` are the router's, without those about fixtures (which work beside the generator), back-offs and
    pauses, and without requests that only renew what a pause left.
    """

    status: Status
    reason: str | None
    state: dict[str, Any]
    decisions: tuple[str, ...]

    @classmethod
    def of(cls, facts: Sequence[Envelope]) -> Ending:
        state, decisions = PipelineState(), []
        for fact in facts:
            if fact.source == Service.ROUTER and _is_of_the_story(state, fact):
                decisions.append(says.spell(fact))
            state = evolve(state, fact)
        told = state.model_dump(
            include={
                "name",
                "counters",
                "outcome",
                "version",
                "verdict",
                "coverage",
                "degraded",
                "unproven",
                "score",
            },
            mode="json",
        )
        return cls(state.status, state.reason, told, tuple(decisions))


def _is_of_the_story(before: PipelineState, fact: Envelope) -> bool:
    beside = (e.FixturesRequested, e.TimerElapsed, e.PipelinePaused, e.PipelineResumed)
    renews = fact.type in _REQUESTED and any(task.id == fact.causation for task in before.tasks)
    return not renews and fact.type not in {kind.TYPE for kind in beside}


def undisturbed(play: Play) -> Ending:
    """How it ends where nothing dies."""
    return Ending.of(played(play))


def played(play: Play) -> list[Envelope]:
    """All its facts where nothing dies and nobody pauses it."""
    log = Log()
    log.say(Service.GATEWAY, play.submitted())
    while not log.state.status.final:
        log.route()
        if log.state.approval is not None:
            log.say(Service.GATEWAY, play.approval(log.state.approval))
        elif tasks := outstanding(log.state):
            if play.cancelled_at in {task.service for task in tasks}:
                log.say(Service.GATEWAY, e.PipelineCancelRequested())
            else:
                log.answer(tasks[0], answer)
    return log.facts
