"""``/histories``: every fact of every pipeline, for who looks at all that ever happened."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from contracts.queries import HistoriesPage, HistoriesQuery
from gateway.routes import TheParts

router = APIRouter(tags=["pipelines"])


@router.get("/histories")
async def histories(
    parts: TheParts,
    begun: Annotated[int, Query(ge=0, description="`next.begun` of the page before")] = 0,
    after: Annotated[int, Query(ge=0, description="`next.after` of the page before")] = 0,
    limit: Annotated[int, Query(ge=1, le=2000, description="facts")] = 1000,
) -> HistoriesPage:
    """The facts of all pipelines, one pipeline after another, oldest first; `next`: where the next page begins."""
    return await parts.reads.histories(HistoriesQuery(begun=begun, after=after, limit=limit))
