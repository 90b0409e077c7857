"""What router and user decide: a choice is closed, a task or an approval opened. Only here counters move."""

from __future__ import annotations

from contracts import events as e
from contracts.envelope import Envelope
from contracts.evolution.handlers import Changes, on, open_task, with_opened
from contracts.services import Service
from contracts.state import Choice, Counters, PipelineState, Task

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


@on(*REQUESTS.values())
def _requested(state: PipelineState, envelope: Envelope, fact: e.Fact) -> Changes:
    """A request closes what caused it: a choice (only that moves a counter), a failed attempt, or an older task."""
    service, cause, asked = _REQUESTED[type(fact)], envelope.causation, vars(fact)
    task = Task(
        id=envelope.id,
        service=service,
        mode=asked.get("mode"),
        attempt=asked["attempt"],
        feedback=asked.get("feedback"),
    )
    changes: Changes = {"tasks": with_opened(state.tasks, task)}
    if isinstance(fact, e.PublishRequested):
        changes["outcome"] = fact.outcome
    if state.choice is not None and state.choice.id == cause:
        changes["choice"] = None
        changes["counters"] = _counted(state.counters, task)
        if isinstance(fact, e.ResearchRequested):
            changes |= _fresh(fact, task)
        return changes
    if any(f.id == cause and f.task.service == service for f in state.failures):
        changes["failures"] = tuple([f for f in state.failures if f.id != cause])
        return changes
    return changes if open_task(state, service, cause) else {}


_ROUNDS: dict[tuple[Service, str | None], str] = {
    (Service.TESTER, e.TesterMode.FIX): "test_repairs",
    (Service.GENERATOR, e.GeneratorMode.FIX): "code_repairs",
    (Service.GENERATOR, e.GeneratorMode.IMPROVE): "review_cycles",
}
"""What is asked of whom -> the counter of such rounds."""


def _counted(counters: Counters, task: Task) -> Counters:
    if task.service is Service.RESEARCH:
        return Counters(review_cycles=counters.review_cycles, researches=counters.researches + 1)
    name = _ROUNDS.get((task.service, task.mode))
    return counters.changed({name: getattr(counters, name) + 1}) if name else counters


def _fresh(fact: e.ResearchRequested, task: Task) -> Changes:
    """Another research starts over: what was made for the old one is gone, its open work too."""
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


@on(e.ApprovalRequested)
def _approval_requested(state: PipelineState, envelope: Envelope, fact: e.ApprovalRequested) -> Changes:
    if state.choice is None or state.choice.id != envelope.causation:
        return {}
    return {"choice": None, "approval": envelope.id, "outcome": fact.outcome}


@on(e.ApprovalGranted, e.ApprovalDenied)
def _approval_given(state: PipelineState, envelope: Envelope, fact: e.Fact) -> Changes:
    assert isinstance(fact, (e.ApprovalGranted, e.ApprovalDenied))
    if state.approval is None or fact.request != state.approval:
        return {}
    reason = fact.reason if isinstance(fact, e.ApprovalDenied) else ""
    return {"approval": None, "choice": Choice(id=envelope.id, fact=envelope.type, reason=reason)}


@on(e.TimerElapsed)
def _timer_elapsed(state: PipelineState, envelope: Envelope, fact: e.TimerElapsed) -> Changes:
    return _with_failure(state, fact.timer, elapsed=True)


@on(e.PipelineRetryRequested)
def _retry_requested(state: PipelineState, envelope: Envelope, fact: e.PipelineRetryRequested) -> Changes:
    return _with_failure(state, fact.failure, retry_wanted=True)


def _with_failure(state: PipelineState, id: str, **values: bool) -> Changes:
    """The failure ``id``, if the router has not answered it yet, with other values."""
    if id not in [failure.id for failure in state.failures]:
        return {}
    return {"failures": tuple([f.changed(values) if f.id == id else f for f in state.failures])}
