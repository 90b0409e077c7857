"""A person asks for another attempt at a failed task."""

from __future__ import annotations

import pytest

from contracts import events as e
from contracts.pipeline import Status
from contracts.policy import Policy
from contracts.services import Service
from services.router.policy import timers
from tests.support.log import Log
from tests.support.scripted import permanent, researched, transient


def failed(answer: object, **policy: int) -> Log:
    log = Log()
    log.say(Service.GATEWAY, e.PipelineSubmitted(name="acme", policy=Policy(**policy)))
    log.answer(log.state.tasks[0], answer)  # type: ignore[arg-type]
    return log


@pytest.mark.parametrize(
    ("answer", "policy"),
    [(permanent, {}), (transient, {"agent_retries": 0}), (transient, {"retry_backoff_s": 600})],
    ids=["permanent", "retries used up", "in a long back-off"],
)
def test_retry_that_is_asked_for_is_made_at_once_whatever_the_policy_says(
    answer: object, policy: dict[str, int]
) -> None:
    log = failed(answer, **policy)
    (failure,) = log.state.failures
    log.say(Service.GATEWAY, e.PipelineRetryRequested(failure=failure.id))

    assert timers(log.state, log.state.policy) == ()
    (decision,) = log.decisions()
    assert isinstance(decision.fact, e.ResearchRequested)
    assert (decision.fact.attempt, decision.causation) == (2, failure.id)

    log.append(decision)
    log.answer(log.state.tasks[0], researched)
    assert log.state.failures == ()
    assert log.state.blueprint is not None


def test_retry_of_what_has_ended_or_never_failed_changes_nothing() -> None:
    log = failed(permanent)
    (failure,) = log.state.failures
    assert not log.put(log.say(Service.GATEWAY, e.PipelineRetryRequested(failure="another")))
    log.append(log.decisions()[0])
    assert log.state.status is Status.FAILED
    log.say(Service.GATEWAY, e.PipelineRetryRequested(failure=failure.id))
    assert (log.state.status, log.decisions()) == (Status.FAILED, ())
