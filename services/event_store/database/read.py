"""Answers questions out of the database. Every function is one read in one transaction; blocking."""

from __future__ import annotations

import json
from typing import Any

from sqlalchemy import ColumnElement, Connection, Engine, Row, func, select

from contracts.envelope import Envelope
from contracts.pipeline import Status
from contracts.queries import (
    MAX_CHUNK_BYTES,
    MAX_PAGE_BYTES,
    ArtifactChunk,
    ArtifactQuery,
    Counts,
    HistoryPage,
    HistoryQuery,
    MissingArtifact,
    PipelinesPage,
    PipelinesQuery,
    PipelineSummary,
    Recorded,
    StateAnswer,
    StateQuery,
)
from services.event_store.database import milestones
from services.event_store.database.copy import ARTIFACTS, MISSING, PIPELINES
from services.event_store.database.ledger import ledgers
from services.event_store.database.lineage import EVENTS, facts
from services.event_store.database.snapshots import Snapshots

MISSING_SHOWN = 20


class NotHere(LookupError):
    """The database has no such thing; the text names it."""


def history(engine: Engine, query: HistoryQuery) -> HistoryPage:
    """
    Raises:
        NotHere: no such pipeline.
    """
    with engine.connect() as connection:
        position = _position(connection, query.pipeline)
        events = _until_full(facts(connection, query.pipeline, after=query.after, limit=query.limit))
    last = events[-1].position if events else query.after
    return HistoryPage(events=tuple(events), next=last if last < position else None, position=position)


def state(engine: Engine, query: StateQuery, snapshots: Snapshots | None = None) -> StateAnswer:
    """The fold of the first ``at`` facts, from the last of ``snapshots`` on.

    Raises:
        NotHere: no such pipeline, or it has fewer facts.
        UnknownFact: one of the facts is newer than this code.
    """
    with engine.connect() as connection:
        position = _position(connection, query.pipeline)
        at = query.at or position
        if at > position:
            raise NotHere(f"pipeline {query.pipeline} has {position} facts, there is none at {at}")
        known = snapshots or Snapshots()
        begun = known.before(query.pipeline, at)
        if kept := milestones.last(connection, query.pipeline, after=begun.state.position if begun else 0, upto=at):
            begun = known.keep(query.pipeline, kept)
        rows = facts(connection, query.pipeline, after=begun.state.position if begun else 0, upto=at)
        moment = known.play(query.pipeline, begun, rows)
    if moment is None:
        raise NotHere(f"the copy lacks the facts of pipeline {query.pipeline}")
    return moment.answer()


def pipelines(engine: Engine, query: PipelinesQuery) -> PipelinesPage:
    """Newest first; one row more is read than shown, to know whether there is a next page."""
    wanted: list[ColumnElement[bool]] = []
    if query.status is not None:
        wanted.append(PIPELINES.c.status == query.status.value)
    if query.name is not None:
        wanted.append(PIPELINES.c.name == query.name)
    if query.before is not None:
        wanted.append(PIPELINES.c.first_sequence < query.before)
    statement = select(PIPELINES).where(*wanted).order_by(PIPELINES.c.first_sequence.desc()).limit(query.limit + 1)
    with engine.connect() as connection:
        rows = connection.execute(statement).mappings().all()
    shown = rows[: query.limit]
    summaries = tuple(
        PipelineSummary.model_validate({**row, "degraded": json.loads(row["degraded"])}) for row in shown
    )
    return PipelinesPage(pipelines=summaries, next=shown[-1]["first_sequence"] if len(rows) > len(shown) else None)


def artifact(engine: Engine, query: ArtifactQuery) -> ArtifactChunk:
    """
    Raises:
        NotHere: the copy has no such artifact.
    """
    part = func.substr(ARTIFACTS.c.content, query.offset + 1, MAX_CHUNK_BYTES)
    statement = select(ARTIFACTS.c.media_type, ARTIFACTS.c.size, part.label("part"))
    with engine.connect() as connection:
        row = connection.execute(statement.where(ARTIFACTS.c.sha256 == query.sha256)).first()
    if row is None:
        raise NotHere(f"there is no artifact {query.sha256}")
    return ArtifactChunk(
        media_type=row.media_type, size=row.size, content=bytes(row.part or b"")
    )  # SQLite: NULL beyond the end


def counts(engine: Engine, problem: str | None = None) -> Counts:
    """How much there is, and what is wrong."""
    with engine.connect() as connection:
        last = _scalar(connection, func.max(EVENTS.c.sequence))
        first = _scalar(connection, func.min(EVENTS.c.sequence))
        artifacts = _scalar(connection, func.count(ARTIFACTS.c.sha256))
        by_status = connection.execute(select(PIPELINES.c.status, func.count()).group_by(PIPELINES.c.status))
        found = {Status(name): number for name, number in by_status}
        missing = connection.execute(
            select(MISSING.c.sha256, MISSING.c.sequence).order_by(MISSING.c.sequence).limit(MISSING_SHOWN)
        ).mappings()
        return Counts(
            facts=last - first + 1 if last else 0,  # sequences have no gaps; counting rows would read them all
            last_sequence=last,
            artifacts=artifacts,
            pipelines={status: found.get(status, 0) for status in Status},
            missing=tuple(MissingArtifact.model_validate(dict(row)) for row in missing),
            problem=problem,
            ledgers={ledger.stream: ledger.last_sequence() for ledger in ledgers(engine)},
        )


def _scalar(connection: Connection, column: Any) -> int:
    return connection.execute(select(column)).scalar() or 0


def _position(connection: Connection, pipeline: str) -> int:
    found = connection.execute(select(PIPELINES.c.position).where(PIPELINES.c.id == pipeline)).scalar()
    if found is None:
        raise NotHere(f"there is no pipeline {pipeline}")
    return int(found)


def _until_full(rows: Any) -> list[Recorded]:
    """As many facts as fit into one answer, but at least one."""
    events: list[Recorded] = []
    size = 0
    row: Row[Any]
    for row in rows:
        size += len(row.payload)
        if events and size > MAX_PAGE_BYTES:
            break
        events.append(Recorded(sequence=row.sequence, position=row.position, event=Envelope.decode(row.payload)))
    return events
