"""``/pipelines``: what is going on, and what has happened."""

from __future__ import annotations

import asyncio
from typing import Annotated
from urllib.parse import urlencode

import anyio
from fastapi import APIRouter, Header, Query
from fastapi.responses import RedirectResponse, Response
from sse_starlette import EventSourceResponse

from contracts.base import Slug
from contracts.pipeline import Status
from contracts.queries import PipelinesQuery
from gateway.answers import Costs, Events, PipelineAnswer, PipelineLine, PipelineList, StateAt, links
from gateway.costs import account_of, costs_of
from gateway.live import follow
from gateway.presence import steps_that_wait
from gateway.problems import not_found
from gateway.routes import Id, TheBackend, TheParts

router = APIRouter(prefix="/pipelines", tags=["pipelines"])

GOODBYE_S = 1
"""How long a live stream may take to say that its client must go on elsewhere; uvicorn waits 3 s for it."""


@router.get("")
async def pipelines(
    parts: TheParts,
    status: Status | None = None,
    name: Annotated[Slug | None, Query(description="the connector's name")] = None,
    before: Annotated[int | None, Query(ge=1, description="from the `next` link")] = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> PipelineList:
    """Pipelines, newest first."""
    page = await parts.reads.pipelines(PipelinesQuery(status=status, name=name, before=before, limit=limit))
    lines = tuple(PipelineLine(pipeline=summary, links=links(summary.id)) for summary in page.pipelines)
    given = {"status": status, "name": name, "before": page.next, "limit": limit}
    query = urlencode({key: value for key, value in given.items() if value is not None})
    return PipelineList(pipelines=lines, next=f"/pipelines?{query}" if page.next else None)


@router.get("/{id}")
async def pipeline(id: Id, parts: TheParts) -> PipelineAnswer:
    """What is true of a pipeline now."""
    found = await parts.reads.state(id)
    waiting, account = await asyncio.gather(steps_that_wait(parts.bus, found.state), account_of(parts.bus, id))
    return PipelineAnswer.of(found, waiting=waiting, account=account)


@router.get("/{id}/costs")
async def costs(id: Id, parts: TheParts) -> Costs:
    """What its agents spent on turns with a model, of which budget, and each of the turns."""
    return await costs_of(parts.bus, parts.reads, (await parts.reads.state(id)).state)


@router.get("/{id}/events")
async def events(
    id: Id,
    parts: TheParts,
    after: Annotated[int, Query(ge=0, description="a position, 1..n")] = 0,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> Events:
    """A pipeline's facts, oldest first."""
    page = await parts.reads.history(id, after=after, limit=limit)
    following = f"/pipelines/{id}/events?after={page.next}&limit={limit}" if page.next is not None else None
    return Events(events=page.events, position=page.position, next=following)


@router.get("/{id}/state")
async def state(
    id: Id, parts: TheParts, at: Annotated[int | None, Query(ge=1, description="a position, 1..n")] = None
) -> StateAt:
    """The state as it was after the first `at` facts; without `at`, as it is."""
    answer = await parts.reads.state(id, at=at)
    return StateAt(
        pipeline_id=id, position=answer.position, sequence=answer.sequence, time=answer.updated, state=answer.state
    )


@router.get("/{id}/live", response_class=EventSourceResponse)
async def live(
    id: Id,
    backend: TheBackend,
    parts: TheParts,
    last_event_id: Annotated[int | None, Header(ge=0, description="the position to go on after")] = None,
    after: Annotated[int, Query(ge=0, description="the same, for a first request")] = 0,
) -> Response:
    """Server-sent events: `fact` (its id is the position) and `progress`; ends after the final fact.

    It only watches: it starts nothing, and whoever leaves changes nothing. 204: there is nothing more to come.
    """
    start = after if last_event_id is None else last_event_id
    if await parts.reads.is_over(id, after=start):
        return Response(status_code=204)
    settings, leaving = backend.settings, anyio.Event()
    return EventSourceResponse(
        follow(parts.hub, parts.reads, id, after=start, poll_s=settings.heartbeat_s, leaving=leaving),
        shutdown_event=leaving,
        shutdown_grace_period=GOODBYE_S,
        ping=settings.heartbeat_s,
        send_timeout=settings.slow_client_s,
        headers={"X-Accel-Buffering": "no"},
    )


@router.get("/{id}/package", response_class=RedirectResponse, status_code=307)
async def package(id: Id, parts: TheParts) -> RedirectResponse:
    """To the published connector.  404: the pipeline has published nothing (yet)."""
    state = (await parts.reads.state(id)).state
    if state.version is None:
        raise not_found(f"pipeline {id} has not published a connector")
    return RedirectResponse(f"/connectors/{state.name}/{state.version}")
