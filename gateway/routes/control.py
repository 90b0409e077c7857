"""What users may ask of a pipeline: that it ends, waits, goes on, may publish or spend, or is forked."""

from __future__ import annotations

from typing import Literal

from fastapi import APIRouter, Response
from pydantic import BaseModel, ConfigDict, Field

from contracts.pipeline import Status
from gateway.answers import Accepted, links
from gateway.backend import Parts
from gateway.forking import ForkRequest, fork_of
from gateway.problems import not_found
from gateway.routes import Id, IdempotencyKey, TheParts
from gateway.routes.submit import check_engine
from gateway.writes import pipeline_for

router = APIRouter(prefix="/pipelines", tags=["pipelines"])


@router.post("/{id}/cancel", status_code=202)
async def cancel(id: Id, parts: TheParts) -> Accepted:
    """End a pipeline; work that runs is stopped. Asking again changes nothing; 409: it has ended otherwise."""
    await parts.writes.cancel(id)
    return await _accepted(id, parts)


@router.post("/{id}/pause", status_code=202)
async def pause(id: Id, parts: TheParts, key: IdempotencyKey = None) -> Accepted:
    """Hold the pipeline's decisions; work that runs goes on to its end. 409: it has ended."""
    await parts.writes.pause(id, key)
    return await _accepted(id, parts)


@router.post("/{id}/resume", status_code=202)
async def resume(id: Id, parts: TheParts, key: IdempotencyKey = None) -> Accepted:
    """Go on after a pause. 409: it has ended."""
    await parts.writes.resume(id, key)
    return await _accepted(id, parts)


class ApprovalAnswer(BaseModel):
    """A person's word. ``request`` is the id of the `approval.requested` that it answers: the pipeline's
    ``approval``."""

    model_config = ConfigDict(extra="forbid")

    request: str = Field(min_length=1, max_length=100)
    decision: Literal["granted", "denied"]
    by: str = Field(default="user", min_length=1, max_length=100)
    reason: str = Field(default="", max_length=2000)


@router.post("/{id}/approval", status_code=202)
async def approval(id: Id, parts: TheParts, answer: ApprovalAnswer) -> Accepted:
    """Let a pipeline publish, or spend its budget for model turns once more, that waits for a person's word, or end
    it. The same answer again changes nothing; 409: it does not wait for an answer to this request, or was answered
    otherwise."""
    granted = answer.decision == "granted"
    await parts.writes.approve(id, answer.request, granted=granted, by=answer.by, reason=answer.reason)
    return await _accepted(id, parts)


@router.post("/{id}/fork", status_code=202)
async def fork(
    id: Id, request: ForkRequest, response: Response, parts: TheParts, key: IdempotencyKey = None
) -> Accepted:
    """A new pipeline that shares the first `at` facts of this one and goes on from there, for real."""
    facts = await parts.reads.in_log(id)
    if not facts:
        raise not_found(f"there is no pipeline {id}")
    fact, then = fork_of(id, [recorded.event for recorded in facts], request)
    given = then.document is not None or then.spec_url is not None or then.blueprint is not None
    await check_engine(request.engine or then.engine, given=given, parts=parts)
    pipeline = pipeline_for(key)
    await parts.writes.begin(pipeline, fact)
    found = links(pipeline)
    response.headers["Location"] = found["self"]
    return Accepted(pipeline_id=pipeline, status=Status.RUNNING, links=found)


async def _accepted(id: str, parts: Parts) -> Accepted:
    state = (await parts.reads.state(id)).state
    return Accepted(pipeline_id=id, status=state.status_here, links=links(id))
