"""``python -m tests.benchmarks.skeleton ROLE``: what a pipeline costs with FastStream alone.

As many processes as the product has services, and the same twelve messages a run in the same order, each passed on
by a bare handler: no state, no join, no check, no compare-and-set. The recorder writes every message into SQLite.
"""

from __future__ import annotations

import asyncio
import sqlite3
import sys
from typing import Any

from faststream import FastStream
from faststream.nats import JStream, NatsBroker, NatsMessage, PullSub
from faststream.security import SASLPlaintext
from nats.js.api import ConsumerConfig

from infra.runtime.settings import BusSettings

STREAM = "SKELETON"
RECORDER = "recorder"
STEPS: dict[str, dict[str, str]] = {
    "research": {"submitted": "researched"},
    "generator": {"researched": "generated"},
    "fixtures": {"researched": "simulated"},
    "tester": {"tests_requested": "tested"},
    "test_reviewer": {"tested": "tests_reviewed"},
    "reviewer": {"review_requested": "approved"},
    "publisher": {"publish_requested": "published"},
    "router": {
        "generated": "tests_requested",
        "tests_reviewed": "review_requested",
        "approved": "publish_requested",
        "published": "completed",
    },
}
"""Role -> what it takes in -> what it says then. Twelve messages, eleven of them in a row."""


def subject(run: str, step: str) -> str:
    return f"skeleton.{run}.{step}"


def make_broker(settings: BusSettings, name: str) -> NatsBroker:
    security = SASLPlaintext(settings.nats_user or "", settings.password() or "")
    return NatsBroker(settings.servers, security=security, logger=None, name=name)


def add_step(broker: NatsBroker, role: str) -> None:
    """One durable pull subscriber that passes each message on and lets FastStream acknowledge."""
    steps = STEPS[role]

    @broker.subscriber(
        stream=JStream(STREAM, declare=False),
        durable=role,
        config=ConsumerConfig(filter_subjects=[subject("*", step) for step in steps]),
        pull_sub=PullSub(),
    )
    async def handle(body: dict[str, Any], message: NatsMessage) -> None:
        _, run, step = message.raw_message.subject.split(".")
        await broker.publish(body, subject(run, steps[step]), stream=STREAM, timeout=5)


def add_recorder(broker: NatsBroker, path: str) -> None:
    """Writes what it gets, a batch a transaction, synced."""
    database = sqlite3.connect(path)
    database.execute("PRAGMA journal_mode=WAL")
    database.execute("PRAGMA synchronous=FULL")
    database.execute("CREATE TABLE IF NOT EXISTS event (sequence INTEGER PRIMARY KEY, subject TEXT, body BLOB)")

    @broker.subscriber(
        stream=JStream(STREAM, declare=False),
        durable=RECORDER,
        config=ConsumerConfig(filter_subjects=["skeleton.>"]),
        pull_sub=PullSub(batch=True, batch_size=100, timeout=0.05),
    )
    async def record(bodies: list[dict[str, Any]], message: NatsMessage) -> None:
        rows = [(raw.metadata.sequence.stream, raw.subject, raw.data) for raw in message.raw_message]  # type: ignore[attr-defined]
        with database:
            database.executemany("INSERT OR IGNORE INTO event VALUES (?, ?, ?)", rows)


def main() -> None:
    role, settings = sys.argv[1], BusSettings()
    broker = make_broker(settings, role)
    if role == RECORDER:
        add_recorder(broker, str(settings.data_dir / "skeleton.db"))
    else:
        add_step(broker, role)
    app = FastStream(broker, logger=None)

    @app.after_startup
    async def ready() -> None:
        print("ready", file=sys.stderr, flush=True)

    asyncio.run(app.run())


if __name__ == "__main__":
    main()
