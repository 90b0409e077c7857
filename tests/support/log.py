"""A log of one pipeline in memory, with the rules of the real one: compare-and-set, agents answer once."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime

from contracts import events as e
from contracts.envelope import Envelope, event_id, wrap
from contracts.errors import ConnectorsError
from contracts.pipeline import PipelineState, Task, evolve
from contracts.services import Service
from infra.runtime.agent import Job
from infra.runtime.attempt import failed
from services.router.policy import Decision, decide, elapsed, timers
from tests.support.scripted import Answer

PIPELINE = "0123456789abcdef" * 2
NOW = datetime(2026, 11, 22, tzinfo=UTC)
CODE = "test"


@dataclass
class Log:
    """Facts so far and the state after them."""

    pipeline: str = PIPELINE
    facts: list[Envelope] = field(default_factory=list)
    state: PipelineState = field(default_factory=PipelineState)
    taken: list[Envelope] = field(default_factory=list)
    """The facts that changed more than the position."""

    def put(self, envelope: Envelope) -> bool:
        """Append a fact; whether it changed anything but the position."""
        before, self.state = self.state, evolve(self.state, envelope)
        self.facts.append(envelope)
        changed = self.state != before.model_copy(update={"position": self.state.position})
        if changed:
            self.taken.append(envelope)
        return changed

    def say(
        self, source: Service, fact: e.Fact, *, causation: str | None = None, id: str | None = None
    ) -> Envelope:
        id = id or event_id(self.pipeline, f"fact {len(self.facts)}", source)
        envelope = wrap(fact, id=id, pipeline=self.pipeline, source=source, time=NOW, causation=causation)
        self.put(envelope)
        return envelope

    def answer(self, task: Task, answer: Answer) -> Envelope:
        """What the agent loop does with an agent's answer or error."""
        try:
            fact = answer(self.state, task)
        except ConnectorsError as error:
            fact = failed(task.service, Job(task, self.state), error)
        return self.say(task.service, fact, causation=task.id, id=event_id(self.pipeline, task.id, task.service))

    def decisions(self) -> tuple[Decision, ...]:
        return decide(self.state, self.state.policy, code_version=CODE)

    def append(self, decision: Decision) -> None:
        self.say(Service.ROUTER, decision.fact, causation=decision.causation, id=decision.id)

    def route(self) -> None:
        """The router at work until it has nothing to say; back-offs end at once."""
        while todo := (*self.due(), *self.decisions()):
            self.append(todo[0])

    def due(self) -> list[Decision]:
        fired = (elapsed(self.state, timer.id) for timer in timers(self.state, self.state.policy))
        return [decision for decision in fired if decision]
