"""From scored candidates to a `Decision`: best first, duplicates merged, deterministic."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

from contracts.blueprint import Candidate, Decision, Evidence

T = TypeVar("T")
MAX_OPTIONS = 6


def candidate(value: T, confidence: float, *evidence: Evidence) -> Candidate[T]:
    """A candidate whose confidence is brought into 0.05 to 0.99."""
    return Candidate(value=value, confidence=round(min(max(confidence, 0.05), 0.99), 3), evidence=evidence)


def decide(candidates: Iterable[Candidate[T]]) -> Decision[T]:
    """Rank by confidence; the first of equals wins, and of equal values the better one stays. At least one."""
    ranked: list[Candidate[T]] = []
    for option in sorted(candidates, key=lambda option: -option.confidence):
        if all(option.value != other.value for other in ranked):
            ranked.append(option)
    return decision(ranked[:MAX_OPTIONS])


def decision(options: list[Candidate[T]]) -> Decision[T]:
    """The options in the order given."""
    best, *rest = options
    return Decision(value=best.value, confidence=best.confidence, evidence=best.evidence, alternatives=tuple(rest))
