"""The copy of a stream beside the log: its messages as they are, without looking into them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Engine, Table, func, insert, select

from contracts import subjects
from infra.runtime.direct import Stored as OnTheBus
from services.event_store.database.tables import LedgerRow
from services.event_store.errors import Gap

LEDGERS: Table = LedgerRow.__table__  # type: ignore[attr-defined]

STREAMS = (subjects.TURNS_STREAM, subjects.DEAD_STREAM)
"""Model turns with accounts and the notes of attempts, and dead letters."""

_OF_THE_MOMENT = ("Nats-Expected-", "Nats-Stream", "Nats-Subject", "Nats-Sequence", "Nats-Time-Stamp", "Nats-Num-")
"""Headers that were about storing or reading the message once, and would be wrong the next time."""


@dataclass(frozen=True)
class Kept:
    """A message as the copy holds it."""

    sequence: int
    subject: str
    payload: bytes
    headers: dict[str, str]


class Ledger:
    """The only writer of the copy of ``stream``. Not for two threads at once."""

    def __init__(self, engine: Engine, stream: str) -> None:
        self._engine = engine
        self.stream = stream

    def last_sequence(self) -> int:
        """0: the copy is empty."""
        query = select(func.max(LEDGERS.c.sequence)).where(LEDGERS.c.stream == self.stream)
        with self._engine.connect() as connection:
            return connection.execute(query).scalar() or 0

    def recorded(self, sequence: int) -> str | None:
        """A short name of the message at ``sequence``; ``None``: the copy has none there."""
        found = self.stored(sequence - 1, 1)
        if not found or found[0].sequence != sequence:
            return None
        return self.mark(found[0].subject, found[0].payload)

    @staticmethod
    def mark(subject: str, payload: bytes) -> str:
        """What `recorded` says of such a message."""
        return f"{subject} ({hashlib.sha256(payload).hexdigest()[:12]})"

    def stored(self, after: int, limit: int) -> list[Kept]:
        """The next ``limit`` messages after sequence ``after``."""
        query = select(LEDGERS).where(LEDGERS.c.stream == self.stream, LEDGERS.c.sequence > after)
        with self._engine.connect() as connection:
            rows = connection.execute(query.order_by(LEDGERS.c.sequence).limit(limit))
            return [Kept(row.sequence, row.subject, row.payload, json.loads(row.headers)) for row in rows]

    def append(self, messages: Sequence[OnTheBus]) -> int:
        """Record the messages that follow on the last one; returns the last sequence of the copy.

        Raises:
            Gap: they do not follow on it. Nothing is written.
        """
        last = self.last_sequence()
        rows = []
        for expected, message in enumerate(messages, start=last + 1):
            if message.sequence != expected:
                raise Gap(expected, message.sequence, self.stream)
            rows.append(self._row(message))
        if rows:
            with self._engine.begin() as connection:
                connection.execute(insert(LEDGERS), rows)
        return last + len(rows)

    def _row(self, message: OnTheBus) -> dict[str, object]:
        headers = {key: value for key, value in message.headers.items() if not key.startswith(_OF_THE_MOMENT)}
        return {
            "stream": self.stream,
            "sequence": message.sequence,
            "subject": message.subject,
            "headers": json.dumps(headers),
            "payload": message.data,
        }


def ledgers(engine: Engine) -> tuple[Ledger, ...]:
    """The copies of all streams beside the log."""
    return tuple(Ledger(engine, stream) for stream in STREAMS)
