"""States on the way to the one that was asked for: the next question about a long pipeline starts from there.

Kept in memory: they follow from the facts, and a process folds with one version of the code. Those that outlive a
process are in `milestones`.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Any

from sqlalchemy import Row

from contracts.envelope import Envelope
from contracts.pipeline import PipelineState, fold
from contracts.queries import StateAnswer

EVERY = 500
KEPT = 256


@dataclass(frozen=True)
class Moment:
    """A pipeline after so many facts as its state says, the last of which is at ``sequence``. ``submitted`` is the
    time of the pipeline's own first fact, or of the first that it shares while it has none of its own."""

    state: PipelineState
    sequence: int
    submitted: datetime
    updated: datetime
    own: bool

    def answer(self) -> StateAnswer:
        return StateAnswer(
            state=self.state,
            position=self.state.position,
            sequence=self.sequence,
            submitted=self.submitted,
            updated=self.updated,
        )


class Snapshots:
    """The most recently used moments of all pipelines, one for each `EVERY` facts. For any thread."""

    def __init__(self, kept: int = KEPT) -> None:
        self._kept = kept
        self._moments: OrderedDict[tuple[str, int], Moment] = OrderedDict()
        self._lock = threading.Lock()

    def before(self, pipeline: str, at: int) -> Moment | None:
        """The last one that is known, at position ``at`` or before it."""
        with self._lock:
            for position in range(at - at % EVERY, 0, -EVERY):
                if (moment := self._moments.get((pipeline, position))) is not None:
                    self._moments.move_to_end((pipeline, position))
                    return moment
        return None

    def play(self, pipeline: str, moment: Moment | None, rows: Iterable[Row[Any, Any, Any]]) -> Moment | None:
        """``moment`` (``None``: the beginning) and the facts after it: ``rows`` with sequence and payload.

        Raises:
            UnknownFact: one of the facts is newer than this code.
        """
        remaining = iter(rows)
        position = moment.state.position if moment else 0
        while taken := list(islice(remaining, EVERY - position % EVERY)):
            moment = _moved(pipeline, moment, taken)
            position = moment.state.position
            if position % EVERY == 0:
                self.keep(pipeline, moment)
        return moment

    def keep(self, pipeline: str, moment: Moment) -> Moment:
        with self._lock:
            self._moments[pipeline, moment.state.position] = moment
            self._moments.move_to_end((pipeline, moment.state.position))
            while len(self._moments) > self._kept:
                self._moments.popitem(last=False)
        return moment


def _moved(pipeline: str, moment: Moment | None, rows: Sequence[Row[Any, Any, Any]]) -> Moment:
    """``moment`` and at least one more fact."""
    events = [Envelope.decode(row.payload) for row in rows]
    own = next((event for event in events if event.pipeline == pipeline), None)
    if moment is None:
        submitted = (own or events[0]).time
    else:
        submitted = moment.submitted if moment.own or own is None else own.time
    return Moment(
        state=fold(events, moment.state if moment else None),
        sequence=rows[-1].sequence,
        submitted=submitted,
        updated=events[-1].time,
        own=own is not None or (moment is not None and moment.own),
    )
