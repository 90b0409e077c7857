"""`decide`: the retry policy. Pure and level-triggered: the same state gives the same decisions, ids included.

Two routers that race therefore write the same fact, or one of them loses the compare-and-set and finds nothing left
to decide. The table of the graph is in README.md.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Literal

from contracts import events as e
from contracts.envelope import event_id
from contracts.pipeline import Choice, Coverage, Failure, PipelineState, Status, Task, outstanding
from contracts.policy import Policy
from contracts.services import Service

MAX_BACKOFF_S = 3600.0
"""Doubling stops here, whatever the policy says."""


Outcome = Literal["success", "partial"]


@dataclass(frozen=True)
class Decision:
    """A fact to append; ``causation`` is the event id of what it closes or answers."""

    id: str
    fact: e.Fact
    causation: str


@dataclass(frozen=True)
class Timer:
    """``id`` is the event id of the failure whose back-off of ``wait_s`` ends at ``due`` (UTC)."""

    id: str
    due: datetime
    wait_s: float


def decide(state: PipelineState, policy: Policy, *, code_version: str) -> tuple[Decision, ...]:
    """What to append to a pipeline in this state; nothing if it waits for an agent, a timer or a person."""
    stamp = {"policy_hash": policy.hash, "code_version": code_version}
    decided = _decide(state, policy)
    return tuple(replace(one, fact=one.fact.changed(stamp)) for one in decided)


def _decide(state: PipelineState, policy: Policy) -> tuple[Decision, ...]:
    if state.status.final or not state.id:
        return ()
    if state.cancel is not None:
        return (_decision(state, state.cancel, e.PipelineCancelled()),)
    if state.pause_wanted != (state.status is Status.PAUSED) and state.command is not None:
        level = e.PipelinePaused() if state.pause_wanted else e.PipelineResumed()
        return (_decision(state, state.command, level),)
    if state.status is Status.PAUSED:
        return ()
    if not state.name:
        lost = e.PipelineFailed(reason="the history of the pipeline that this one was forked from is missing")
        return (_decision(state, state.parent or state.id, lost),)
    return _Desk(state, policy).work()


def timers(state: PipelineState, policy: Policy) -> tuple[Timer, ...]:
    """The back-offs that have to be pending. A timer that fires twice, late or for nothing does no harm."""
    pending = [
        failure for failure in state.failures if failure.kind == "transient" and _waits(state, failure, policy)
    ]
    waits = [_backoff_s(failure, policy) for failure in pending]
    return tuple(
        Timer(failure.id, failure.time + timedelta(seconds=wait_s), wait_s)
        for failure, wait_s in zip(pending, waits, strict=True)
    )


def elapsed(state: PipelineState, timer: str) -> Decision | None:
    """The fact that the back-off ``timer`` is over, if the pipeline still waits for it."""
    if any(f.id == timer and f.kind != "budget" and not f.elapsed for f in state.failures):
        return _decision(state, timer, e.TimerElapsed(timer=timer))
    return None


def _decision(state: PipelineState, cause: str, fact: e.Fact) -> Decision:
    return Decision(event_id(state.id, cause, fact.TYPE), fact, cause)


def _is_fatal(failure: Failure, policy: Policy) -> bool:
    if failure.retry_wanted:
        return False
    match failure.kind:
        case "budget":
            return not policy.budget_usd  # as much again would be nothing
        case "transient":
            return failure.task.attempt > policy.agent_retries
    return True


def _is_due(state: PipelineState, failure: Failure, policy: Policy) -> bool:
    """Of the budget, also because more is there than when the work began: another was granted it meanwhile, or a
    fork's policy allows it."""
    richer = failure.kind == "budget" and policy.budget_after(state.budget_grants) > failure.budget_usd
    return failure.elapsed or failure.retry_wanted or richer


def _waits(state: PipelineState, failure: Failure, policy: Policy) -> bool:
    return not _is_due(state, failure, policy) and not _is_fatal(failure, policy)


def _backoff_s(failure: Failure, policy: Policy) -> float:
    return min(policy.retry_backoff_s * 2.0 ** (failure.task.attempt - 1), MAX_BACKOFF_S)


@dataclass(frozen=True)
class _Desk:
    """One running pipeline on the router's desk. A step gives a fact, or ``None`` if its rounds are used up."""

    state: PipelineState
    policy: Policy

    def work(self) -> tuple[Decision, ...]:
        state, policy, choice = self.state, self.policy, self.state.choice
        for failure in state.failures:
            if _is_fatal(failure, policy):
                return (self._decision(failure.id, _fatal(failure)),)
        if choice is not None and choice.fact == e.ApprovalDenied.TYPE:
            return (self._decision(choice.id, self._denied(choice)),)
        requests = [(task.id, self._again(task)) for task in outstanding(state) if task.stale]
        requests += [(f.id, self._retry(f)) for f in state.failures if _is_due(state, f, policy)]
        requests += [(f.id, e.ApprovalRequested(about="budget")) for f in self._unpaid()[:1]]
        if choice is not None:
            requests.append((choice.id, self._choose(choice)))
        return tuple(self._decision(cause, fact) for cause, fact in requests)

    def _unpaid(self) -> list[Failure]:
        """The failures for which a person has yet to be asked for money: one question is for all of them."""
        if self.state.approval is not None:
            return []
        return [f for f in self.state.failures if f.kind == "budget" and _waits(self.state, f, self.policy)]

    def _decision(self, cause: str, fact: e.Fact) -> Decision:
        return _decision(self.state, cause, fact)

    def _choose(self, choice: Choice) -> e.Fact:
        match choice.fact:
            case e.ConnectorGenerated.TYPE if self.state.tests is not None:
                return self._tests(e.TesterMode.RERUN)
            case e.ConnectorGenerated.TYPE | e.FixturesCreated.TYPE:
                return self._tests(e.TesterMode.GENERATE)
            case e.TestsReviewed.TYPE:
                return self._after_tests(choice)
            case e.ReviewApproved.TYPE:
                return self._publish(_outcome(self.state))
            case e.ReviewRejected.TYPE:
                return self._after_rejection(choice)
            case e.ApprovalRequested.TYPE:  # of the pipeline that this one was forked from
                return self._publish(self.state.outcome or "partial")
            case e.ApprovalGranted.TYPE:
                return self._publish_now(self.state.outcome or "partial")
            case e.ConnectorPublished.TYPE:
                outcome = self.state.outcome or "partial"
                return e.PipelineCompleted(
                    outcome=outcome, version=self.state.version or "", degraded=self._degraded(outcome)
                )
        raise AssertionError(f"no decision for {choice.fact}")

    def _after_tests(self, choice: Choice) -> e.Fact:
        coverage = self.state.coverage or Coverage(proven=0, total=1)
        match self.state.verdict:
            case e.Verdict.INVALID:
                steps = [self._repair_tests, self._review_partial]
            case e.Verdict.VALID_PASS if coverage.reaches(self.policy.partial_percent):
                return self._review()
            case e.Verdict.VALID_PASS if coverage.reaches(self.policy.research_percent):
                steps = [self._repair_code, self._research]
            case e.Verdict.VALID_PASS:
                steps = [self._research, self._repair_code]
            case _ if coverage.reaches(self.policy.research_percent):
                steps = [self._repair_code, self._review_partial, self._research]
            case _:
                steps = [self._research, self._repair_code, self._review_partial]
        return self._first(steps) or self._give_up(choice)

    def _after_rejection(self, choice: Choice) -> e.Fact:
        steps = [self._improve, self._force_partial]
        if choice.blame is e.Blame.CONTEXT:
            steps.insert(0, self._research)
        return self._first(steps) or self._give_up(choice)

    @staticmethod
    def _first(steps: list[Callable[[], e.Fact | None]]) -> e.Fact | None:
        return next((fact for step in steps if (fact := step()) is not None), None)

    # --- steps ----------------------------------------------------------------------------------

    def _research(self) -> e.Fact | None:
        if self.state.counters.researches >= self.policy.researches:
            return None
        return e.ResearchRequested(feedback=self.state.feedback)

    def _repair_code(self) -> e.Fact | None:
        if self._unchanged or self.state.counters.code_repairs >= self.policy.code_repairs:
            return None
        return e.GenerationRequested(mode=e.GeneratorMode.FIX, feedback=self.state.feedback)

    def _improve(self) -> e.Fact | None:
        if self._unchanged or self.state.counters.review_cycles >= self.policy.review_cycles:
            return None
        return e.GenerationRequested(mode=e.GeneratorMode.IMPROVE, feedback=self.state.feedback)

    def _repair_tests(self) -> e.Fact | None:
        if self.state.counters.test_repairs >= self.policy.test_repairs:
            return None
        return self._tests(e.TesterMode.FIX)

    def _review_partial(self) -> e.Fact | None:
        return self._review() if self._covered else None

    def _force_partial(self) -> e.Fact | None:
        critical = self.state.choice.critical if self.state.choice else 0
        return self._publish("partial") if self._covered and not critical else None

    # --- facts ----------------------------------------------------------------------------------

    def _tests(self, mode: e.TesterMode) -> e.Fact:
        feedback = self.state.feedback if mode is e.TesterMode.FIX else None
        return e.TestsRequested(mode=mode, feedback=feedback)

    def _review(self) -> e.Fact:
        return e.ReviewRequested()

    def _publish(self, outcome: Outcome) -> e.Fact:
        if self.policy.approval == "required":
            return e.ApprovalRequested(outcome=outcome, degraded=self._degraded(outcome))
        return self._publish_now(outcome)

    def _publish_now(self, outcome: Outcome) -> e.Fact:
        return e.PublishRequested(outcome=outcome, degraded=self._degraded(outcome))

    def _denied(self, choice: Choice) -> e.Fact:
        limit = (
            f"its budget of {self.policy.budget_after(self.state.budget_grants):g} USD for model turns is used up"
        )
        refused = {"publish": "publishing was not approved", "budget": f"{limit}, and more was not approved"}
        return e.PipelineFailed(reason=_with_reason(refused[choice.about], choice))

    def _retry(self, failure: Failure) -> e.Fact:
        return self._again(failure.task, retry=failure.kind != "budget")

    def _again(self, task: Task, *, retry: bool = False) -> e.Fact:
        """The request for the same work once more; a retry counts as another attempt, a renewal does not."""
        common: dict[str, Any] = {"attempt": task.attempt + retry}
        match task.service:
            case Service.RESEARCH:
                return e.ResearchRequested(feedback=task.feedback, **common)
            case Service.GENERATOR:
                return e.GenerationRequested(
                    mode=e.GeneratorMode(task.mode or e.GeneratorMode.GENERATE), feedback=task.feedback, **common
                )
            case Service.FIXTURES:
                return e.FixturesRequested(**common)
            case Service.TESTER:
                return e.TestsRequested(
                    mode=e.TesterMode(task.mode or e.TesterMode.GENERATE), feedback=task.feedback, **common
                )
            case Service.TEST_REVIEWER:
                return e.TestReviewRequested(**common)
            case Service.REVIEWER:
                return e.ReviewRequested(**common)
            case Service.PUBLISHER:
                outcome = self.state.outcome or "partial"
                return e.PublishRequested(outcome=outcome, degraded=self._degraded(outcome), **common)
        raise AssertionError(f"{task.service} is no agent")

    def _give_up(self, choice: Choice) -> e.Fact:
        done, coverage = self.state.counters, self.state.coverage or Coverage(proven=0, total=1)
        rounds = (
            f"{done.code_repairs} code repairs, {done.test_repairs} test repairs, {done.review_cycles} review "
            f"cycles, {done.researches} further researches"
        )
        proven = f"{coverage.proven} of {coverage.total} streams proven"
        stuck = ", the last repair changed nothing" if choice.unchanged else ""
        return e.PipelineFailed(reason=_with_reason(f"gave up with {proven} after {rounds}{stuck}", choice))

    def _degraded(self, outcome: Outcome) -> tuple[str, ...]:
        """The streams that are left out or unproven, each once, in the order of their names."""
        return tuple(sorted({*self.state.degraded, *self.state.unproven})) if outcome == "partial" else ()

    @property
    def _unchanged(self) -> bool:
        """The last repair left the tested code as it was: so would another one."""
        return self.state.choice is not None and self.state.choice.unchanged

    @property
    def _covered(self) -> bool:
        return self.state.coverage is not None and self.state.coverage.reaches(self.policy.partial_percent)


def _outcome(state: PipelineState) -> Outcome:
    full = state.coverage is not None and state.coverage.reaches(100)
    return "success" if full and state.verdict is e.Verdict.VALID_PASS else "partial"


def _fatal(failure: Failure) -> e.PipelineFailed:
    attempt = failure.task.attempt
    times = f" {attempt} times in a row" if failure.kind == "transient" and attempt > 1 else ""
    return e.PipelineFailed(reason=f"{failure.task.service} failed{times}: {failure.what}", where=failure.where)


def _with_reason(text: str, choice: Choice) -> str:
    return f"{text}: {choice.reason}" if choice.reason else text
