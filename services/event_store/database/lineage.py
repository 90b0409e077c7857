"""A pipeline's history in the database: its own facts, and before them those that a fork shares with its parent."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Table, select

from contracts.envelope import Envelope
from contracts.lineage import MAX_GENERATIONS, forked
from services.event_store.database.tables import EventRow

EVENTS: Table = EventRow.__table__  # type: ignore[attr-defined]

ROWS_AT_A_TIME = 200
"""Fetching row by row costs half as much again."""


@dataclass(frozen=True)
class Span:
    """The own facts of ``pipeline`` from position ``first`` to ``last`` (``None``: to its end)."""

    pipeline: str
    first: int
    last: int | None = None


def lineage(connection: Connection, pipeline: str) -> list[Span]:
    """Where the facts of ``pipeline`` are, oldest first; empty: nothing is known of it.

    A fork within what its parent itself shares has that part of the grandparent, and nothing of the parent's own.

    Raises:
        UnknownFact: a fork is of a version newer than this code.
    """
    spans: list[Span] = []
    last: int | None = None
    name = pipeline
    for _ in range(MAX_GENERATIONS):
        query = select(EVENTS.c.position, EVENTS.c.payload).where(EVENTS.c.pipeline == name, EVENTS.c.position > 0)
        row = connection.execute(query.order_by(EVENTS.c.position).limit(1)).first()
        if row is None:
            break
        if last is None or row.position <= last:
            spans.append(Span(name, row.position, last))
        fork = forked(Envelope.decode(row.payload))
        if fork is None:
            break
        name, last = fork.parent, row.position - 1 if last is None else min(last, row.position - 1)
    return spans[::-1]


def facts(
    connection: Connection, pipeline: str, *, after: int = 0, upto: int | None = None, limit: int | None = None
) -> Iterator[Any]:
    """``sequence``, ``position`` and ``payload`` of the facts at positions ``after`` + 1 to ``upto``, in order."""
    for span in lineage(connection, pipeline):
        query = select(EVENTS.c.sequence, EVENTS.c.position, EVENTS.c.payload).where(
            EVENTS.c.pipeline == span.pipeline, EVENTS.c.position > max(after, span.first - 1)
        )
        ends = [end for end in (span.last, upto) if end is not None]
        if ends:
            query = query.where(EVENTS.c.position <= min(ends))
        for rows in connection.execute(query.order_by(EVENTS.c.position).limit(limit)).partitions(ROWS_AT_A_TIME):
            yield from rows
            if limit is not None:
                limit -= len(rows)
        if limit == 0:
            return
