"""All facts of all pipelines, one pipeline after another: for who looks at the whole history without holding it."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Engine, Row, select

from contracts.envelope import Envelope, UnknownFact
from contracts.queries import MAX_PAGE_BYTES, HistoriesPage, HistoriesQuery, History, Place, Recorded
from services.event_store.database.copy import PIPELINES
from services.event_store.database.lineage import facts


def histories(engine: Engine, query: HistoriesQuery) -> HistoriesPage:
    """As many facts as fit into one answer, but at least one."""
    page = _Page(query.limit)
    with engine.connect() as connection:
        begun = PIPELINES.c.first_sequence
        found = select(PIPELINES.c.id, begun).where(begun >= query.begun).order_by(begun).limit(query.limit + 1)
        for pipeline in connection.execute(found).all():
            after = query.after if pipeline.first_sequence == query.begun else 0
            page.add(connection, pipeline, after)
            if page.full:
                return HistoriesPage(histories=tuple(page.histories), next=page.place)
    return HistoriesPage(histories=tuple(page.histories))


class _Page:
    """What is taken so far; ``place`` is where the next page begins once it is full."""

    def __init__(self, limit: int) -> None:
        self.histories: list[History] = []
        self.place = Place()
        self.full = False
        self._room = limit
        self._bytes = 0

    def add(self, connection: Connection, pipeline: Row[Any, Any], after: int) -> None:
        taken: list[Recorded] = []
        unreadable = None
        try:
            for row in facts(connection, pipeline.id, after=after, limit=self._room):
                self._bytes += len(row.payload)
                if self._bytes > MAX_PAGE_BYTES and (self.histories or taken):
                    self.full = True
                    break
                event = Envelope.decode(row.payload)
                taken.append(Recorded(sequence=row.sequence, position=row.position, event=event))
        except UnknownFact as error:
            unreadable = str(error)
        self._room -= len(taken)
        self.full = self.full or self._room == 0
        self.place = Place(begun=pipeline.first_sequence, after=taken[-1].position if taken else after)
        if taken or unreadable:
            history = History(pipeline=pipeline.id, facts=tuple(taken), unreadable=unreadable)
            self.histories.append(history)
