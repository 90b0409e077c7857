"""Pipelines' facts from the gateway, a page at a time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator

from contracts.queries import HistoriesPage, History, Place, Recorded
from gateway.answers import Events
from infra.cli.client import Gateway

PAGE = 1000


async def facts_of(gateway: Gateway, pipeline: str) -> AsyncIterator[Recorded]:
    """The facts of one pipeline, oldest first.

    Raises:
        Rejected: there is no such pipeline.
    """
    after, more = 0, True
    while more:
        page = await gateway.read(f"/pipelines/{pipeline}/events", Events, after=after, limit=PAGE)
        for recorded in page.events:
            yield recorded
        more = page.next is not None and bool(page.events)
        after = page.events[-1].position if page.events else after


async def all_histories(gateway: Gateway) -> AsyncGenerator[History, None]:
    """The facts of all pipelines, one pipeline after another, long histories in parts. While one page is worked on,
    the next is fetched; no more than these two are held."""
    coming: asyncio.Task[HistoriesPage] | None = _ask(gateway, Place())
    try:
        while coming is not None:
            page = await coming
            coming = _ask(gateway, page.next) if page.next is not None else None
            for history in page.histories:
                await asyncio.sleep(0)  # let the request for the next page go out
                yield history
    finally:
        if coming is not None:
            coming.cancel()


def _ask(gateway: Gateway, place: Place) -> asyncio.Task[HistoriesPage]:
    asked = gateway.read("/histories", HistoriesPage, begun=place.begun, after=place.after, limit=PAGE)
    return asyncio.create_task(asked)
