"""What the writer remembers of each pipeline between two batches."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, replace

from pydantic import ValidationError

from contracts.envelope import Envelope, UnknownFact
from contracts.pipeline import PipelineState, evolve

CACHED_PIPELINES = 5_000

_NOTHING = PipelineState()


@dataclass(frozen=True)
class Folded:
    """A pipeline after ``position`` facts, the last message being at ``sequence``.

    ``readable`` false: a fact came that this code does not know; ``state`` is the one before it, and stays so until
    newer code folds anew.
    """

    state: PipelineState = _NOTHING
    position: int = 0
    sequence: int = 0
    readable: bool = True

    def add(self, sequence: int, event: Envelope | None) -> Folded:
        """With one more message; ``None`` stands for one that is no envelope and therefore no fact."""
        if event is None:
            return replace(self, sequence=sequence)
        state, readable = self.state, self.readable
        if readable:
            try:
                state = evolve(state, event)
            except (UnknownFact, ValidationError):
                readable = False
        return Folded(state, self.position + 1, sequence, readable)


class Recent:
    """The most recently changed pipelines, so that a batch need not read their histories again."""

    def __init__(self, size: int = CACHED_PIPELINES) -> None:
        self._size = size
        self._known: OrderedDict[str, Folded] = OrderedDict()

    def get(self, pipeline: str) -> Folded | None:
        return self._known.get(pipeline)

    def update(self, changed: dict[str, Folded]) -> None:
        for pipeline, folded in changed.items():
            self._known[pipeline] = folded
            self._known.move_to_end(pipeline)
        while len(self._known) > self._size:
            self._known.popitem(last=False)

    def clear(self) -> None:
        self._known.clear()
