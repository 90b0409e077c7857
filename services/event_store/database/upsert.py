"""Insert or update, for SQLite and PostgreSQL alike."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Table
from sqlalchemy.dialects import postgresql, sqlite


def upsert(connection: Connection, table: Table, rows: Sequence[dict[str, Any]], keep: tuple[str, ...]) -> None:
    """Insert rows; where the key is known, everything but the columns ``keep`` takes the new value."""
    if not rows:
        return
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    statement = dialect.insert(table)
    changing = {name: statement.excluded[name] for name in rows[0] if name not in keep}
    key = list(table.primary_key.columns)
    if changing:
        statement = statement.on_conflict_do_update(index_elements=key, set_=changing)
    else:
        statement = statement.on_conflict_do_nothing(index_elements=key)
    connection.execute(statement, rows)
