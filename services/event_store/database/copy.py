"""Writes the log's copy: every message once, in order, without gaps; one transaction a batch."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Connection, Engine, Table, delete, func, insert, select

from contracts import subjects
from contracts.artifacts import ArtifactRef
from contracts.envelope import Envelope, UnknownFact
from contracts.events import PipelineForked
from contracts.lineage import forked
from infra.runtime.log import PREVIOUS
from services.event_store.database import milestones
from services.event_store.database.folded import Change, Folded, Message, Recent
from services.event_store.database.lineage import EVENTS, facts
from services.event_store.database.tables import ArtifactRow, MissingRow, PipelineRow
from services.event_store.database.upsert import upsert
from services.event_store.errors import Diverged, Gap

PIPELINES: Table = PipelineRow.__table__  # type: ignore[attr-defined]
ARTIFACTS: Table = ArtifactRow.__table__  # type: ignore[attr-defined]
MISSING: Table = MissingRow.__table__  # type: ignore[attr-defined]

IDS_A_QUERY = 500


@dataclass(frozen=True)
class Stored:
    """A message as the copy holds it; see `EventRow`."""

    sequence: int
    id: str | None
    pipeline: str
    previous: int
    subject: str
    payload: bytes

    @property
    def headers(self) -> dict[str, str]:
        """Those that the log's readers go by."""
        return {PREVIOUS: str(self.previous), f"{PREVIOUS}-Subject": subjects.history(self.pipeline)}


class Copy:
    """Writes the log's copy, as the only one (`writer_lock`). Not for two threads at once."""

    stream = subjects.EVENTS_STREAM

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._recent = Recent()
        self._last = 0

    def last_sequence(self) -> int:
        """0: the copy is empty."""
        with self._engine.connect() as connection:
            return _last(connection)

    def recorded(self, sequence: int) -> str | None:
        """The id of the fact at ``sequence``; ``None``: the copy has none there."""
        with self._engine.connect() as connection:
            return connection.execute(select(EVENTS.c.id).where(EVENTS.c.sequence == sequence)).scalar()

    @staticmethod
    def mark(subject: str, payload: bytes) -> str | None:
        """What `recorded` says of such a message."""
        return Message.decode(0, subject, payload).id

    def stored(self, after: int, limit: int) -> list[Stored]:
        """The next ``limit`` messages after sequence ``after``, for a refill of the log."""
        columns = [EVENTS.c[name] for name in ("sequence", "id", "pipeline", "previous", "subject", "payload")]
        query = select(*columns).where(EVENTS.c.sequence > after).order_by(EVENTS.c.sequence).limit(limit)
        with self._engine.connect() as connection:
            return [Stored(**row) for row in connection.execute(query).mappings()]

    def append(self, batch: Sequence[Message]) -> int:
        """Record a batch and return the last sequence of the copy. What it holds already is compared and left.

        Raises:
            Gap: ``batch`` does not start right after the last sequence, or has a hole. Nothing is written.
            Diverged: the copy has another fact at one of the sequences. Nothing is written.
        """
        try:
            with self._engine.begin() as connection:
                last = _last(connection)
                if last != self._last:  # another one wrote meanwhile: what is remembered is not the newest
                    self._recent.clear()
                fresh = _continue(connection, batch, last)
                if not fresh:
                    return last
                now: dict[str, Folded] = {}
                for part in _parts(fresh):
                    changes = self._fold(connection, part, now)
                    connection.execute(insert(EVENTS), [_row(change) for change in changes])
                    _summarise(connection, changes)
                    milestones.keep(connection, changes)
        except BaseException:
            self._recent.clear()
            raise
        self._recent.update(now)
        self._last = fresh[-1].sequence
        return self._last

    def refold_unreadable(self) -> int:
        """Newer code may read what older code could not: fold such pipelines again. Returns how many it tried."""
        with self._engine.begin() as connection:
            rows = connection.execute(select(PIPELINES.c.id).where(PIPELINES.c.readable.is_(False))).scalars().all()
            for pipeline in rows:
                values = _summary(_read(connection, pipeline))
                connection.execute(PIPELINES.update().where(PIPELINES.c.id == pipeline).values(**values))
        return len(rows)

    def forget_milestones(self) -> None:
        """Delete the kept states that other code folded."""
        with self._engine.begin() as connection:
            milestones.forget(connection)

    def _fold(self, connection: Connection, part: Iterable[Message], now: dict[str, Folded]) -> list[Change]:
        """What each message changes; ``now`` has each pipeline as this batch left it so far, and is brought on."""
        changes = []
        for message in part:
            name = message.pipeline
            before = now.get(name) or self._recent.get(name) or _read(connection, name)
            if before.position == 0 and message.event is not None:
                before = _inherited(connection, before, message.event)
            now[name] = before.add(message.sequence, message.event)
            changes.append(Change(message, before, now[name]))
        return changes

    # --- artifacts ------------------------------------------------------------------------------

    def lacking(self, hashes: Iterable[str]) -> set[str]:
        """Those of ``hashes`` (sha256) whose content the copy does not have."""
        wanted = sorted(set(hashes))
        have: set[str] = set()
        with self._engine.connect() as connection:
            for start in range(0, len(wanted), IDS_A_QUERY):
                some = wanted[start : start + IDS_A_QUERY]
                query = select(ARTIFACTS.c.sha256).where(ARTIFACTS.c.sha256.in_(some))
                have.update(connection.execute(query).scalars())
        return set(wanted) - have

    def keep(self, contents: Sequence[tuple[ArtifactRef, bytes]]) -> None:
        """Store artifacts; those that are known are left as they are, and none of them is missing any more."""
        rows = [
            {"sha256": ref.sha256, "media_type": ref.media_type, "size": ref.size, "content": content}
            for ref, content in contents
        ]
        with self._engine.begin() as connection:
            upsert(connection, ARTIFACTS, rows, keep=tuple(ARTIFACTS.c.keys()))
            connection.execute(delete(MISSING).where(MISSING.c.sha256.in_([ref.sha256 for ref, _ in contents])))

    def artifacts(self, after: str, limit: int) -> list[ArtifactRef]:
        """The next ``limit`` artifacts whose hash is greater than ``after``, by hash."""
        query = select(ARTIFACTS.c.sha256, ARTIFACTS.c.media_type, ARTIFACTS.c.size)
        query = query.where(ARTIFACTS.c.sha256 > after).order_by(ARTIFACTS.c.sha256).limit(limit)
        with self._engine.connect() as connection:
            return [ArtifactRef(**row) for row in connection.execute(query).mappings()]

    def content(self, sha256: str) -> bytes | None:
        """Of an artifact; ``None``: the copy does not have it."""
        with self._engine.connect() as connection:
            found = connection.execute(select(ARTIFACTS.c.content).where(ARTIFACTS.c.sha256 == sha256)).scalar()
        return None if found is None else bytes(found)

    def mark_missing(self, refs: Iterable[ArtifactRef], sequence: int) -> None:
        """Remember artifacts that the fact at ``sequence`` names and nobody has."""
        rows = [{**ref.model_dump(), "sequence": sequence} for ref in refs]
        with self._engine.begin() as connection:
            upsert(connection, MISSING, rows, keep=tuple(MISSING.c.keys()))

    def missing(self) -> list[tuple[ArtifactRef, int]]:
        """What is still looked for, with the sequence of the first fact that names it."""
        with self._engine.connect() as connection:
            rows = connection.execute(select(MISSING).order_by(MISSING.c.sequence)).mappings()
            return [(ArtifactRef.model_validate(dict(row)), row["sequence"]) for row in rows]


def _last(connection: Connection) -> int:
    return connection.execute(select(func.max(EVENTS.c.sequence))).scalar() or 0


def _continue(connection: Connection, batch: Sequence[Message], last: int) -> list[Message]:
    """What of ``batch`` follows on ``last``; the part before must be equal to the copy."""
    known = [message for message in batch if message.sequence <= last]
    for message in known:
        recorded = connection.execute(select(EVENTS.c.id).where(EVENTS.c.sequence == message.sequence)).scalar()
        if recorded != message.id:
            raise Diverged(message.sequence, str(recorded), str(message.id))
    fresh = list(batch[len(known) :])
    for expected, message in enumerate(fresh, start=last + 1):
        if message.sequence != expected:
            raise Gap(expected, message.sequence)
    return fresh


def _parts(batch: Sequence[Message]) -> Iterator[Sequence[Message]]:
    """``batch`` in order, parted before each fork: what a fork shares must be in the database when it is folded."""
    start = 0
    for number, message in enumerate(batch):
        if number > start and message.event is not None and message.event.type == PipelineForked.TYPE:
            yield batch[start:number]
            start = number
    yield batch[start:]


def _read(connection: Connection, pipeline: str) -> Folded:
    """The pipeline as the copy has it, from the beginning."""
    query = select(EVENTS.c.sequence, EVENTS.c.position, EVENTS.c.payload).where(EVENTS.c.pipeline == pipeline)
    folded = Folded()
    for row in connection.execute(query.order_by(EVENTS.c.sequence)):
        event = None if row.position is None else Envelope.decode(row.payload)
        if folded.position == 0 and event is not None:
            folded = _inherited(connection, folded, event)
        folded = folded.add(row.sequence, event)
    return folded


def _inherited(connection: Connection, folded: Folded, first: Envelope) -> Folded:
    """``folded`` with the facts that the pipeline whose ``first`` fact this is shares with its parent: they move
    its state and its position, but lie at no sequence of its own."""
    shared = Folded()
    try:
        fork = forked(first)
        for row in facts(connection, fork.parent, upto=fork.at) if fork else ():
            shared = shared.add(row.sequence, Envelope.decode(row.payload))
    except UnknownFact:  # the fork, or one that its parent comes from
        shared = replace(shared, readable=False)
    return replace(shared, sequence=folded.sequence)


def _row(change: Change) -> dict[str, Any]:
    message, event = change.message, change.message.event
    return {
        "sequence": message.sequence,
        "id": message.id,
        "pipeline": message.pipeline,
        "position": change.after.position if event else None,
        "previous": change.before.sequence,
        "subject": message.subject,
        "type": event and event.type,
        "dataversion": event and event.dataversion,
        "time": event and event.time,
        "causation": event and event.causation,
        "source": event and event.source,
        "payload": message.payload,
    }


def _summarise(connection: Connection, changes: Sequence[Change]) -> None:
    """One row for each pipeline, of its first and its last fact in the batch."""
    summaries: dict[str, dict[str, Any]] = {}
    latest: dict[str, Folded] = {}
    for change in changes:
        if (event := change.message.event) is None:
            continue
        name, sequence = change.message.pipeline, change.message.sequence
        row = summaries.setdefault(name, {"id": name, "first_sequence": sequence, "submitted": event.time})
        row |= {"last_sequence": sequence, "updated": event.time}
        latest[name] = change.after
    rows = [{**row, **_summary(latest[name])} for name, row in summaries.items()]
    upsert(connection, PIPELINES, rows, keep=("id", "first_sequence", "submitted"))


def _summary(folded: Folded) -> dict[str, Any]:
    state = folded.state
    return {
        "position": folded.position,
        "name": state.name,
        "status": state.status_here.value,
        "engine": state.engine.value,
        "degraded": json.dumps(state.degraded),
        "outcome": state.outcome,
        "version": state.version,
        "reason": state.reason,
        "readable": folded.readable,
    }
