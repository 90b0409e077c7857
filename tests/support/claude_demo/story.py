"""What has to happen in a walk, and what is missing of it. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import zip_longest

from contracts import events as e
from contracts.envelope import Envelope
from tests.support.claude_demo.walk import Walk

STORY = (
    "pipeline.submitted",
    "research.completed",
    "connector.generated GENERATE",
    "tests.requested GENERATE",
    "tests.failed GENERATE",
    "tests.reviewed VALID_FAIL",
    "generation.requested FIX",
    "connector.generated FIX",
    "tests.requested RERUN",
    "tests.failed RERUN",
    "tests.reviewed INVALID",
    "tests.requested FIX",
    "tests.passed FIX",
    "tests.reviewed VALID_PASS",
    "review.requested",
    "review.rejected CODE",
    "generation.requested IMPROVE",
    "connector.generated IMPROVE",
    "tests.requested RERUN",
    "tests.passed RERUN",
    "tests.reviewed VALID_PASS",
    "review.requested",
    "review.approved",
    "publish.requested success",
    "connector.published",
    "pipeline.completed success",
)
"""Every loop of the graph in its order; what fixtures do at the same time as the generator is left out."""


def story_of(facts: Iterable[Envelope]) -> tuple[str, ...]:
    return tuple(label(envelope.fact()) for envelope in facts if envelope.type != e.FixturesCreated.TYPE)


def label(fact: e.Fact) -> str:
    """A fact's type, with what it says first of itself."""
    said = (getattr(fact, name, None) for name in ("mode", "verdict", "blame", "outcome"))
    return " ".join((fact.TYPE, *(str(word) for word in said if word)))


def departure(told: Sequence[str]) -> Iterator[str]:
    """The first fact that is not in the `STORY` as it is told, in words."""
    for at, (went, wanted) in enumerate(zip_longest(told, STORY, fillvalue="its end"), 1):
        if went != wanted:
            yield f"fact {at} is {went}, not {wanted}"
            return


def faults(walk: Walk) -> Iterator[str]:
    """Why the walk is not as it should be, in words."""
    yield from departure(story_of(walk.facts))
    if not walk.equal:
        yield "the connector does not read what the CRM holds"
    asked, kept = len(walk.server.requests), walk.costs.total.turns
    if not asked == kept == len(walk.costs.turns):
        yield f"the server had {asked} requests, the account {kept} turns, the ledger {len(walk.costs.turns)}"
    for request, why in walk.server.refused:
        yield f"the server refused turn {request.turn + 1} of {request.marker}: {why}"
