"""What router and user decide: a choice is closed, a task or an approval opened. Only here counters move."""

from __future__ import annotations

from contracts import events as e
from contracts.envelope import Envelope
from contracts.evolution.handlers import Changes, on, open_task, with_opened
from contracts.services import Service
from contracts.state import Choice, Counters, Failure, PipelineState, Task

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
    service, cause = _REQUESTED[type(fact)], envelope.causation
    if state.choice is not None and state.choice.id == cause:
        task = _asked(envelope, fact)
        changes = _opened(state, fact, task)
        changes["choice"] = None
        changes["counters"] = _counted(state.counters, task)
        if isinstance(fact, e.ResearchRequested):
            changes |= _fresh(fact, task)
        return changes
    for failure in state.failures:
        if failure.id == cause and failure.task.service == service:
            # What failed for good would fail the same way on the recorded turns.
            task = _asked(envelope, fact, None if failure.kind == "permanent" else failure.task)
            changes = _opened(state, fact, task)
            changes["failures"] = tuple([f for f in state.failures if f is not failure])
            return changes
    older = open_task(state, service, cause)
    return _opened(state, fact, _asked(envelope, fact, older)) if older else {}


def _asked(envelope: Envelope, fact: e.Fact, before: Task | None = None) -> Task:
    """The task that a request opens; it goes on with the ledger of the one ``before`` it."""
    asked = vars(fact)
    return Task(
        id=envelope.id,
        ledger=before.ledger if before else envelope.id,
        service=_REQUESTED[type(fact)],
        mode=asked.get("mode"),
        attempt=asked["attempt"],
        feedback=asked.get("feedback"),
    )


def _opened(state: PipelineState, fact: e.Fact, task: Task) -> Changes:
    changes: Changes = {"tasks": with_opened(state.tasks, task)}
    if isinstance(fact, e.PublishRequested):
        changes["outcome"] = fact.outcome
    return changes


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
        "code_by_model": False,
        "unproven": (),
        "feedback": fact.feedback,
    }


@on(e.ApprovalRequested)
def _approval_requested(state: PipelineState, envelope: Envelope, fact: e.ApprovalRequested) -> Changes:
    asked: Changes = {"approval": envelope.id, "approval_about": fact.about}
    if fact.about == "budget":
        broke = any(f.id == envelope.causation and f.kind == "budget" for f in state.failures)
        return asked if broke and state.approval is None else {}
    if state.choice is None or state.choice.id != envelope.causation:
        return {}
    return asked | {"choice": None, "outcome": fact.outcome}


@on(e.ApprovalGranted, e.ApprovalDenied)
def _approval_given(state: PipelineState, envelope: Envelope, fact: e.Fact) -> Changes:
    assert isinstance(fact, (e.ApprovalGranted, e.ApprovalDenied))
    if state.approval is None or fact.request != state.approval:
        return {}
    closed: Changes = {"approval": None, "approval_about": None}
    about = state.approval_about or "publish"
    if about == "budget" and isinstance(fact, e.ApprovalGranted):
        return closed | {"budget_grants": state.budget_grants + 1, "failures": _paid(state)}
    reason = fact.reason if isinstance(fact, e.ApprovalDenied) else ""
    return closed | {"choice": Choice(id=envelope.id, fact=envelope.type, reason=reason, about=about)}


def _paid(state: PipelineState) -> tuple[Failure, ...]:
    """One word of a person is for all that wait for money, also for who came while it was asked for."""
    return tuple(f.changed({"retry_wanted": True}) if f.kind == "budget" else f for f in state.failures)


@on(e.TimerElapsed)
def _timer_elapsed(state: PipelineState, envelope: Envelope, fact: e.TimerElapsed) -> Changes:
    return _with_failure(state, fact.timer, elapsed=True)


@on(e.PipelineRetryRequested)
def _retry_requested(state: PipelineState, envelope: Envelope, fact: e.PipelineRetryRequested) -> Changes:
    return _with_failure(state, fact.failure, retry_wanted=True)


def _with_failure(state: PipelineState, id: str, **values: bool) -> Changes:
    """The failure ``id``, if the router has not answered it yet, with other values. Without money, neither time nor
    another attempt helps."""
    if id not in [failure.id for failure in state.failures if failure.kind != "budget"]:
        return {}
    return {"failures": tuple([f.changed(values) if f.id == id else f for f in state.failures])}
