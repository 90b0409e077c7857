"""Who writes the copy: one process at a time, however many stores run on one database.

PostgreSQL keeps a session's advisory lock, the system a lock on a file beside an SQLite database; both let go of
it when the process that holds it dies. Two writers at once, which a broken connection may allow for a moment, do no
harm: a sequence is a primary key, so the second one's transaction fails.
"""

from __future__ import annotations

import os
from contextlib import ExitStack
from pathlib import Path
from typing import Protocol

from sqlalchemy import Connection, Engine, func, select, text
from sqlalchemy.exc import SQLAlchemyError

from infra.runtime.locks import try_lock

KEY = 0x61676363
"""Of the advisory lock; such locks are of one database. They need a session: a pooler that gives each transaction
another one (PgBouncer's ``pool_mode=transaction``) breaks them."""

_KEEPALIVE = ("tcp_keepalives_idle = 5", "tcp_keepalives_interval = 2", "tcp_keepalives_count = 3")
"""After 11 s without a sign of life the server ends the session of a machine that is gone: else after 2 hours."""


class WriterLock(Protocol):
    """Blocks as long as the database does; not for two threads at once."""

    def take(self) -> bool:
        """Whether this process is the writer now. Never waits for the one that is.

        Raises:
            sqlalchemy.exc.SQLAlchemyError, OSError: that cannot be told.
        """

    def held(self) -> bool:
        """Whether it still is: a lock is lost with its session."""

    def release(self) -> None:
        """Let another one go on; does nothing if the lock is not held."""


def writer_lock(engine: Engine) -> WriterLock:
    """The lock of the copy in this database."""
    if engine.dialect.name == "sqlite":
        return _FileLock(Path(f"{engine.url.database}.writer"))
    return _AdvisoryLock(engine)


class _FileLock:
    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor: int | None = None

    def take(self) -> bool:
        if self._descriptor is None:
            self._descriptor = try_lock(self._path)
        return self.held()

    def held(self) -> bool:
        return self._descriptor is not None

    def release(self) -> None:
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)


class _AdvisoryLock:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._session: Connection | None = None

    def take(self) -> bool:
        if self.held():
            return True
        with ExitStack() as unless_taken:
            session = unless_taken.enter_context(self._engine.connect())
            session = session.execution_options(isolation_level="AUTOCOMMIT")
            if session.execute(select(func.pg_try_advisory_lock(KEY))).scalar():
                for setting in _KEEPALIVE:
                    session.execute(text(f"SET {setting}"))
                self._session = session
                unless_taken.pop_all()
        return self._session is not None

    def held(self) -> bool:
        if self._session is None:
            return False
        try:
            self._session.execute(text("SELECT 1"))
        except SQLAlchemyError:
            self.release()
            return False
        return True

    def release(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            session.invalidate()  # the lock ends with the session, whatever state that is in
            session.close()
