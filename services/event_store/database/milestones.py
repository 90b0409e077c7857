"""The state of long pipelines at every `EVERY`-th fact, kept in SQL for the first question after a restart.

A cache and nothing else: the rows follow from the facts beside them, are written in the same transaction, and may
be deleted at any time. Each names the code that folded it, and is read by no other.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pydantic
from pydantic import ValidationError
from sqlalchemy import Connection, Table, and_, delete, select

import contracts
from contracts.envelope import Envelope
from contracts.pipeline import PipelineState
from services.event_store.database.folded import Change
from services.event_store.database.lineage import EVENTS
from services.event_store.database.snapshots import EVERY, Moment
from services.event_store.database.tables import MilestoneRow, PipelineRow
from services.event_store.database.upsert import upsert

MILESTONES: Table = MilestoneRow.__table__  # type: ignore[attr-defined]
PIPELINES: Table = PipelineRow.__table__  # type: ignore[attr-defined]


@functools.cache
def code() -> str | None:
    """A name for the code that folds: a hash of all that `contracts` is made of, since any of it may take part.

    ``None``: its sources are not there, so nobody can tell one version from another. Then nothing is kept.
    """
    folder = Path(contracts.__path__[0])
    sources = sorted(folder.rglob("*.py"))
    if folder / "pipeline.py" not in sources:
        return None
    digest = hashlib.sha256(pydantic.VERSION.encode())
    for source in sources:
        content = source.read_bytes()
        digest.update(f"\n{source.relative_to(folder)} {len(content)}\n".encode() + content)
    return digest.hexdigest()


def keep(connection: Connection, changes: Sequence[Change]) -> None:
    """Write down the states among ``changes`` that are worth it."""
    if (by := code()) is not None:
        upsert(connection, MILESTONES, list(_rows(changes, by)), keep=("pipeline", "position"))


def _rows(changes: Sequence[Change], by: str) -> Iterator[dict[str, Any]]:
    for change in changes:
        after = change.after
        if after.position % EVERY or change.message.event is None or not after.readable:
            continue
        state = after.state.model_dump_json()
        if _whole(state) == after.state:
            where = {"pipeline": change.message.pipeline, "position": after.position, "sequence": after.sequence}
            yield {**where, "code": by, "state": state}


def last(connection: Connection, pipeline: str, *, after: int, upto: int) -> Moment | None:
    """The last one of ``pipeline`` at a position greater than ``after``, at most ``upto``.

    One that does not fit to the facts is passed over. Times are those in the facts themselves, in their own zone.
    """
    if upto - upto % EVERY <= after:
        return None
    begun, ended = EVENTS.alias("begun"), EVENTS.alias("ended")
    row = MILESTONES.c
    same = (ended.c.sequence == row.sequence, ended.c.pipeline == row.pipeline, ended.c.position == row.position)
    times = begun.c.payload.label("begun"), ended.c.payload.label("ended")
    query = (
        select(row.state, row.position, row.sequence, *times)
        .join(ended, and_(*same))
        .join(PIPELINES, PIPELINES.c.id == row.pipeline)
        .join(begun, begun.c.sequence == PIPELINES.c.first_sequence)
        .where(row.pipeline == pipeline, row.position > after, row.position <= upto, row.code == code())
    )
    found = connection.execute(query.order_by(row.position.desc()).limit(1)).first()
    state = _whole(found.state) if found else None
    if found is None or state is None or (state.id, state.position) != (pipeline, found.position):
        return None
    submitted, updated = Envelope.decode(found.begun).time, Envelope.decode(found.ended).time
    return Moment(state, found.sequence, submitted, updated, own=True)


def forget(connection: Connection) -> None:
    """Those of other code: nobody will read them again."""
    connection.execute(delete(MILESTONES).where(MILESTONES.c.code != (code() or "")))


def _whole(state: str) -> PipelineState | None:
    try:
        return PipelineState.model_validate_json(state)
    except ValidationError:
        return None
