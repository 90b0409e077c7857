"""Whether a log could have been written by one router alone, however many there were."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from contracts import events as e
from contracts.envelope import Envelope
from contracts.pipeline import PipelineState, evolve
from contracts.services import Service
from services.router.policy import decide, elapsed


def illegal(facts: Sequence[Envelope]) -> Iterator[str]:
    """A line for each id that is there twice, and for each of the router's facts that is not what the policy says
    to the facts before it."""
    seen: set[str] = set()
    state = PipelineState()
    for fact in facts:
        if fact.id in seen:
            yield f"{fact.type} ({fact.id}) is there twice"
        seen.add(fact.id)
        if fact.source == Service.ROUTER:
            legal = {decision.id for decision in decide(state, state.policy, code_version="any")}
            if fact.type == e.TimerElapsed.TYPE and (fired := elapsed(state, fact.data["timer"])):
                legal.add(fired.id)
            if fact.id not in legal:
                yield f"{fact.type} ({fact.id}) of {fact.pipeline} is not what the policy says at that point"
        state = evolve(state, fact)
