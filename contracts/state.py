"""What is true of a pipeline after so many facts: the shapes that `contracts.pipeline` folds into."""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

from pydantic import AwareDatetime, Field

from contracts.artifacts import ArtifactRef
from contracts.base import Frozen
from contracts.events import Approval, Blame, Engine, Verdict
from contracts.policy import Policy
from contracts.services import Service


class Status(StrEnum):
    """``IMPORTED`` is only shown (`PipelineState.status_here`), never folded."""

    RUNNING = "running"
    PAUSED = "paused"
    SUCCESS = "success"
    PARTIAL = "partial"
    FAILED = "failed"
    CANCELLED = "cancelled"
    IMPORTED = "imported"

    @property
    def final(self) -> bool:
        return self not in _OPEN


_OPEN = frozenset({Status.RUNNING, Status.PAUSED})


class Task(Frozen):
    """An open obligation: ``service`` owes an answer to the fact whose event id is ``id``.

    ``mode`` is the agent's mode where it has one; ``attempt`` counts from 1 over transient failures; ``feedback``
    is what the request asked it to heed. A ``stale`` task was left by a pause or comes from a fork's parent: the
    router requests it anew, which replaces it; no agent starts it. ``ledger`` names the ledger of its model turns:
    the id of the first of all tasks that this one goes on with.
    """

    id: str
    ledger: str = Field(default_factory=lambda data: data["id"])
    service: Service
    mode: str | None = None
    attempt: int = 1
    feedback: ArtifactRef | None = None
    stale: bool = False


class Failure(Frozen):
    """An `agent.failed` that the router has not answered yet; ``id`` is its event id and the name of its timer.

    ``task`` is what failed, ``time`` when it was told, ``elapsed`` whether the back-off is over, ``retry_wanted``
    whether a person asked for another attempt, whatever the policy says, or granted the money for it.
    ``budget_usd`` is the budget that was reached, of a failure of that kind.
    """

    id: str
    task: Task
    kind: Literal["transient", "permanent", "budget"]
    what: str
    where: str | None = None
    budget_usd: float = 0.0
    time: AwareDatetime
    elapsed: bool = False
    retry_wanted: bool = False


class Choice(Frozen):
    """A fact that leaves a choice, which only a decision closes (its ``causation`` is ``id``).

    ``fact`` is the type of that fact, ``reason`` its own words; ``blame`` and ``critical`` are a review's,
    ``about`` is an approval's.
    ``unchanged``: the choice is open a second time, because the repair that it asked for left everything as it was.
    """

    id: str
    fact: str
    reason: str = ""
    about: Approval = "publish"
    blame: Blame | None = None
    critical: int = 0
    unchanged: bool = False


class Counters(Frozen):
    """Rounds decided so far. A request moves them; answers, retries and resumes never do."""

    test_repairs: int = 0
    code_repairs: int = 0
    review_cycles: int = 0
    researches: int = 0


class Coverage(Frozen):
    """How many of the blueprint's streams were proven by the last reviewed test run."""

    proven: int
    total: int

    def reaches(self, percent: int) -> bool:
        return self.proven * 100 >= percent * self.total

    @property
    def percent(self) -> int:
        return self.proven * 100 // self.total


class Judged(Frozen):
    """The last verdict: what it is about, what was found, and the ``choice`` that it left. Its fields are called as
    in the state. Tests and reviews of the same would find the same."""

    blueprint: ArtifactRef | None
    code: ArtifactRef | None
    fixtures: ArtifactRef | None
    tests: ArtifactRef | None
    test_report: ArtifactRef | None
    verdict: Verdict | None
    coverage: Coverage | None
    unproven: tuple[str, ...]
    review_report: ArtifactRef | None
    score: int | None
    feedback: ArtifactRef | None
    choice: Choice


class PipelineState(Frozen):
    """What is true after ``position`` facts (1..n). All references are the newest ones.

    ``tasks``, ``failures``, ``choice`` and ``approval`` (the id of the `approval.requested` that waits for a
    person, ``approval_about`` what it is about) are what is open; a final state has none. ``budget_grants`` counts
    how often a person has granted more budget. ``degraded`` names the streams that the generator left out,
    ``unproven`` those that the last test run did not prove. ``judged`` is kept when a new research begins, for it
    may come to the same. ``pause_wanted`` is a level, set by ``command`` (an event id); ``cancel`` is the id of the
    request to cancel; ``commands`` the last ids of pauses and resumes. A fork shares the first ``forked_at`` facts
    of ``parent``; ``generation`` counts its ancestors. ``imported``: a copy of what happened elsewhere, in which
    nothing is to be done here. ``code_by_model``: a model wrote some of ``code``.
    """

    id: str = ""
    position: int = 0
    status: Status = Status.RUNNING
    name: str = ""
    engine: Engine = Engine.AUTO
    policy: Policy = Policy()
    document: ArtifactRef | None = None
    spec_url: str | None = None
    answers: ArtifactRef | None = None
    tasks: tuple[Task, ...] = ()
    failures: tuple[Failure, ...] = ()
    choice: Choice | None = None
    approval: str | None = None
    approval_about: Approval | None = None
    budget_grants: int = 0
    counters: Counters = Counters()
    blueprint: ArtifactRef | None = None
    streams: int = 0
    gaps: int = 0
    code: ArtifactRef | None = None
    code_by_model: bool = False
    choices: dict[str, int] = {}
    degraded: tuple[str, ...] = ()
    fixtures: ArtifactRef | None = None
    tests: ArtifactRef | None = None
    test_report: ArtifactRef | None = None
    verdict: Verdict | None = None
    coverage: Coverage | None = None
    unproven: tuple[str, ...] = ()
    review_report: ArtifactRef | None = None
    score: int | None = None
    feedback: ArtifactRef | None = None
    judged: Judged | None = None
    outcome: Literal["success", "partial"] | None = None
    version: str | None = None
    package: ArtifactRef | None = None
    wheel: ArtifactRef | None = None
    sdist: ArtifactRef | None = None
    reason: str | None = None
    pause_wanted: bool = False
    command: str | None = None
    commands: tuple[str, ...] = ()
    cancel: str | None = None
    parent: str | None = None
    forked_at: int | None = None
    generation: int = 0
    imported: bool = False

    @property
    def budget_usd(self) -> float:
        """What may be spent on model turns in all."""
        return self.policy.budget_after(self.budget_grants)

    @property
    def status_here(self) -> Status:
        """What to show: an open pipeline whose history was imported is at work elsewhere, if at all."""
        return Status.IMPORTED if self.imported and not self.status.final else self.status
