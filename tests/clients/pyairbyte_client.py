"""Runs in PyAirbyte's venv: ``read SCRIPT CONFIG DUCKDB STREAM...`` or ``query DUCKDB SQL``. Prints JSON.

``read`` is what a user of PyAirbyte writes; it prints how many records this sync brought.
"""

import json
import sys
from pathlib import Path


def read(script: str, config: str, database: str, *streams: str) -> None:
    import airbyte

    source = airbyte.get_source(
        Path(script).name,
        local_executable=Path(script),
        config=json.loads(Path(config).read_text()),
        streams=list(streams),
    )
    source.check()
    cache = airbyte.caches.DuckDBCache(db_path=database, schema_name="crm")
    print(json.dumps(source.read(cache=cache).processed_records))


def query(database: str, sql: str) -> None:
    import duckdb

    with duckdb.connect(database, read_only=True) as connection:
        print(json.dumps(connection.execute(sql).fetchall()))


if __name__ == "__main__":
    {"read": read, "query": query}[sys.argv[1]](*sys.argv[2:])
