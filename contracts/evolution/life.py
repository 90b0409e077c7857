"""The life of a pipeline: it begins, is held, forked, and ends."""

from __future__ import annotations

from contracts import events as e
from contracts.envelope import Envelope
from contracts.evolution.handlers import Changes, on
from contracts.services import Service
from contracts.state import Choice, PipelineState, Status, Task

_COMMANDS_KEPT = 32
"""A pause or resume that is repeated is known by its id, as long as not so many others came in between."""


@on(e.PipelineSubmitted)
def _submitted(state: PipelineState, envelope: Envelope, fact: e.PipelineSubmitted) -> Changes:
    if state.id:
        return {}
    return {
        "id": envelope.subject,
        "name": fact.name,
        "engine": fact.engine,
        "policy": fact.policy,
        "document": fact.document,
        "answers": fact.answers,
        "spec_url": fact.spec_url,
        "imported": bool(envelope.imported),
        "tasks": (Task(id=envelope.id, service=Service.RESEARCH),),
    }


@on(e.PipelineForked)
def _forked(state: PipelineState, envelope: Envelope, fact: e.PipelineForked) -> Changes:
    if state.id == envelope.subject:
        return {}
    return {
        "id": envelope.subject,
        "parent": fact.parent,
        "forked_at": fact.at,
        "generation": state.generation + 1,
        "imported": bool(envelope.imported),
        "engine": fact.engine or state.engine,
        "policy": fact.policy or state.policy,
        "status": state.status if state.status.final else Status.RUNNING,
        "pause_wanted": False,
        "cancel": None,
        "command": None,
        "tasks": _stale(state),
        **_unapproved(state),
    }


def _unapproved(state: PipelineState) -> Changes:
    """A person who was asked about the parent was not asked about the fork, whose policy may not even ask."""
    if state.approval is None:
        return {}
    closed: Changes = {"approval": None, "approval_about": None}
    if state.approval_about == "budget":
        return closed  # the failures that it was about are still open
    return closed | {"choice": Choice(id=state.approval, fact=e.ApprovalRequested.TYPE)}


def _stale(state: PipelineState) -> tuple[Task, ...]:
    return tuple(task.changed({"stale": True}) for task in state.tasks)


@on(e.PipelineCancelRequested)
def _cancel_requested(state: PipelineState, envelope: Envelope, fact: e.PipelineCancelRequested) -> Changes:
    return {} if state.cancel else {"cancel": envelope.id}


@on(e.PipelinePauseRequested, e.PipelineResumeRequested)
def _level_requested(state: PipelineState, envelope: Envelope, fact: e.Fact) -> Changes:
    if envelope.id in state.commands:
        return {}
    commands = (*state.commands, envelope.id)[-_COMMANDS_KEPT:]
    wanted = isinstance(fact, e.PipelinePauseRequested)
    if wanted == state.pause_wanted:
        return {"commands": commands}
    return {"commands": commands, "pause_wanted": wanted, "command": envelope.id}


@on(e.PipelinePaused)
def _paused(state: PipelineState, envelope: Envelope, fact: e.PipelinePaused) -> Changes:
    if state.status is not Status.RUNNING or envelope.causation != state.command:
        return {}
    return {"status": Status.PAUSED}


@on(e.PipelineResumed)
def _resumed(state: PipelineState, envelope: Envelope, fact: e.PipelineResumed) -> Changes:
    if state.status is not Status.PAUSED or envelope.causation != state.command:
        return {}
    return {"status": Status.RUNNING, "tasks": _stale(state)}


_CLOSED: Changes = {"tasks": (), "failures": (), "choice": None, "approval": None, "approval_about": None}


@on(e.PipelineCompleted)
def _completed(state: PipelineState, envelope: Envelope, fact: e.PipelineCompleted) -> Changes:
    return {**_CLOSED, "status": Status(fact.outcome), "outcome": fact.outcome, "version": fact.version}


@on(e.PipelineFailed)
def _failed(state: PipelineState, envelope: Envelope, fact: e.PipelineFailed) -> Changes:
    reason = f"{fact.reason} (at {fact.where})" if fact.where else fact.reason
    return {**_CLOSED, "status": Status.FAILED, "reason": reason}


@on(e.PipelineCancelled)
def _cancelled(state: PipelineState, envelope: Envelope, fact: e.PipelineCancelled) -> Changes:
    return {**_CLOSED, "status": Status.CANCELLED}
