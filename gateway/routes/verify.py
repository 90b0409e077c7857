"""``/verify``: the stream and its copy in SQL, compared."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from contracts.queries import VerifyQuery
from contracts.verification import Part, VerifyPage
from gateway.routes import TheParts

router = APIRouter(tags=["operations"])


@router.get("/verify")
async def verify(
    parts: TheParts,
    part: Part,
    after: Annotated[str, Query(pattern=r"^[0-9a-f]{0,64}$", description="`next` of the page before")] = "",
) -> VerifyPage:
    """Compare a part of the log with its copy, message by message, for about a second; `next`: where to go on."""
    return await parts.reads.verify(VerifyQuery(part=part, after=after))
