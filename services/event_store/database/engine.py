"""Opens the database that a URL names, with what each kind needs to be durable."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sqlalchemy import Engine, create_engine, event, func, select, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlmodel import SQLModel

from services.event_store.database import tables

POOL_SIZE = 7
"""Four questions at a time, the writer and its lock, and who asks whether the database answers."""

CONNECT_TIMEOUT_S = 5
LOCK_TIMEOUT_MS = 5_000
_SCHEMA_KEY = 0x61676364


def open_engine(url: str) -> Engine:
    """``sqlite:////path/to/file`` or ``postgresql://user:password@host/name`` (with psycopg 3). Creates the
    folder of an SQLite file and the tables where they are missing."""
    target = make_url(url)
    if target.get_backend_name() == "sqlite":
        engine = _sqlite(target.database or "", url)
    else:
        engine = create_engine(
            target.set(drivername="postgresql+psycopg"),
            pool_size=POOL_SIZE,
            max_overflow=0,
            pool_pre_ping=True,
            connect_args={"connect_timeout": CONNECT_TIMEOUT_S},
        )
    with engine.begin() as connection:  # two that start at once must not both create what is not there
        if engine.dialect.name == "sqlite":
            connection.exec_driver_sql("BEGIN IMMEDIATE")
        else:
            connection.execute(select(func.pg_advisory_xact_lock(_SCHEMA_KEY)))
        SQLModel.metadata.create_all(connection, tables=[row.__table__ for row in tables.ROWS])  # type: ignore[attr-defined]
    return engine


def told(error: SQLAlchemyError) -> str:
    """Why the database did not do it, in one line, without statements and their values."""
    cause = error.orig if isinstance(error, DBAPIError) else error
    lines = str(cause).splitlines() or [type(cause).__name__]
    return f"the database does not answer: {lines[0][:200]}"


def answers(engine: Engine) -> str | None:
    """Ask it something; what is wrong, if it does not answer. Blocks as long as the database does."""
    try:
        with engine.connect() as connection:
            connection.execute(text("SELECT 1"))
    except SQLAlchemyError as error:
        return told(error)
    return None


def _sqlite(path: str, url: str) -> Engine:
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    engine = create_engine(url, pool_size=POOL_SIZE, max_overflow=0, connect_args={"check_same_thread": False})

    @event.listens_for(engine, "connect")
    def configure(connection: Any, _record: Any) -> None:
        cursor = connection.cursor()
        cursor.execute(f"PRAGMA busy_timeout={LOCK_TIMEOUT_MS}")
        cursor.execute("PRAGMA journal_mode=WAL")
        cursor.execute("PRAGMA synchronous=FULL")  # a recorded fact survives a power cut
        cursor.close()

    return engine
