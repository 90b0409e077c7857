"""The fold: what a fact changes, and above all what it must not."""

from __future__ import annotations

import pytest

from contracts import events as e
from contracts.envelope import UnknownFact
from contracts.pipeline import PipelineState, Status, evolve, fold, open_task, outstanding, startable
from contracts.policy import Policy
from contracts.services import Service
from services.router.policy import decide
from tests.support import scripted as s
from tests.support.log import CODE, Log
from tests.support.steps import BOTH_HALVES, CHILD, TO_END, TO_REVIEW, begun, fork, step, until


def open_services(state: PipelineState) -> set[Service]:
    return {task.service for task in outstanding(state)}


def test_research_completed_opens_generator_and_fixtures() -> None:
    log = until(begun(), Service.RESEARCH)

    assert open_services(log.state) == {Service.GENERATOR, Service.FIXTURES}
    assert {task.id for task in log.state.tasks} == {log.facts[-1].id}


def test_answer_of_another_service_is_not_taken() -> None:
    log = until(begun(), Service.RESEARCH)
    task = next(task for task in log.state.tasks if task.service == Service.FIXTURES)

    log.say(
        Service.TESTER,
        s.passed(until(begun(), *BOTH_HALVES).state, task.model_copy(update={"mode": "RERUN"})),
        causation=task.id,
    )

    assert log.facts[-1] not in log.taken


def test_answer_of_an_older_research_is_not_taken() -> None:
    log = until(begun(), *BOTH_HALVES)
    old = log.facts[1].id
    step(log, Service.TESTER)
    step(log, Service.TEST_REVIEWER, s.bad_code(0))
    step(log, Service.RESEARCH)

    log.say(Service.FIXTURES, e.FixturesCreated(fixtures=s.ref("old")), causation=old)

    assert log.state.fixtures is None
    assert open_services(log.state) == {Service.GENERATOR, Service.FIXTURES}


def test_research_again_clears_what_was_made_and_counts_anew() -> None:
    log = until(begun(code_repairs=1), *BOTH_HALVES, Service.TESTER)
    for service in (Service.TEST_REVIEWER, Service.GENERATOR, Service.TESTER, Service.TEST_REVIEWER):
        step(log, service, s.bad_code(7) if service is Service.TEST_REVIEWER else None)

    state = log.state
    assert open_services(state) == {Service.RESEARCH}
    assert (state.counters.researches, state.counters.code_repairs) == (1, 0)
    assert (state.code, state.fixtures, state.tests, state.test_report, state.coverage) == (None,) * 5
    assert state.tasks[0].feedback == state.feedback is not None
    step(log, Service.RESEARCH)
    assert log.state.feedback is None


def test_both_halves_fail_and_both_are_tried_again() -> None:
    log = until(begun(), Service.RESEARCH)

    for task in log.state.tasks:
        log.answer(task, s.transient)
    log.route()

    assert open_services(log.state) == {Service.GENERATOR, Service.FIXTURES}
    assert {task.attempt for task in log.state.tasks} == {2}
    until(log, *TO_END[1:])
    assert log.state.status is Status.SUCCESS


@pytest.mark.parametrize("end", [Status.SUCCESS, Status.FAILED, Status.CANCELLED])
def test_final_state_absorbs_every_fact(end: Status) -> None:
    log = begun()
    if end is Status.SUCCESS:
        until(log, *TO_END)
    elif end is Status.FAILED:
        step(log, Service.RESEARCH, s.permanent)
    else:
        log.say(Service.GATEWAY, e.PipelineCancelRequested())
        log.route()
    assert log.state.status is end
    assert log.decisions() == ()

    taken = len(log.taken)
    donor = until(begun(), *TO_END)
    more = [e.PipelineCancelRequested(), e.PipelinePauseRequested(), e.PipelineFailed(reason="late")]
    for fact in [*(envelope.fact() for envelope in donor.facts), *more]:
        log.say(Service.GATEWAY, fact, causation=log.facts[0].id)

    assert len(log.taken) == taken
    assert log.state.position == len(log.facts)


def test_pause_holds_decisions_and_takes_answers() -> None:
    log = until(begun(), Service.RESEARCH)
    log.say(Service.GATEWAY, e.PipelinePauseRequested())
    log.route()
    running = log.state.tasks
    assert log.state.status is Status.PAUSED
    assert outstanding(log.state) == ()
    assert startable(log.state, Service.GENERATOR, running[0].id) is None
    assert open_task(log.state, Service.GENERATOR, running[0].id)

    for task in running:
        log.answer(task, s.HAPPY[task.service])
    log.route()
    assert log.state.choice is not None
    assert s.decided(log.facts) == ["paused"]

    log.say(Service.GATEWAY, e.PipelineResumeRequested())
    log.route()
    assert s.decided(log.facts) == ["paused", "resumed", "tests:GENERATE"]


def test_resume_requests_outstanding_work_anew_without_counting() -> None:
    log = until(begun(), *BOTH_HALVES, Service.TESTER)
    step(log, Service.TEST_REVIEWER, s.bad_code())
    left = log.state.tasks[0]
    log.say(Service.GATEWAY, e.PipelinePauseRequested())
    log.route()
    log.say(Service.GATEWAY, e.PipelineResumeRequested())
    log.route()

    anew = log.state.tasks[0]
    assert anew.id != left.id
    assert (anew.service, anew.mode, anew.attempt, anew.feedback) == (Service.GENERATOR, "FIX", 1, left.feedback)
    assert log.state.counters.code_repairs == 1
    log.answer(left, s.generated)
    assert log.facts[-1] not in log.taken


def test_pause_and_resume_before_the_router_looks_are_nothing() -> None:
    log = begun()
    log.say(Service.GATEWAY, e.PipelinePauseRequested())
    log.say(Service.GATEWAY, e.PipelineResumeRequested())

    assert log.decisions() == ()
    assert outstanding(log.state) == (log.state.tasks[0],)


def test_repeated_resume_does_not_start_work_again() -> None:
    log = until(begun(), Service.RESEARCH)
    log.say(Service.GATEWAY, e.PipelinePauseRequested())
    log.route()
    log.say(Service.GATEWAY, e.PipelineResumeRequested())
    log.route()
    resumed = next(fact for fact in log.facts if fact.type == e.PipelineResumed.TYPE)

    assert not log.put(resumed)


def test_cancel_wins_over_pause() -> None:
    log = until(begun(), Service.RESEARCH)
    log.say(Service.GATEWAY, e.PipelinePauseRequested())
    log.route()
    log.say(Service.GATEWAY, e.PipelineCancelRequested())
    log.route()

    assert log.state.status is Status.CANCELLED
    assert log.state.tasks == ()


@pytest.mark.parametrize(
    ("answer", "status", "decisions"),
    [
        (e.ApprovalGranted, Status.SUCCESS, ["approval:success", "publish:success", "completed:success"]),
        (e.ApprovalDenied, Status.FAILED, ["approval:success", "failed"]),
    ],
)
def test_approval_is_awaited_where_it_is_required(
    answer: type[e.Fact], status: Status, decisions: list[str]
) -> None:
    log = until(begun(approval="required"), *TO_REVIEW, Service.REVIEWER)
    request = log.state.approval
    assert outstanding(log.state) == ()
    assert log.decisions() == ()

    assert not log.put(log.say(Service.GATEWAY, answer(request="another")))
    given = log.say(Service.GATEWAY, answer(request=request))
    log.route()
    assert not log.put(given)
    if status is Status.SUCCESS:
        step(log, Service.PUBLISHER)

    assert log.state.status is status
    assert s.decided(log.facts)[2:] == decisions


def test_forced_partial_asks_for_approval_too() -> None:
    log = until(begun(approval="required", review_cycles=0), *TO_REVIEW)
    step(log, Service.REVIEWER, s.rejected())

    assert s.decided(log.facts)[-1] == "approval:partial"


@pytest.mark.parametrize("at", range(1, 12))
def test_fork_at_any_point_goes_on_to_an_end(at: int) -> None:
    parent = until(begun(), *TO_END)

    child = fork(parent, at)
    assert child.state.id == CHILD
    assert child.state.position == at + 1
    child.route()
    while not child.state.status.final:
        task = next(task for task in outstanding(child.state) if not task.stale)
        step(child, task.service)

    assert child.state.status is Status.SUCCESS
    assert {fact.id for fact in child.facts}.isdisjoint(fact.id for fact in parent.facts)


def test_fork_with_another_policy_decides_anew() -> None:
    parent = until(begun(code_repairs=0, researches=0), *BOTH_HALVES, Service.TESTER)
    step(parent, Service.TEST_REVIEWER, s.bad_code())
    assert parent.state.status is Status.FAILED

    child = fork(parent, len(parent.facts) - 1, Policy(code_repairs=1))
    child.route()

    assert child.state.tasks[0].mode == "FIX"


def test_fork_of_a_cancelled_parent_is_not_cancelled() -> None:
    parent = until(begun(), Service.RESEARCH)
    parent.say(Service.GATEWAY, e.PipelineCancelRequested())

    child = fork(parent, len(parent.facts))
    child.route()

    assert open_services(child.state) == {Service.GENERATOR, Service.FIXTURES}


@pytest.mark.parametrize(("approval", "decided"), [("required", "approval:success"), ("none", "publish:success")])
def test_fork_of_a_parent_that_waits_for_approval_asks_anew_as_its_own_policy_says(
    approval: str, decided: str
) -> None:
    parent = until(begun(approval="required"), *TO_REVIEW, Service.REVIEWER)

    child = fork(parent, len(parent.facts), Policy.model_validate({"approval": approval}))
    child.say(Service.GATEWAY, e.ApprovalGranted(request=str(parent.state.approval)))
    child.route()

    assert s.decided(child.facts) == [decided]
    assert child.state.approval != parent.state.approval


def test_imported_history_is_folded_and_starts_nothing_but_its_fork_does() -> None:
    log = until(begun(), Service.RESEARCH)
    imported = [fact.model_copy(update={"imported": True}) for fact in log.facts]
    state = fold(imported)

    assert state == log.state.model_copy(update={"imported": True})
    assert (state.status, state.status_here) == (Status.RUNNING, Status.IMPORTED)
    task = log.facts[-1].id
    assert startable(log.state, Service.GENERATOR, task)
    assert startable(state, Service.GENERATOR, task) is None

    mixed = evolve(state, until(begun(), *BOTH_HALVES).facts[2])
    assert mixed == state.model_copy(update={"position": 3}), "a fact of here was taken into an imported history"
    claimed = imported[0].model_copy(update={"type": e.PipelineCancelled.TYPE, "dataversion": 1})
    assert evolve(log.state, claimed).status is Status.RUNNING, "an imported fact was taken into a history of here"

    child = fork(Log(facts=imported), len(imported))
    child.route()
    assert not child.state.imported
    assert s.decided(child.facts) == ["generation:GENERATE", "fixtures"]


def test_fork_without_its_parent_fails_and_says_so() -> None:
    child = fork(Log(), 1)

    child.route()

    assert child.state.status is Status.FAILED
    assert "forked" in (child.state.reason or "")


def test_fact_of_a_newer_version_is_never_guessed() -> None:
    log = begun()
    newer = log.facts[0].model_copy(update={"dataversion": 99})

    with pytest.raises(UnknownFact, match="version 99"):
        evolve(log.state, newer)


def test_fact_with_broken_data_changes_nothing() -> None:
    log = until(begun(), Service.RESEARCH)
    task = log.state.tasks[0]
    broken = log.facts[-1].model_copy(
        update={
            "id": "broken",
            "type": e.ConnectorGenerated.TYPE,
            "causation": task.id,
            "data": {"mode": "NONSENSE"},
        }
    )

    assert not log.put(broken)
    assert log.state.position == len(log.facts)


def test_decisions_name_the_policy_and_the_code() -> None:
    log = until(begun(), *BOTH_HALVES)
    fact = log.facts[-1].fact()

    assert isinstance(fact, e.TestsRequested)
    assert (fact.policy_hash, fact.code_version) == (log.state.policy.hash, CODE)


def test_another_policy_may_be_compared_on_the_same_state() -> None:
    log = until(begun(), *BOTH_HALVES, Service.TESTER)
    task = log.state.tasks[0]
    log.answer(task, s.bad_code())

    kinds = [decide(log.state, Policy(code_repairs=n), code_version=CODE)[0].fact.TYPE for n in (0, 1)]

    assert kinds == ["research.requested", "generation.requested"]


@pytest.mark.parametrize("changes", [{}, {"position": 3}, {"reason": "why", "tasks": ()}])
def test_changed_copy_is_what_pydantic_would_copy(changes: dict[str, object]) -> None:
    state = until(begun(), *BOTH_HALVES).state
    before = state.model_dump()

    changed, copied = state.changed(changes), state.model_copy(update=changes)

    assert changed == copied
    assert changed.model_fields_set == copied.model_fields_set
    assert changed.model_dump_json(exclude_unset=True) == copied.model_dump_json(exclude_unset=True)
    assert state.model_dump() == before
