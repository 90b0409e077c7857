"""From scored candidates to a `Decision`: best first, duplicates merged, deterministic."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

from contracts.blueprint import Candidate, Decision, Evidence

T = TypeVar("T")
HIGH = 0.8
"""From here on an answer may be believed as it stands: the document states it.

Stated is what a rule of OpenAPI says (a schema, a required parameter, a response header), or what two places of
the document say independently: a parameter and the member of the response that feeds it; a list and the path that
goes on behind it with a variable; a filter and the field that it is called like. The one name that everybody gives
the same meaning, ``id``, counts, too.

Below stays what rests on one name (a ``page`` without a size), on the wording of a text, on a likeness of nouns
that others share, on what the rest of the API does, on an undescribed response, and on silence: that no parameter
turns pages does not say that there are none.
"""
GUESS = 0.65
"""Below this an answer is a guess: it is tried, and named as a gap."""
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
