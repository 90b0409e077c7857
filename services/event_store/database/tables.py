"""The schema, for SQLite and PostgreSQL alike."""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy import BigInteger, DateTime, Dialect, Index, Integer, LargeBinary, Text
from sqlalchemy.types import TypeDecorator
from sqlmodel import Field, SQLModel

BigInt = BigInteger().with_variant(Integer, "sqlite")
"""SQLite: only ``INTEGER PRIMARY KEY`` is the row's own number, and it has 64 bits anyway."""


class UtcTime(TypeDecorator[datetime]):
    """An aware time in UTC; SQLite keeps no zone, so it is put back on reading."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return None if value is None else value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return None if value is None else value.replace(tzinfo=UTC) if value.tzinfo is None else value


class EventRow(SQLModel, table=True):
    """One message of the log, ``payload`` and ``subject`` verbatim, so that the log can be refilled byte for byte.

    ``position`` counts from 1 within the pipeline; ``previous`` is the sequence of the pipeline's message before
    it (0: the first). ``id`` is not unique: after the bus's duplicate window a message can be stored again, and a
    copy that refused it would stop for ever over something that changes no state. A message that is no envelope
    is recorded too, without ``position`` and what would be in the envelope: the log's readers pass over it.
    """

    __tablename__ = "events"
    __table_args__ = (Index("events_by_position", "pipeline", "position", unique=True),)

    sequence: int = Field(primary_key=True, sa_type=BigInt)
    id: str | None = Field(index=True)
    pipeline: str
    position: int | None
    previous: int = Field(sa_type=BigInt)
    subject: str
    type: str | None
    dataversion: int | None
    time: datetime | None = Field(sa_type=UtcTime)
    causation: str | None
    source: str | None
    payload: bytes = Field(sa_type=LargeBinary)


class PipelineRow(SQLModel, table=True):
    """What a list shows of a pipeline; derived from its facts."""

    __tablename__ = "pipelines"
    __table_args__ = (
        Index("pipelines_by_status", "status", "first_sequence"),
        Index("pipelines_by_name", "name", "first_sequence"),
    )

    id: str = Field(primary_key=True)
    first_sequence: int = Field(sa_type=BigInt, unique=True)
    last_sequence: int = Field(sa_type=BigInt)
    position: int
    name: str
    status: str
    engine: str
    submitted: datetime = Field(sa_type=UtcTime)
    updated: datetime = Field(sa_type=UtcTime)
    degraded: str = Field(default="[]", sa_type=Text)
    outcome: str | None = None
    version: str | None = None
    reason: str | None = Field(default=None, sa_type=Text)
    readable: bool = True


class ArtifactRow(SQLModel, table=True):
    """The content behind an `ArtifactRef`, copied out of the object store."""

    __tablename__ = "artifacts"

    sha256: str = Field(primary_key=True)
    media_type: str
    size: int = Field(sa_type=BigInt)
    content: bytes = Field(sa_type=LargeBinary)


class MissingRow(SQLModel, table=True):
    """An artifact that a recorded fact names but that was not in the object store; it is still looked for."""

    __tablename__ = "missing_artifacts"

    sha256: str = Field(primary_key=True)
    media_type: str
    size: int = Field(sa_type=BigInt)
    sequence: int = Field(sa_type=BigInt)


class LedgerRow(SQLModel, table=True):
    """One message of a stream beside the log (model turns, dead letters), verbatim; ``headers`` is JSON."""

    __tablename__ = "ledgers"

    stream: str = Field(primary_key=True)
    sequence: int = Field(primary_key=True, sa_type=BigInt)
    subject: str
    headers: str = Field(sa_type=Text)
    payload: bytes = Field(sa_type=LargeBinary)


class MilestoneRow(SQLModel, table=True):
    """The state (JSON) of a pipeline after ``position`` facts, the last of which is at ``sequence``, as ``code``
    folds them: a cache, see `milestones`."""

    __tablename__ = "milestones"

    pipeline: str = Field(primary_key=True)
    position: int = Field(primary_key=True)
    sequence: int = Field(sa_type=BigInt)
    code: str
    state: str = Field(sa_type=Text)


ROWS: tuple[type[SQLModel], ...] = (EventRow, PipelineRow, ArtifactRow, MissingRow, LedgerRow, MilestoneRow)
