"""Plays a pipeline's facts through today's `evolve` and `decide`, and finds where today's would leave the history.

Pure. A decision is appended by compare-and-set, so one that is recorded at position p was made on exactly the p - 1
facts before it: comparing it with what `decide` says to that very state is exact. What agents and people did in
between is taken as given, up to the first difference: what they would have done after it, no log knows (see
`infra/decisions/0011-what-a-replay-can-say.md`).
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from enum import StrEnum
from typing import Any

from contracts import events as e
from contracts.base import Frozen
from contracts.envelope import Envelope
from contracts.pipeline import PipelineState, Status, evolve, open_task
from contracts.policy import Policy
from contracts.services import AGENTS, ROUTER, Service
from services.router.policy import decide, timers

Revise = Callable[[Policy], Policy]
"""The policy of a pipeline -> the one that is tried on it."""

STAMPS = frozenset({"policy_hash", "code_version"})
WORDS = frozenset({"reason", "where"})
"""Told to people: a failure in other words is the same decision."""

_ASIDE = STAMPS | WORDS
_EXCLUDED = set(_ASIDE)
_TODAY = "today"
_DECISIONS = frozenset(fact.TYPE for fact in ROUTER.emits)


class Said(Frozen):
    """What a router says to a state. ``type`` is that of the fact that it appends, ``None`` if it waits; ``data``
    is the fact's, without stamps and words; ``text`` says either in words."""

    type: str | None = None
    data: dict[str, Any] = {}
    text: str

    @property
    def final(self) -> bool:
        return self.type in e.FINAL

    def same(self, other: Said) -> bool:
        return (self.type, self.data) == (other.type, other.data)


class Work(Frozen):
    """What agents did: answers that were taken, how many of them to a repair or a further research, how many to a
    retry, and the seconds between each answer and the fact that asked for it, by the clocks of their writers."""

    steps: int = 0
    rounds: int = 0
    retries: int = 0
    seconds: float = 0.0

    def plus(self, other: Work) -> Work:
        return self.changed({name: value + getattr(other, name) for name, value in vars(self).items()})


class Effect(StrEnum):
    """What can be said of the work after a difference.

    ``SAVED``: today's ends the pipeline there, so the recorded rest would not have been done. ``ADDED``: the
    recorded one ended there, today's asks for at least one step more. ``OPEN``: both go on, each its own way.
    """

    SAVED = "saved"
    ADDED = "added"
    OPEN = "open"


class Compared(Frozen):
    """A recorded decision beside today's, both made on the first ``position`` - 1 facts. ``policy_hash`` and
    ``code_version`` are what the recorded one was made by."""

    position: int
    recorded: Said
    today: Said
    policy_hash: str = ""
    code_version: str = ""

    @property
    def same(self) -> bool:
        return self.recorded.same(self.today)

    @property
    def effect(self) -> Effect:
        if self.today.final:
            return Effect.SAVED
        return Effect.ADDED if self.recorded.final else Effect.OPEN


class Replayed(Frozen):
    """One pipeline, played.

    ``decisions`` were compared, up to ``difference``, the first that is not the same; ``rest`` is the recorded work
    from there on. ``pending`` is what today's router would say now, where the log has nothing yet and
    the recorded policy would say it too. ``status`` is the recorded one, as today's code folds it.
    """

    pipeline: str
    name: str
    status: Status
    facts: int
    decisions: int
    work: Work
    difference: Compared | None = None
    rest: Work = Work()
    pending: Said | None = None


class Play:
    """One pipeline while it is played: give it each fact in order, then ask for the `result`.

    It keeps the state, the ids of decisions and the times of open tasks, no facts. A fork's history begins with
    facts of its parent: they are folded, but they are the parent's to answer for.
    """

    def __init__(self, pipeline: str, revise: Revise | None = None) -> None:
        self.state = PipelineState()
        self.difference: Compared | None = None
        self._pipeline = pipeline
        self._revise = revise
        self._revised: tuple[Policy, Policy] | None = None
        self._seen: set[str] = set()
        self._asked: dict[str, datetime] = {}
        self._facts = 0
        self._work = self._rest = Work()

    def fact(self, envelope: Envelope) -> Compared | None:
        """Fold one more fact; returns the comparison, if it is a decision that can be compared.

        Raises:
            UnknownFact: it is newer than this code.
        """
        own = envelope.pipeline == self._pipeline
        compared = self._compare(envelope) if own and self.difference is None else None
        if compared is not None and not compared.same:
            self.difference = compared
        before, self.state = self.state, evolve(self.state, envelope)
        if own:
            self._facts += 1
            self._account(before, envelope)
        return compared

    def result(self) -> Replayed:
        """What came of it. A difference may also be that today's policy would not wait now."""
        difference = self.difference or self._unrecorded()
        due = self._first(self.policy) if difference is None else None
        return Replayed(
            pipeline=self._pipeline,
            name=self.state.name,
            status=self.state.status,
            facts=self._facts,
            decisions=len(self._seen),
            work=self._work,
            difference=difference,
            rest=self._rest,
            pending=due if due and due.type else None,
        )

    @property
    def policy(self) -> Policy:
        """The one that is tried on the pipeline as it stands."""
        own = self.state.policy
        if self._revise is None:
            return own
        if self._revised is None or self._revised[0] is not own:
            self._revised = (own, self._revise(own))
        return self._revised[1]

    # --- comparing ------------------------------------------------------------------------------

    def _compare(self, envelope: Envelope) -> Compared | None:
        if envelope.type not in _DECISIONS:
            return self._unrecorded()
        fact = envelope.fact()
        by_hand = isinstance(fact, e.Decided) and not fact.policy_hash
        if by_hand or envelope.id in self._seen:
            return None
        self._seen.add(envelope.id)
        recorded = _said(fact)
        today = recorded if self._agrees(fact) else self._first(self.policy)
        stamp = {key: vars(fact).get(key, "") for key in STAMPS}
        return Compared(position=self.state.position + 1, recorded=recorded, today=today, **stamp)

    def _agrees(self, fact: e.Fact) -> bool:
        """Whether today's router may decide the same now; of several decisions that are due, any may be first."""
        if isinstance(fact, e.TimerElapsed):
            return any(timer.id == fact.timer for timer in timers(self.state, self.policy))
        return any(_alike(fact, one.fact) for one in decide(self.state, self.policy, code_version=_TODAY))

    def _unrecorded(self) -> Compared | None:
        """Where the log has no decision, what the recorded router would have said is today's code with the recorded
        policy: the difference is then the policy's alone."""
        if self._revise is None or (policy := self.policy) == self.state.policy:
            return None
        today, recorded = self._first(policy), self._first(self.state.policy)
        if today.same(recorded):
            return None
        return Compared(position=self.state.position + 1, recorded=recorded, today=today)

    def _first(self, policy: Policy) -> Said:
        """The router appends one decision at a time."""
        due = decide(self.state, policy, code_version=_TODAY)
        return _said(due[0].fact) if due else Said(text=_waiting(self.state, policy))

    # --- work -----------------------------------------------------------------------------------

    def _account(self, before: PipelineState, envelope: Envelope) -> None:
        task = open_task(before, envelope.source, envelope.causation) if envelope.source in _AGENTS else None
        if task is not None:
            done = Work(
                steps=1,
                rounds=_is_round(task.service, task.mode, before),
                retries=task.attempt > 1,
                seconds=max(0.0, (envelope.time - self._asked.get(task.id, envelope.time)).total_seconds()),
            )
            self._work = self._work.plus(done)
            if self.difference is not None:
                self._rest = self._rest.plus(done)
        if self.state.tasks is not before.tasks:
            self._asked = {open_.id: self._asked.get(open_.id, envelope.time) for open_ in self.state.tasks}


_AGENTS = frozenset(service.value for service in AGENTS)
_REPAIRS = frozenset({e.GeneratorMode.FIX.value, e.GeneratorMode.IMPROVE.value, e.TesterMode.FIX.value})


def _is_round(service: Service, mode: str | None, state: PipelineState) -> bool:
    return mode in _REPAIRS or (service is Service.RESEARCH and state.counters.researches > 0)


def _alike(one: e.Fact, other: e.Fact) -> bool:
    """Whether they decide the same: equal but for stamps and words."""
    if type(one) is not type(other):
        return False
    theirs = vars(other)
    return all(value == theirs[name] for name, value in vars(one).items() if name not in _ASIDE)


def _said(fact: e.Fact) -> Said:
    data = fact.model_dump(mode="json", exclude=_EXCLUDED)
    return Said(type=fact.TYPE, data=data, text=spell(fact))


def spell(fact: e.Fact) -> str:
    """A decision in a few words: ``generation FIX``, ``publish as partial``, ``research (attempt 2)``."""
    noun, verb = fact.TYPE.split(".")
    asked = vars(fact)
    words = [verb if noun == "pipeline" else noun.replace("_", " ")]
    if mode := asked.get("mode"):
        words.append(str(mode))
    if outcome := asked.get("outcome"):
        words.append(f"as {outcome}")
    if asked.get("about") == "budget":
        words.append("of more budget")
    if asked.get("attempt", 1) > 1:
        words.append(f"(attempt {asked['attempt']})")
    return " ".join(words)


def _waiting(state: PipelineState, policy: Policy) -> str:
    """Why there is nothing to decide."""
    if pending := timers(state, policy):
        waits = {failure.id: failure for failure in state.failures}
        failed = waits[pending[0].id].task
        return f"waits, then {failed.service} again (attempt {failed.attempt + 1})"
    if state.status.final:
        return f"nothing: it ended as {state.status}"
    if state.approval:
        return "waits for approval" + (" of more budget" if state.approval_about == "budget" else "")
    if state.status is Status.PAUSED:
        return "nothing while paused"
    waited = ", ".join(sorted(task.service for task in state.tasks))
    return f"waits for {waited}" if waited else "nothing"
