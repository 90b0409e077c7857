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

    409: its pipeline has ended (the detail names the fork that goes on from before it), or waits for nothing of it.
    """
    letter = await parts.dead.retry(id)
    state = (await parts.reads.state(letter.pipeline_id)).state
    return Accepted(pipeline_id=letter.pipeline_id, status=state.status, links=links(letter.pipeline_id))
