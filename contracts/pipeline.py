"""`evolve`: the fold that turns a pipeline's facts into what is true now. Pure.

Facts open obligations (tasks of agents, choices of the router), answers and decisions close them. Whatever closes
nothing that is open changes nothing but the position: late, repeated and unasked-for facts are harmless by
construction, and no set of known ids has to be kept.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from contracts import events as e
from contracts.envelope import Envelope
from contracts.services import Service
from contracts.state import Choice, Counters, Coverage, Failure, PipelineState, Status, Task

__all__ = [
    "REQUESTS",
    "Choice",
    "Counters",
    "Coverage",
    "Failure",
    "PipelineState",
    "Status",
    "Task",
    "evolve",
    "fold",
    "open_task",
    "outstanding",
    "startable",
]

REQUESTS: dict[Service, type[e.Fact]] = {
    Service.RESEARCH: e.ResearchRequested,
    Service.GENERATOR: e.GenerationRequested,
    Service.FIXTURES: e.FixturesRequested,
    Service.TESTER: e.TestsRequested,
    Service.TEST_REVIEWER: e.TestReviewRequested,
    Service.REVIEWER: e.ReviewRequested,
    Service.PUBLISHER: e.PublishRequested,
}
"""Which request opens a task of which agent."""

_REQUESTED: dict[type[e.Fact], Service] = {fact: service for service, fact in REQUESTS.items()}
_COMMANDS_KEPT = 32

Changes = dict[str, Any]
F = TypeVar("F", bound=e.Fact)
_HANDLERS: dict[str, Callable[[PipelineState, Envelope, Any], Changes]] = {}


def fold(envelopes: Iterable[Envelope], state: PipelineState | None = None) -> PipelineState:
    """The state after these facts, on top of ``state`` (default: nothing has happened)."""
    state = state or PipelineState()
    for envelope in envelopes:
        state = evolve(state, envelope)
    return state


def evolve(state: PipelineState, envelope: Envelope) -> PipelineState:
    """The state after one more fact.

    A fork's state is the parent's, folded up to ``at``, and then `pipeline.forked` on top.

    Raises:
        UnknownFact: the fact is of a newer version than this code can read.
    """
    fact = envelope.fact()
    changes: Changes = {}
    if isinstance(fact, e.PipelineForked) or not state.status.final:
        handler = _HANDLERS[envelope.type]
        if state.id or isinstance(fact, (e.PipelineSubmitted, e.PipelineForked)):
            changes = handler(state, envelope, fact)
    return state.model_copy(update={"position": state.position + 1, **changes})


def outstanding(state: PipelineState) -> tuple[Task, ...]:
    """What should be running now: nothing while paused or at an end. Stale tasks wait to be requested anew."""
    return state.tasks if state.status is Status.RUNNING and state.cancel is None else ()


def startable(state: PipelineState, service: Service, task_id: str) -> Task | None:
    """The task that ``service`` may start for the fact ``task_id``; ``None``: leave it, others will see to it."""
    return next((t for t in outstanding(state) if t.id == task_id and t.service == service and not t.stale), None)


def open_task(state: PipelineState, service: Service, task_id: str) -> Task | None:
    """The task whose answer would still be taken, also while the pipeline is paused."""
    return next((t for t in state.tasks if t.id == task_id and t.service == service), None)


def _on(*facts: type[F]) -> Callable[[Callable[[PipelineState, Envelope, F], Changes]], Any]:
    def register(handler: Callable[[PipelineState, Envelope, F], Changes]) -> Any:
        for fact in facts:
            _HANDLERS[fact.TYPE] = handler
        return handler

    return register


def _answered(service: Service) -> Callable[[Callable[[PipelineState, Envelope, F], Changes]], Any]:
    """Take an answer only for an open task of ``service``; the handler sees the state without that task."""

    def wrap(handler: Callable[[PipelineState, Envelope, F], Changes]) -> Any:
        def taken(state: PipelineState, envelope: Envelope, fact: F) -> Changes:
            task = open_task(state, service, envelope.causation or "")
            if task is None:
                return {}
            rest = tuple(t for t in state.tasks if t is not task)
            return {"tasks": rest, **handler(state.model_copy(update={"tasks": rest}), envelope, fact)}

        return taken

    return wrap


def _with(state: PipelineState, *opened: Task) -> tuple[Task, ...]:
    """The open tasks plus ``opened``, each of which replaces an older one of its service."""
    services = {task.service for task in opened}
    return (*(t for t in state.tasks if t.service not in services), *opened)


# --- life of a pipeline -------------------------------------------------------------------------


@_on(e.PipelineSubmitted)
def _submitted(state: PipelineState, envelope: Envelope, fact: e.PipelineSubmitted) -> Changes:
    if state.id:
        return {}
    return {
        "id": envelope.subject,
        "name": fact.name,
        "engine": fact.engine,
        "policy": fact.policy,
        "document": fact.document,
        "spec_url": fact.spec_url,
        "tasks": (Task(id=envelope.id, service=Service.RESEARCH),),
    }


@_on(e.PipelineForked)
def _forked(state: PipelineState, envelope: Envelope, fact: e.PipelineForked) -> Changes:
    if state.id == envelope.subject:
        return {}
    return {
        "id": envelope.subject,
        "parent": fact.parent,
        "engine": fact.engine or state.engine,
        "policy": fact.policy or state.policy,
        "status": state.status if state.status.final else Status.RUNNING,
        "pause_wanted": False,
        "cancel": None,
        "command": None,
        "tasks": _stale(state),
    }


def _stale(state: PipelineState) -> tuple[Task, ...]:
    return tuple(task.model_copy(update={"stale": True}) for task in state.tasks)


@_on(e.PipelineCancelRequested)
def _cancel_requested(state: PipelineState, envelope: Envelope, fact: e.PipelineCancelRequested) -> Changes:
    return {} if state.cancel else {"cancel": envelope.id}


@_on(e.PipelinePauseRequested, e.PipelineResumeRequested)
def _level_requested(state: PipelineState, envelope: Envelope, fact: e.Fact) -> Changes:
    if envelope.id in state.commands:
        return {}
    commands = (*state.commands, envelope.id)[-_COMMANDS_KEPT:]
    wanted = isinstance(fact, e.PipelinePauseRequested)
    if wanted == state.pause_wanted:
        return {"commands": commands}
    return {"commands": commands, "pause_wanted": wanted, "command": envelope.id}


@_on(e.PipelinePaused)
def _paused(state: PipelineState, envelope: Envelope, fact: e.PipelinePaused) -> Changes:
    if state.status is not Status.RUNNING or envelope.causation != state.command:
        return {}
    return {"status": Status.PAUSED}


@_on(e.PipelineResumed)
def _resumed(state: PipelineState, envelope: Envelope, fact: e.PipelineResumed) -> Changes:
    if state.status is not Status.PAUSED or envelope.causation != state.command:
        return {}
    return {"status": Status.RUNNING, "tasks": _stale(state)}


_CLOSED: Changes = {"tasks": (), "failures": (), "choice": None, "approval": None}


@_on(e.PipelineCompleted)
def _completed(state: PipelineState, envelope: Envelope, fact: e.PipelineCompleted) -> Changes:
    return {**_CLOSED, "status": Status(fact.outcome), "outcome": fact.outcome, "version": fact.version}


@_on(e.PipelineFailed)
def _failed(state: PipelineState, envelope: Envelope, fact: e.PipelineFailed) -> Changes:
    reason = f"{fact.reason} (at {fact.where})" if fact.where else fact.reason
    return {**_CLOSED, "status": Status.FAILED, "reason": reason}


@_on(e.PipelineCancelled)
def _cancelled(state: PipelineState, envelope: Envelope, fact: e.PipelineCancelled) -> Changes:
    return {**_CLOSED, "status": Status.CANCELLED}


# --- answers ------------------------------------------------------------------------------------


@_on(e.ResearchCompleted)
@_answered(Service.RESEARCH)
def _researched(state: PipelineState, envelope: Envelope, fact: e.ResearchCompleted) -> Changes:
    opened = (
        Task(id=envelope.id, service=Service.GENERATOR, mode=e.GeneratorMode.GENERATE),
        Task(id=envelope.id, service=Service.FIXTURES),
    )
    return {
        "blueprint": fact.blueprint,
        "document": fact.document or state.document,
        "streams": fact.streams,
        "gaps": fact.gaps,
        "feedback": None,
        "tasks": _with(state, *opened),
    }


@_on(e.ConnectorGenerated)
@_answered(Service.GENERATOR)
def _generated(state: PipelineState, envelope: Envelope, fact: e.ConnectorGenerated) -> Changes:
    made = {"code": fact.code, "choices": fact.choices, "degraded": fact.degraded, "feedback": None}
    return made | _joined(state.model_copy(update=made), envelope)


@_on(e.FixturesCreated)
@_answered(Service.FIXTURES)
def _simulated(state: PipelineState, envelope: Envelope, fact: e.FixturesCreated) -> Changes:
    made = {"fixtures": fact.fixtures}
    return made | _joined(state.model_copy(update=made), envelope)


def _joined(state: PipelineState, envelope: Envelope) -> Changes:
    """Once both halves are there, the later one asks for tests.

    They are of one research, because a request to research clears both and drops the tasks that would make them.
    """
    if state.code is None or state.fixtures is None:
        return {}
    return {"choice": Choice(id=envelope.id, fact=envelope.type)}


@_on(e.TestsPassed, e.TestsFailed)
@_answered(Service.TESTER)
def _tested(state: PipelineState, envelope: Envelope, fact: e.TestsFinished) -> Changes:
    return {
        "tests": fact.tests,
        "test_report": fact.report,
        "feedback": None,
        "tasks": _with(state, Task(id=envelope.id, service=Service.TEST_REVIEWER)),
    }


@_on(e.TestsReviewed)
@_answered(Service.TEST_REVIEWER)
def _tests_reviewed(state: PipelineState, envelope: Envelope, fact: e.TestsReviewed) -> Changes:
    return {
        "verdict": fact.verdict,
        "coverage": Coverage(proven=fact.streams_proven, total=fact.streams_total),
        "unproven": fact.degraded,
        "feedback": fact.feedback,
        "choice": Choice(id=envelope.id, fact=envelope.type, reason=fact.reason),
    }


@_on(e.ReviewApproved)
@_answered(Service.REVIEWER)
def _approved(state: PipelineState, envelope: Envelope, fact: e.ReviewApproved) -> Changes:
    return {
        "review_report": fact.report,
        "score": fact.score,
        "feedback": None,
        "choice": Choice(id=envelope.id, fact=envelope.type),
    }


@_on(e.ReviewRejected)
@_answered(Service.REVIEWER)
def _rejected(state: PipelineState, envelope: Envelope, fact: e.ReviewRejected) -> Changes:
    choice = Choice(
        id=envelope.id, fact=envelope.type, reason=fact.reason, blame=fact.blame, critical=fact.critical
    )
    return {"review_report": fact.report, "score": fact.score, "feedback": fact.feedback, "choice": choice}


@_on(e.ConnectorPublished)
@_answered(Service.PUBLISHER)
def _published(state: PipelineState, envelope: Envelope, fact: e.ConnectorPublished) -> Changes:
    return {
        "version": fact.version,
        "package": fact.package,
        "wheel": fact.wheel,
        "sdist": fact.sdist,
        "choice": Choice(id=envelope.id, fact=envelope.type),
    }


@_on(e.AgentFailed)
def _agent_failed(state: PipelineState, envelope: Envelope, fact: e.AgentFailed) -> Changes:
    task = next((t for t in state.tasks if t.id == envelope.causation and t.service == fact.service), None)
    if task is None:
        return {}
    failure = Failure(
        id=envelope.id, task=task, kind=fact.kind, what=fact.what, where=fact.where, time=envelope.time
    )
    return {"tasks": tuple(t for t in state.tasks if t is not task), "failures": (*state.failures, failure)}


# --- decisions ----------------------------------------------------------------------------------


@_on(*REQUESTS.values())
def _requested(state: PipelineState, envelope: Envelope, fact: e.Fact) -> Changes:
    """A request closes what caused it: a choice (only that moves a counter), a failed attempt, or an older task."""
    service, cause = _REQUESTED[type(fact)], envelope.causation
    task = Task(
        id=envelope.id,
        service=service,
        mode=getattr(fact, "mode", None),
        attempt=getattr(fact, "attempt", 1),
        feedback=getattr(fact, "feedback", None),
    )
    opened: Changes = {"tasks": _with(state, task)}
    if isinstance(fact, e.PublishRequested):
        opened["outcome"] = fact.outcome
    if state.choice is not None and state.choice.id == cause:
        return opened | {"choice": None, "counters": _counted(state.counters, fact)} | _fresh(fact, task)
    if any(f.id == cause and f.task.service == service for f in state.failures):
        return opened | {"failures": tuple(f for f in state.failures if f.id != cause)}
    return opened if any(t.id == cause and t.service == service for t in state.tasks) else {}


def _counted(counters: Counters, fact: e.Fact) -> Counters:
    match fact:
        case e.ResearchRequested():
            return Counters(review_cycles=counters.review_cycles, researches=counters.researches + 1)
        case e.TestsRequested(mode=e.TesterMode.FIX):
            return counters.model_copy(update={"test_repairs": counters.test_repairs + 1})
        case e.GenerationRequested(mode=e.GeneratorMode.FIX):
            return counters.model_copy(update={"code_repairs": counters.code_repairs + 1})
        case e.GenerationRequested(mode=e.GeneratorMode.IMPROVE):
            return counters.model_copy(update={"review_cycles": counters.review_cycles + 1})
        case _:
            return counters


def _fresh(fact: e.Fact, task: Task) -> Changes:
    """Another research starts over: what was made for the old one is gone, its open work too."""
    if not isinstance(fact, e.ResearchRequested):
        return {}
    gone = ("code", "fixtures", "tests", "test_report", "verdict", "coverage", "review_report", "score", "outcome")
    return {
        **dict.fromkeys(gone),
        "tasks": (task,),
        "failures": (),
        "choices": {},
        "degraded": (),
        "unproven": (),
        "feedback": fact.feedback,
    }


@_on(e.ApprovalRequested)
def _approval_requested(state: PipelineState, envelope: Envelope, fact: e.ApprovalRequested) -> Changes:
    if state.choice is None or state.choice.id != envelope.causation:
        return {}
    return {"choice": None, "approval": envelope.id, "outcome": fact.outcome}


@_on(e.ApprovalGranted, e.ApprovalDenied)
def _approval_given(state: PipelineState, envelope: Envelope, fact: e.Fact) -> Changes:
    assert isinstance(fact, (e.ApprovalGranted, e.ApprovalDenied))
    if state.approval is None or fact.request != state.approval:
        return {}
    reason = fact.reason if isinstance(fact, e.ApprovalDenied) else ""
    return {"approval": None, "choice": Choice(id=envelope.id, fact=envelope.type, reason=reason)}


@_on(e.TimerElapsed)
def _timer_elapsed(state: PipelineState, envelope: Envelope, fact: e.TimerElapsed) -> Changes:
    if not any(f.id == fact.timer for f in state.failures):
        return {}
    return {
        "failures": tuple(
            f.model_copy(update={"elapsed": True}) if f.id == fact.timer else f for f in state.failures
        )
    }
