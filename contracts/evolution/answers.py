"""What the agents answer: an open task is closed, and the next obligation opened."""

from __future__ import annotations

from contracts import events as e
from contracts.artifacts import ArtifactRef
from contracts.envelope import Envelope
from contracts.evolution.handlers import Changes, answered, on, open_task, with_opened
from contracts.services import Service
from contracts.state import Choice, Coverage, Failure, Judged, PipelineState, Task


@on(e.ResearchCompleted)
@answered(Service.RESEARCH)
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
        "opened": opened,
    }


@on(e.ConnectorGenerated)
@answered(Service.GENERATOR)
def _generated(state: PipelineState, envelope: Envelope, fact: e.ConnectorGenerated) -> Changes:
    made = {
        "code": fact.code,
        "code_by_model": fact.by_model,
        "choices": fact.choices,
        "degraded": fact.degraded,
        "feedback": None,
    }
    return made | _joined(state, envelope, fact.code, state.fixtures)


@on(e.FixturesCreated)
@answered(Service.FIXTURES)
def _simulated(state: PipelineState, envelope: Envelope, fact: e.FixturesCreated) -> Changes:
    return {"fixtures": fact.fixtures} | _joined(state, envelope, state.code, fact.fixtures)


def _joined(
    state: PipelineState, envelope: Envelope, code: ArtifactRef | None, fixtures: ArtifactRef | None
) -> Changes:
    """Once both halves are there, the later one asks for tests, or, if they are those of the last verdict, for
    another answer to that.

    They are of one research, because a request to research clears both and drops the tasks that would make them.
    """
    if code is None or fixtures is None:
        return {}
    last = state.judged
    if last is None or (last.blueprint, last.code, last.fixtures) != (state.blueprint, code, fixtures):
        return {"choice": Choice(id=envelope.id, fact=envelope.type)}
    repaired = state.tests is not None
    return {**dict(last), "choice": last.choice.changed({"id": envelope.id, "unchanged": repaired})}


def _judged(state: PipelineState, found: Changes) -> Changes:
    """What a verdict ``found``, and the memory of it."""
    now = vars(state) | found
    return found | {"judged": Judged.model_validate(now)}  # which takes what it has a field for


@on(e.TestsPassed, e.TestsFailed)
@answered(Service.TESTER)
def _tested(state: PipelineState, envelope: Envelope, fact: e.TestsFinished) -> Changes:
    return {
        "tests": fact.tests,
        "test_report": fact.report,
        "feedback": None,
        "opened": (Task(id=envelope.id, service=Service.TEST_REVIEWER),),
    }


@on(e.TestsReviewed)
@answered(Service.TEST_REVIEWER)
def _tests_reviewed(state: PipelineState, envelope: Envelope, fact: e.TestsReviewed) -> Changes:
    found = {
        "verdict": fact.verdict,
        "coverage": Coverage(proven=fact.streams_proven, total=fact.streams_total),
        "unproven": fact.degraded,
        "feedback": fact.feedback,
        "choice": Choice(id=envelope.id, fact=envelope.type, reason=fact.reason),
    }
    return _judged(state, found)


@on(e.ReviewApproved)
@answered(Service.REVIEWER)
def _approved(state: PipelineState, envelope: Envelope, fact: e.ReviewApproved) -> Changes:
    return {
        "review_report": fact.report,
        "score": fact.score,
        "feedback": None,
        "choice": Choice(id=envelope.id, fact=envelope.type),
    }


@on(e.ReviewRejected)
@answered(Service.REVIEWER)
def _rejected(state: PipelineState, envelope: Envelope, fact: e.ReviewRejected) -> Changes:
    choice = Choice(
        id=envelope.id, fact=envelope.type, reason=fact.reason, blame=fact.blame, critical=fact.critical
    )
    found = {"review_report": fact.report, "score": fact.score, "feedback": fact.feedback, "choice": choice}
    return _judged(state, found)


@on(e.ConnectorPublished)
@answered(Service.PUBLISHER)
def _published(state: PipelineState, envelope: Envelope, fact: e.ConnectorPublished) -> Changes:
    return {
        "version": fact.version,
        "package": fact.package,
        "wheel": fact.wheel,
        "sdist": fact.sdist,
        "choice": Choice(id=envelope.id, fact=envelope.type),
    }


@on(e.AgentFailed)
def _agent_failed(state: PipelineState, envelope: Envelope, fact: e.AgentFailed) -> Changes:
    task = open_task(state, fact.service, envelope.causation)
    if task is None:
        return {}
    failure = Failure(
        id=envelope.id,
        task=task,
        kind=fact.kind,
        what=fact.what,
        where=fact.where,
        budget_usd=fact.budget_usd or 0.0,
        time=envelope.time,
    )
    return {"tasks": with_opened(state.tasks, closed=task), "failures": (*state.failures, failure)}
