"""Messages, and what the writer remembers of each pipeline between two batches."""

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


@dataclass(frozen=True)
class Message:
    """One message of the stream; ``event`` is ``None`` where the payload is no envelope."""

    sequence: int
    subject: str
    payload: bytes
    event: Envelope | None

    @classmethod
    def decode(cls, sequence: int, subject: str, payload: bytes) -> Message:
        """The log's readers pass over what is no envelope; it is recorded all the same, for the sequence's sake."""
        try:
            event = Envelope.decode(payload)
        except ValidationError:
            event = None
        return cls(sequence, subject, payload, event)

    @property
    def id(self) -> str | None:
        return self.event.id if self.event else None

    @property
    def pipeline(self) -> str:
        """By the subject: the token that the log's filters go by."""
        return self.subject.split(".", 2)[1]


@dataclass(frozen=True)
class Change:
    """A message, and its pipeline before and after it."""

    message: Message
    before: Folded
    after: Folded


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
