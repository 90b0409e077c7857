"""Whose recorded turns with a model a task goes on with."""

from __future__ import annotations

import pytest

from contracts import events as e
from contracts.pipeline import Task
from contracts.services import Service
from tests.support import scripted as s
from tests.support.log import Log
from tests.support.steps import BOTH_HALVES, begun, fork, step, until


def the_task(log: Log) -> Task:
    (task,) = log.state.tasks
    return task


def test_natural_fact_and_choice_begin_a_ledger() -> None:
    log = begun()
    assert the_task(log).ledger == log.facts[0].id

    until(log, *BOTH_HALVES)  # and then the router chooses
    assert the_task(log).ledger == the_task(log).id
    step(log, Service.TESTER)
    step(log, Service.TEST_REVIEWER, s.bad_code())
    assert (the_task(log).mode, the_task(log).ledger) == ("FIX", the_task(log).id)


def test_ledger_goes_on_after_pauses_and_transient_failures() -> None:
    log = until(begun(), *BOTH_HALVES)
    first = the_task(log)

    log.answer(first, s.transient)
    log.route()
    for command in (e.PipelinePauseRequested(), e.PipelineResumeRequested()):
        log.say(Service.GATEWAY, command)
        log.route()
    log.answer(the_task(log), s.transient)
    log.route()

    assert the_task(log).attempt == 3
    assert the_task(log).id != first.id
    assert the_task(log).ledger == first.ledger


@pytest.mark.parametrize(("answer", "goes_on"), [(s.permanent, False), (s.transient, True)])
def test_retry_that_a_person_asks_for_begins_a_ledger_after_a_permanent_failure_only(
    answer: s.Answer, goes_on: bool
) -> None:
    log = begun(retry_backoff_s=600)
    first = the_task(log)

    failure = log.answer(first, answer)
    log.say(Service.GATEWAY, e.PipelineRetryRequested(failure=failure.id))
    log.route()

    assert the_task(log).ledger == (first.ledger if goes_on else the_task(log).id)


def test_fork_goes_on_with_the_ledgers_of_its_parent() -> None:
    parent = until(begun(), Service.RESEARCH)

    child = fork(parent, len(parent.facts))
    child.route()

    assert {task.ledger for task in child.state.tasks} == {parent.facts[-1].id}
    assert {task.id for task in child.state.tasks}.isdisjoint({parent.facts[-1].id})


def test_task_from_before_there_were_ledgers_has_its_own() -> None:
    old = Task(id="a", service=Service.TESTER, mode="RERUN").model_dump(exclude={"ledger"})

    assert Task.model_validate(old).ledger == "a"
