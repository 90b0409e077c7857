"""Counts over many answers, and the goals beside them. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from tests.corpus.compare import Answer, Fact

HIGH = 0.8
"""From this confidence on, an answer counts as one that we are sure of."""

GOALS: Mapping[Fact, float] = {
    Fact.PAGINATION: 0.90,
    Fact.KEY: 0.95,
    Fact.RECORDS: 0.95,
    Fact.CURSOR: 0.85,
}
"""Shares of the declared facts that must be right."""

GOAL_HIGH_RIGHT = 0.98
GOAL_RIGHT_HIGH = 0.70

DLT: Mapping[Fact, tuple[int, int]] = {Fact.PAGINATION: (23, 88), Fact.KEY: (44, 114), Fact.PARENT: (5, 40)}
"""What dlt-init-openapi got right, of how many: over all documents with a truth, declared or not."""


@dataclass(frozen=True)
class Tally:
    """Of ``total`` facts."""

    right: int = 0
    wrong: int = 0
    gap: int = 0

    @property
    def total(self) -> int:
        return self.right + self.wrong + self.gap


def tally(answers: Iterable[Answer], fact: Fact | None = None, *, declared: bool | None = None) -> Tally:
    """Count the answers about ``fact`` (``None``: about all); ``declared``: only those that the document states, or
    only the others."""
    verdicts = [a.verdict for a in answers if fact in (None, a.fact) and declared in (None, a.declared)]
    return Tally(verdicts.count("right"), verdicts.count("wrong"), verdicts.count("gap"))


@dataclass(frozen=True)
class Calibration:
    """Of ``answered`` answers with a confidence ``high`` are sure (`HIGH`), and ``high_right`` of those right;
    ``right`` counts all that are right, ``contradicted`` the sure ones that differ from the truth because the
    document does."""

    answered: int
    high: int
    high_right: int
    right: int
    contradicted: int


def calibration(answers: Iterable[Answer]) -> Calibration:
    """How far confidences may be believed: over everything answered. What is not there has no confidence; that a
    stream has no parent is no answer either, or it would count more than all others together."""
    given = [answer for answer in answers if answer.confidence is not None]
    high = [answer for answer in given if answer.confidence is not None and answer.confidence >= HIGH]
    return Calibration(
        answered=len(given),
        high=len(high),
        high_right=sum(answer.verdict == "right" for answer in high),
        right=sum(answer.verdict == "right" for answer in given),
        contradicted=sum(answer.contradicted for answer in high),
    )
