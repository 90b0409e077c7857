"""Agents reach the pipeline's budget: a person is asked once, and no turn that was paid is lost."""

from __future__ import annotations

import pytest

from contracts import events as e
from contracts.errors import BudgetReached
from contracts.pipeline import Status
from contracts.policy import Policy
from contracts.services import Service
from infra.runtime.agent import Job
from infra.runtime.attempt import failed
from services.router.policy import timers
from services.router.replay import Effect, Play, Replayed
from tests.support import scripted as s
from tests.support.log import PIPELINE, Log
from tests.support.steps import BOTH_HALVES, TO_END, TO_REVIEW, begun, fork, step, until


def waiting(**policy: object) -> Log:
    """The generator has reached the budget and a person is asked; fixtures are still at work."""
    log = until(begun(**policy), Service.RESEARCH)
    step(log, Service.GENERATOR, s.broke)
    return log


def say(log: Log, kind: type[e.ApprovalGranted] | type[e.ApprovalDenied], reason: str = "") -> None:
    log.say(Service.GATEWAY, kind(request=str(log.state.approval), reason=reason))
    log.route()


def command(log: Log, fact: e.Fact) -> None:
    log.say(Service.GATEWAY, fact)
    log.route()


def test_person_is_asked_and_nothing_else_happens() -> None:
    log = waiting(agent_retries=0)

    assert s.decided(log.facts) == ["approval:budget"]
    assert (log.state.approval, log.state.approval_about) == (log.facts[-1].id, "budget")
    assert log.state.failures[0].budget_usd == log.state.budget_usd == 20
    assert timers(log.state, log.state.policy) == ()
    assert log.decisions() == ()


def test_one_word_is_for_all_who_reached_it_and_they_go_on_where_they_were() -> None:
    log = waiting()
    ledger = log.facts[1].id
    step(log, Service.FIXTURES, s.broke)
    assert s.decided(log.facts) == ["approval:budget"], "the second one is not asked for again"

    say(log, e.ApprovalGranted)

    assert s.decided(log.facts) == ["approval:budget", "generation:GENERATE", "fixtures"]
    assert [(task.attempt, task.ledger) for task in log.state.tasks] == [(1, ledger)] * 2
    assert (log.state.budget_usd, log.state.approval_about) == (40, None)
    until(log, *TO_END[1:])
    assert log.state.status is Status.SUCCESS


def test_each_grant_is_as_much_again() -> None:
    log = waiting()
    for budget in (40, 60):
        say(log, e.ApprovalGranted)
        assert log.state.budget_usd == budget
        step(log, Service.GENERATOR, s.broke)

    assert s.decided(log.facts) == ["approval:budget", "generation:GENERATE"] * 2 + ["approval:budget"]
    assert len({fact.id for fact in log.facts}) == len(log.facts)


def test_who_began_before_the_grant_and_reached_the_old_budget_after_it_is_not_asked_for() -> None:
    log = waiting()
    before, task = log.state, next(task for task in log.state.tasks if task.service == Service.FIXTURES)
    say(log, e.ApprovalGranted)

    log.say(task.service, failed(task.service, Job(task, before), BudgetReached(s.BROKE)), causation=task.id)
    log.route()

    assert s.decided(log.facts)[-1] == "fixtures"
    assert (log.state.approval, log.state.failures) == (None, ())


def test_denial_ends_it_and_says_why() -> None:
    log = waiting()

    say(log, e.ApprovalDenied, "too dear")

    assert log.state.status is Status.FAILED
    assert log.state.reason == (
        "its budget of 20 USD for model turns is used up, and more was not approved: too dear"
    )


def test_budget_of_nothing_asks_nobody() -> None:
    log = waiting(budget_usd=0)

    assert s.decided(log.facts) == ["failed"]
    assert log.state.reason == f"generator failed: {s.BROKE}"


def test_publishing_is_asked_about_on_its_own_before_and_after() -> None:
    log = waiting(approval="required")
    say(log, e.ApprovalGranted)
    until(log, *TO_REVIEW[1:], Service.REVIEWER)
    assert log.state.approval_about == "publish"
    say(log, e.ApprovalGranted)
    step(log, Service.PUBLISHER, s.broke)
    assert log.state.approval_about == "budget"

    say(log, e.ApprovalGranted)
    step(log, Service.PUBLISHER)

    asked = ["approval:success", "publish:success", "approval:budget", "publish:success", "completed:success"]
    assert s.decided(log.facts)[-5:] == asked
    assert log.state.budget_usd == 60, "what was granted about publishing is no money"


def test_word_that_comes_in_a_pause_is_acted_on_after_it() -> None:
    log = waiting()
    command(log, e.PipelinePauseRequested())
    say(log, e.ApprovalGranted)
    assert s.decided(log.facts) == ["approval:budget", "paused"]

    command(log, e.PipelineResumeRequested())

    assert sorted(s.decided(log.facts)[2:]) == ["fixtures", "generation:GENERATE", "resumed"]


def test_budget_that_is_reached_in_a_pause_is_asked_for_after_it() -> None:
    log = until(begun(), *BOTH_HALVES)
    command(log, e.PipelinePauseRequested())
    step(log, Service.TESTER, s.broke)
    assert s.decided(log.facts)[-1] == "paused"

    command(log, e.PipelineResumeRequested())

    assert s.decided(log.facts)[-2:] == ["resumed", "approval:budget"]


def test_cancel_ends_the_waiting() -> None:
    log = waiting()

    command(log, e.PipelineCancelRequested())

    assert log.state.status is Status.CANCELLED
    assert (log.state.approval, log.state.approval_about, log.state.failures) == (None, None, ())


def test_neither_time_nor_another_attempt_brings_money() -> None:
    log = waiting()
    (failure,) = log.state.failures

    for fact in (e.PipelineRetryRequested(failure=failure.id), e.TimerElapsed(timer=failure.id)):
        assert not log.put(log.say(Service.GATEWAY, fact))
    assert log.decisions() == ()


@pytest.mark.parametrize(
    ("policy", "decided"),
    [
        (None, ["fixtures", "approval:budget"]),
        (Policy(budget_usd=5), ["fixtures", "approval:budget"]),
        (Policy(budget_usd=50), ["fixtures", "generation:GENERATE"]),
    ],
)
def test_fork_of_who_waits_asks_anew_unless_its_policy_allows_more(
    policy: Policy | None, decided: list[str]
) -> None:
    parent = waiting()

    child = fork(parent, len(parent.facts), policy)
    child.route()

    assert s.decided(child.facts) == decided
    if "approval:budget" in decided:
        assert child.state.approval != parent.state.approval
        say(child, e.ApprovalGranted)
        assert s.decided(child.facts)[-1] == "generation:GENERATE"
    assert {task.ledger for task in child.state.tasks} == {parent.facts[1].id}


def test_fork_shares_the_grants_that_it_shares_as_facts() -> None:
    parent = waiting()
    parent.say(Service.GATEWAY, e.ApprovalGranted(request=str(parent.state.approval)))

    child = fork(parent, len(parent.facts))
    child.route()

    assert s.decided(child.facts) == ["fixtures", "generation:GENERATE"]
    assert child.state.budget_usd == 40


def played(log: Log, **policy: object) -> Replayed:
    play = Play(PIPELINE, lambda own: Policy.model_validate({**own.model_dump(), **policy}))
    for fact in log.facts:
        play.fact(fact)
    return play.result()


def test_replay_finds_where_another_budget_would_have_asked_nobody() -> None:
    log = waiting()
    asked = len(log.facts)
    say(log, e.ApprovalGranted)
    until(log, *TO_END[1:])

    assert played(log).difference is None
    difference = played(log, budget_usd=30).difference

    assert difference is not None
    assert (difference.position, difference.effect) == (asked, Effect.OPEN)
    assert (difference.recorded.text, difference.today.text) == ("approval of more budget", "generation GENERATE")


def test_replay_says_that_today_waits_for_a_person() -> None:
    log = waiting()
    (failure,) = log.state.failures
    once = e.GenerationRequested(mode=e.GeneratorMode.GENERATE, policy_hash="0" * 12, code_version="0.0.9")
    log.say(Service.ROUTER, once, causation=failure.id)

    difference = played(log).difference

    assert difference is not None
    assert difference.today.text == "waits for approval of more budget"
