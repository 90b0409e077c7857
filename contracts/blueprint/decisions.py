"""What was decided, why, how surely, and what else it could be."""

from __future__ import annotations

from typing import Generic, TypeVar

from pydantic import Field

from contracts.base import Frozen

T = TypeVar("T")

JsonPath = tuple[str, ...]
"""Keys from the root of a JSON value down to a member; ``()`` is the value itself."""


class Evidence(Frozen):
    """Where a decision comes from: a JSON pointer into the document (or a URL), and what it says there."""

    pointer: str
    note: str = ""


class Candidate(Frozen, Generic[T]):
    """One possible answer; ``confidence`` from 0 (a guess) to 1 (stated by the document)."""

    value: T
    confidence: float = Field(ge=0, le=1)
    evidence: tuple[Evidence, ...] = ()


class Decision(Candidate[T], Generic[T]):
    """The best answer and the ranked alternatives to it, next-best first."""

    alternatives: tuple[Candidate[T], ...] = ()

    @property
    def options(self) -> tuple[Candidate[T], ...]:
        return (self, *self.alternatives)

    def chosen(self, rank: int) -> T:
        """The value of the option at ``rank`` (0 is the best)."""
        return self.options[rank].value


class Gap(Frozen):
    """What could not be decided: ``subject`` is an option key or a place in the API."""

    subject: str
    reason: str
    evidence: tuple[Evidence, ...] = ()


class Source(Frozen):
    """A page of the web that a model read: its URL, and what was taken from it."""

    url: str
    taken: str = ""
