"""`connectors verify`, from the command line to both copies: every kind of damage is named, at its place."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, text

from contracts import subjects
from contracts.artifacts import ArtifactRef
from contracts.queries import VerifyQuery
from contracts.services import Service
from contracts.turns import Account
from contracts.verification import Kind, Part, VerifyPage
from gateway.settings import Settings
from infra.runtime.bus import Bus
from infra.runtime.nats_server import NatsServer
from infra.runtime.settings import BusSettings
from services.event_store import verify as verifying
from services.event_store.database.engine import open_engine
from tests.support.facts import interleaved, life, pipeline_id
from tests.support.gateway import running_gateway
from tests.support.stack import CONNECTORS, REPO
from tests.support.store import ask, copied, running_store

TREE = {"src/a.py": b"a" * 300_000, "src/b.py": b"b"}
BLOB = ArtifactRef.of(TREE["src/b.py"], "application/octet-stream").sha256


@dataclass(frozen=True)
class Both:
    """A log of 60 facts with its copy, a turn, an account, a dead letter and a tree."""

    bus: Bus
    engine: Engine
    tree: ArtifactRef

    def sql(self, statement: str) -> None:
        with self.engine.begin() as connection:
            connection.execute(text(statement))

    async def verify(self) -> dict[Part, list[tuple[Kind, int, int]]]:
        """All differences by part."""
        found: dict[Part, list[tuple[Kind, int, int]]] = {}
        for part in Part:
            after: str | None = ""
            while after is not None:
                page = await ask(self.bus, "verify", VerifyQuery(part=part, after=after), VerifyPage)
                after = page.next
                for one in page.differences:
                    found.setdefault(part, []).append((one.kind, one.first, one.last))
        return found


@asynccontextmanager
async def both_copies(server: NatsServer, bus: Bus, folder: Path) -> AsyncIterator[Both]:
    tree = await bus.artifacts.put_tree(TREE)
    await bus.js.publish(subjects.turn("task", "request"), json.dumps({"workspace": tree.model_dump()}).encode())
    await bus.js.publish(subjects.account(pipeline_id(1)), Account().model_dump_json().encode())
    await bus.js.publish(subjects.dead("tester", pipeline_id(1)), b"\xff")
    lives = [life(pipeline_id(n), artifact=tree) for n in range(5)]
    for event in interleaved(lives):
        await bus.js.publish(subjects.event(event.pipeline, event.type), event.encode())
    async with running_store(server, folder):
        await copied(bus)
        engine = open_engine(f"sqlite:///{folder / 'events.db'}")
        yield Both(bus, engine, tree)
        engine.dispose()


DAMAGE: dict[str, tuple[Callable[[Both], str], dict[Part, list[tuple[Kind, int, int]]]]] = {
    "nothing": (lambda _: "SELECT 1", {}),
    "facts are missing": (
        lambda _: "DELETE FROM events WHERE sequence IN (20, 21, 60)",
        {Part.EVENTS: [(Kind.MISSING_IN_COPY, 20, 21), (Kind.MISSING_IN_COPY, 60, 60)]},
    ),
    "a fact is another": (
        lambda _: "UPDATE events SET payload = (SELECT payload FROM events WHERE sequence = 8) WHERE sequence = 7",
        {Part.EVENTS: [(Kind.DIFFERENT, 7, 7)]},
    ),
    "facts were invented": (
        lambda _: (
            "INSERT INTO events (sequence, pipeline, previous, subject, payload) "
            "VALUES (61, 'p', 0, 'pipelines.p.a.b', x'00'), (62, 'p', 0, 'pipelines.p.a.b', x'00')"
        ),
        {Part.EVENTS: [(Kind.MISSING_ON_BUS, 61, 62)]},
    ),
    "a turn is another": (
        lambda _: "UPDATE ledgers SET payload = x'00' WHERE stream = 'TURNS' AND sequence = 1",
        {Part.TURNS: [(Kind.DIFFERENT, 1, 1)]},
    ),
    "an account is missing": (
        lambda _: "DELETE FROM ledgers WHERE subject LIKE 'accounts.%'",
        {Part.TURNS: [(Kind.MISSING_IN_COPY, 2, 2)]},
    ),
    "a dead letter is missing": (
        lambda _: "DELETE FROM ledgers WHERE stream = 'DEAD'",
        {Part.DEAD: [(Kind.MISSING_IN_COPY, 1, 1)]},
    ),
    "a named artifact is missing": (
        lambda both: f"DELETE FROM artifacts WHERE sha256 = '{both.tree.sha256}'",
        {
            Part.EVENTS: [(Kind.MISSING_IN_COPY, n, n) for n in (6, 8, 15, 26, 29, 41, 43, 51)],  # once a page
            Part.TURNS: [(Kind.MISSING_IN_COPY, 1, 1)],
        },
    ),
    "a file of a tree is missing": (
        lambda _: f"DELETE FROM artifacts WHERE sha256 = '{BLOB}'",
        {Part.ARTIFACTS: [(Kind.MISSING_IN_COPY, 0, 0)]},
    ),
    "a content is damaged": (
        lambda _: f"UPDATE artifacts SET content = x'00' WHERE sha256 = '{BLOB}'",
        {Part.ARTIFACTS: [(Kind.DAMAGED_IN_COPY, 0, 0)]},
    ),
}


async def test_every_damage_is_named_at_its_place(
    nats_server: NatsServer, bus: Bus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verifying, "PAGE", 7)  # several pages, whose ends fall anywhere
    monkeypatch.setattr(verifying, "BUDGET_S", 0)  # and an answer for each
    async with both_copies(nats_server, bus, tmp_path) as both:
        for name, (damage, expected) in DAMAGE.items():
            with both.engine.begin() as connection:
                for table in ("events", "ledgers", "artifacts"):
                    connection.execute(text(f"CREATE TABLE kept_{table} AS SELECT * FROM {table}"))
            both.sql(damage(both))
            assert (name, await both.verify()) == (name, expected)
            with both.engine.begin() as connection:
                for table in ("events", "ledgers", "artifacts"):
                    connection.execute(text(f"DELETE FROM {table}"))
                    connection.execute(text(f"INSERT INTO {table} SELECT * FROM kept_{table}"))
                    connection.execute(text(f"DROP TABLE kept_{table}"))


async def test_artifact_that_the_object_store_lost_is_named(
    nats_server: NatsServer, bus: Bus, tmp_path: Path
) -> None:
    async with both_copies(nats_server, bus, tmp_path) as both:
        await bus.js.purge_stream("OBJ_ARTIFACTS")
        assert await both.verify() == {Part.ARTIFACTS: [(Kind.MISSING_ON_BUS, 0, 0)] * 3}


async def connectors(*argv: str) -> tuple[int, str]:
    process = await asyncio.create_subprocess_exec(*CONNECTORS, *argv, cwd=REPO, stdout=asyncio.subprocess.PIPE)
    out, _ = await process.communicate()
    return process.returncode or 0, out.decode()


async def test_command_line_says_what_differs_and_exits_with_1(
    nats_server: NatsServer, bus: Bus, bus_settings: BusSettings, tmp_path: Path
) -> None:
    own = nats_server.settings(Service.GATEWAY, bus_settings)
    async with both_copies(nats_server, bus, tmp_path) as both, running_gateway(Settings(), own) as client:
        url = str(client.base_url)
        code, said = await connectors("verify", "--url", url)
        assert code == 0, said
        assert "60 facts: equal" in said
        assert "3 artifacts: equal" in said

        both.sql("DELETE FROM events WHERE sequence = 5")
        code, said = await connectors("verify", "--url", url, "--json")
        lines: list[dict[str, Any]] = [json.loads(line) for line in said.splitlines()]
        assert code == 1
        assert [line["difference"]["first"] for line in lines[:-1]] == [5]
        assert lines[-1] == {
            "checked": {"EVENTS": 60, "TURNS": 2, "DEAD": 1, "ARTIFACTS": 3},
            "differences": {"EVENTS": 1, "TURNS": 0, "DEAD": 0, "ARTIFACTS": 0},
            "same": False,
        }
