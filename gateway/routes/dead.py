"""``/dead``: what no agent could handle."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Query

from gateway.answers import Accepted, links
from gateway.dead import DeadLetters
from gateway.routes import TheParts

router = APIRouter(prefix="/dead", tags=["operations"])


@router.get("")
async def dead(
    parts: TheParts,
    after: Annotated[int, Query(ge=0, description="from the `next` link")] = 0,
    limit: Annotated[int, Query(ge=1, le=200)] = 100,
) -> DeadLetters:
    """The dead letters, oldest first: messages that a service gave up, each with its cause."""
    letters, more = await parts.dead.letters(after, limit)
    following = f"/dead?after={letters[-1].id}&limit={limit}" if letters and more else None
    return DeadLetters(letters=tuple(letters), next=following)


@router.post("/{id}/retry", status_code=202)
async def retry(id: Annotated[int, Path(ge=1)], parts: TheParts) -> Accepted:
    """Let the task of a dead letter be tried once more; the router requests it anew. Asking again changes nothing.

    If its pipeline has failed meanwhile, as most have, the answer is a fork of it that goes on from before the
    failure. 409: it has ended otherwise, or waits for nothing of it.
    """
    pipeline = await parts.dead.retry(id)
    state = (await parts.reads.state(pipeline)).state
    return Accepted(pipeline_id=pipeline, status=state.status, links=links(pipeline))
