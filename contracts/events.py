"""Every fact of the system: past tense, frozen, versioned.

A fact carries references (`ArtifactRef`), names and counts, never contents. Its subject is
``pipelines.<id>.<noun>.<verb>`` (see `contracts.subjects`); who it answers is in the envelope
(``causation``). To change a field, raise ``VERSION``, add an upcast and a golden file.
"""

from __future__ import annotations

from enum import StrEnum
from typing import ClassVar, Literal

from pydantic import Field, model_validator

from contracts.artifacts import ArtifactRef
from contracts.base import Frozen, PipelineId, Slug
from contracts.policy import Policy


class Engine(StrEnum):
    """Which engine the agents use: deterministic first and Claude for the rest, or one of them alone."""

    AUTO = "auto"
    OFFLINE = "offline"
    CLAUDE = "claude"


class GeneratorMode(StrEnum):
    GENERATE = "GENERATE"
    FIX = "FIX"
    IMPROVE = "IMPROVE"


class TesterMode(StrEnum):
    GENERATE = "GENERATE"
    RERUN = "RERUN"
    FIX = "FIX"


class Verdict(StrEnum):
    """Of the test reviewer: all is well, the code is at fault, or the tests are."""

    VALID_PASS = "VALID_PASS"  # noqa: S105 - a verdict, no password
    VALID_FAIL = "VALID_FAIL"
    INVALID = "INVALID"


class Blame(StrEnum):
    """Of the reviewer: what has to change."""

    CODE = "CODE"
    CONTEXT = "CONTEXT"


Approval = Literal["publish", "budget"]
"""What a person is asked about."""


class Fact(Frozen):
    """Base of all facts. ``TYPE`` is ``<noun>.<verb>``."""

    TYPE: ClassVar[str]
    VERSION: ClassVar[int] = 1


class Decided(Fact):
    """What every decision of the router carries, so that it is never derived again: the policy that was applied
    (`Policy.hash`) and the version of the code that did. Both are empty where a person decided by hand."""

    policy_hash: str = ""
    code_version: str = ""


# --- life of a pipeline -------------------------------------------------------------------------


class PipelineSubmitted(Fact):
    """Somebody asked for a connector. Without ``document`` and ``spec_url`` there must be a model. ``answers`` are
    `RecordedAnswers` of the real API, without credentials."""

    TYPE = "pipeline.submitted"
    VERSION = 3
    name: Slug
    connector_type: Literal["source"] = "source"
    engine: Engine = Engine.AUTO
    document: ArtifactRef | None = None
    spec_url: str | None = None
    policy: Policy = Policy()
    answers: ArtifactRef | None = None


class PipelineCompleted(Decided):
    TYPE = "pipeline.completed"
    outcome: Literal["success", "partial"]
    version: str
    degraded: tuple[str, ...] = ()


class PipelineFailed(Decided):
    TYPE = "pipeline.failed"
    reason: str
    where: str | None = None


class PipelineCancelled(Decided):
    TYPE = "pipeline.cancelled"


class PipelinePaused(Decided):
    TYPE = "pipeline.paused"


class PipelineResumed(Decided):
    TYPE = "pipeline.resumed"


class PipelineCancelRequested(Fact):
    TYPE = "pipeline.cancel_requested"


class PipelinePauseRequested(Fact):
    TYPE = "pipeline.pause_requested"


class PipelineResumeRequested(Fact):
    TYPE = "pipeline.resume_requested"


class PipelineRetryRequested(Fact):
    """``failure`` is the event id of the `agent.failed` whose task is to be tried once more, at once."""

    TYPE = "pipeline.retry_requested"
    failure: str


class PipelineForked(Fact):
    """A new pipeline that shares the first ``at`` facts of ``parent``."""

    TYPE = "pipeline.forked"
    VERSION = 2
    parent: PipelineId
    at: int = Field(ge=1)
    engine: Engine | None = None
    policy: Policy | None = None


# --- what the agents answer ---------------------------------------------------------------------


class ResearchCompleted(Fact):
    """``blueprint`` is an `ApiBlueprint`; ``document`` the bundled document that it was made from."""

    TYPE = "research.completed"
    blueprint: ArtifactRef
    document: ArtifactRef | None = None
    streams: int = Field(ge=1)
    gaps: int = Field(default=0, ge=0)


class ConnectorGenerated(Fact):
    """``code`` is a tree without tests. ``choices`` names the alternatives taken: option key -> rank.
    ``by_model``: a model wrote some of the code, so that it is not what the choices compile to."""

    TYPE = "connector.generated"
    VERSION = 2
    mode: GeneratorMode
    code: ArtifactRef
    choices: dict[str, int] = Field(default_factory=dict)
    degraded: tuple[str, ...] = ()
    by_model: bool = False


class FixturesCreated(Fact):
    """``fixtures`` is a `SimulatedApi`."""

    TYPE = "fixtures.created"
    fixtures: ArtifactRef


class TestsFinished(Fact):
    """What `tests.passed` and `tests.failed` share. ``tests`` is the tree of the package's tests,
    ``report`` a `TestReport` bound to the hashes of what was run."""

    __test__: ClassVar[bool] = False
    mode: TesterMode
    code: ArtifactRef
    fixtures: ArtifactRef
    tests: ArtifactRef
    report: ArtifactRef
    passed: int = Field(ge=0)
    failed: int = Field(ge=0)


class TestsPassed(TestsFinished):
    TYPE = "tests.passed"


class TestsFailed(TestsFinished):
    TYPE = "tests.failed"


class TestsReviewed(Fact):
    """``feedback`` is a `FeedbackList`. Coverage is ``streams_proven`` of all the blueprint's streams."""

    __test__: ClassVar[bool] = False
    TYPE = "tests.reviewed"
    verdict: Verdict
    feedback: ArtifactRef
    streams_proven: int = Field(ge=0)
    streams_total: int = Field(ge=1)
    degraded: tuple[str, ...] = ()
    reason: str


class ReviewApproved(Fact):
    """``report`` is a `ReviewReport`; ``score`` 0 to 100."""

    TYPE = "review.approved"
    report: ArtifactRef
    score: int = Field(ge=0, le=100)


class ReviewRejected(Fact):
    """``critical`` counts critical findings; ``feedback`` is a `FeedbackList`."""

    TYPE = "review.rejected"
    report: ArtifactRef
    score: int = Field(ge=0, le=100)
    blame: Blame
    critical: int = Field(ge=0)
    feedback: ArtifactRef
    reason: str


class ConnectorPublished(Fact):
    """``package`` is the complete tree: code, tests, results, papers. ``wheel`` and ``sdist`` are built from it."""

    TYPE = "connector.published"
    version: str
    package: ArtifactRef
    wheel: ArtifactRef
    sdist: ArtifactRef


class AgentFailed(Fact):
    """An answer too: the task is closed. ``what`` is readable, free of secrets and of traces. Of kind *budget*: the
    task could have spent more than ``budget_usd``, which was the pipeline's budget when the work began."""

    TYPE = "agent.failed"
    VERSION = 2
    service: str
    kind: Literal["transient", "permanent", "budget"]
    what: str
    where: str | None = None
    attempt: int = Field(ge=1)
    budget_usd: float | None = Field(default=None, ge=0)

    @model_validator(mode="after")
    def _budget_is_named(self) -> AgentFailed:
        if (self.kind == "budget") != (self.budget_usd is not None):
            raise ValueError("a failure of kind budget names the budget, and no other does")
        return self


# --- what the router decides --------------------------------------------------------------------


class ResearchRequested(Decided):
    """``feedback`` is a `FeedbackList` of what was found to contradict the blueprint."""

    TYPE = "research.requested"
    feedback: ArtifactRef | None = None
    attempt: int = Field(default=1, ge=1)


class GenerationRequested(Decided):
    TYPE = "generation.requested"
    mode: GeneratorMode
    feedback: ArtifactRef | None = None
    attempt: int = Field(default=1, ge=1)


class FixturesRequested(Decided):
    TYPE = "fixtures.requested"
    attempt: int = Field(default=1, ge=1)


class TestsRequested(Decided):
    __test__: ClassVar[bool] = False
    TYPE = "tests.requested"
    mode: TesterMode
    feedback: ArtifactRef | None = None
    attempt: int = Field(default=1, ge=1)


class TestReviewRequested(Decided):
    __test__: ClassVar[bool] = False
    TYPE = "test_review.requested"
    attempt: int = Field(default=1, ge=1)


class ReviewRequested(Decided):
    TYPE = "review.requested"
    attempt: int = Field(default=1, ge=1)


class PublishRequested(Decided):
    TYPE = "publish.requested"
    outcome: Literal["success", "partial"]
    degraded: tuple[str, ...] = ()
    attempt: int = Field(default=1, ge=1)


class ApprovalRequested(Decided):
    """May it *publish* (as ``outcome``), or may it spend the policy's *budget* once more on model turns?"""

    TYPE = "approval.requested"
    VERSION = 2
    about: Approval = "publish"
    outcome: Literal["success", "partial"] | None = None
    degraded: tuple[str, ...] = ()


class ApprovalGranted(Fact):
    """``request`` is the event id of the `approval.requested` that it answers."""

    TYPE = "approval.granted"
    VERSION = 2
    request: str
    by: str = "user"
    reason: str = ""


class ApprovalDenied(Fact):
    TYPE = "approval.denied"
    request: str
    by: str = "user"
    reason: str = ""


class TimerElapsed(Fact):
    """``timer`` is the event id of the `agent.failed` whose back-off is over."""

    TYPE = "timer.elapsed"
    timer: str


def _concrete(base: type[Fact]) -> list[type[Fact]]:
    found = [base] if "TYPE" in vars(base) else []
    return found + [fact for child in base.__subclasses__() for fact in _concrete(child)]


FACTS: dict[str, type[Fact]] = {fact.TYPE: fact for fact in _concrete(Fact)}
"""Type name -> model, for every fact there is."""

FINAL = frozenset({PipelineCompleted.TYPE, PipelineFailed.TYPE, PipelineCancelled.TYPE})
