"""PyAirbyte reads a generated connector into DuckDB with state: first everything, then only what changed."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from infra.cli.demo import DOCUMENT
from infra.cli.sample_crm.data import TOKEN, Record, collections
from tests.support.installed import Installed, installed
from tests.support.peers import QUIET, Peer, Unavailable, peer
from tests.support.sample_crm import serving_sample_crm

HERE = Path(__file__).parent
INCREMENTAL = ("contacts", "deals")

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


class Client:
    """PyAirbyte in processes of its own, with one DuckDB file."""

    def __init__(self, found: Peer, connector: Installed, folder: Path) -> None:
        self._peer = found
        self._connector = connector
        self._folder = folder
        self._database = folder / "cache.duckdb"

    def _run(self, *arguments: str | Path) -> Any:
        environment = {"PATH": os.environ["PATH"], "HOME": str(self._folder), **QUIET}
        command = [self._peer.python, HERE / "pyairbyte_client.py", *arguments]
        done = subprocess.run(
            command, cwd=self._folder, env=environment, capture_output=True, text=True, check=False, timeout=600
        )
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
        return json.loads(done.stdout.splitlines()[-1])

    def read(self, base_url: str) -> int:
        """All streams, with the state that DuckDB holds; how many records came."""
        config = self._folder / "config.json"
        credentials = {"auth_type": "access_token", "access_token": TOKEN}
        config.write_text(json.dumps({"credentials": credentials, "base_url": base_url}))
        brought = self._run("read", self._connector.script, config, self._database, *collections())
        assert isinstance(brought, int)
        return brought

    def query(self, sql: str) -> list[list[Any]]:
        rows = self._run("query", self._database, sql)
        assert isinstance(rows, list)
        return rows


@pytest.fixture(scope="module")
def pyairbyte() -> Peer:
    try:
        return peer(HERE / "pyairbyte.txt")
    except Unavailable as error:
        pytest.skip(str(error))


def test_second_read_brings_only_what_changed(pyairbyte: Peer, tmp_path: Path) -> None:
    client = Client(pyairbyte, installed(DOCUMENT, "sample-crm", tmp_path), tmp_path)
    with serving_sample_crm() as base_url:
        held = collections()
        assert client.read(base_url) == sum(len(records) for records in held.values())
        assert counts(client) == {name: [len(records), len(records)] for name, records in held.items()}

        reached = {name: newest(held[name]) for name in INCREMENTAL}
        later = "2026-06-01T00:00:00Z"
        held["contacts"][4].update(email="moved@example.com", updated_at=later)
        held["contacts"].append({**held["contacts"][0], "id": 102, "updated_at": later})
        held["deals"].append({**held["deals"][0], "id": "deal_9999", "updated_at": later})

        changed = sum(record["updated_at"] >= reached[name] for name in INCREMENTAL for record in held[name])
        again = sum(len(records) for name, records in held.items() if name not in INCREMENTAL)
        assert client.read(base_url) == changed + again
        assert counts(client) == {name: [len(records), len(records)] for name, records in held.items()}
    assert changed == 5  # two contacts and a deal, and the two that stand where the first read ended
    assert client.query("SELECT email FROM crm.contacts WHERE id = 5") == [["moved@example.com"]]


def counts(client: Client) -> dict[str, list[int]]:
    """Of each table: its rows, and its different keys."""
    one = "SELECT '{0}', count(*), count(DISTINCT id) FROM crm.{0}"
    rows = client.query(" UNION ALL ".join(one.format(name) for name in collections()))
    return {name: [total, different] for name, total, different in rows}


def newest(records: list[Record]) -> str:
    return max(str(record["updated_at"]) for record in records)
