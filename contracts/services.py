"""Who there is, and which facts each consumes and emits: permissions, consumers and docs come from here."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from contracts import events as e


class Service(StrEnum):
    RESEARCH = "research"
    GENERATOR = "generator"
    FIXTURES = "fixtures"
    TESTER = "tester"
    TEST_REVIEWER = "test_reviewer"
    REVIEWER = "reviewer"
    PUBLISHER = "publisher"
    ROUTER = "router"
    EVENT_STORE = "event_store"
    GATEWAY = "gateway"


@dataclass(frozen=True)
class Face:
    """The facts that a service takes in and those that it may publish."""

    consumes: tuple[type[e.Fact], ...]
    emits: tuple[type[e.Fact], ...]


AGENTS: dict[Service, Face] = {
    Service.RESEARCH: Face((e.PipelineSubmitted, e.ResearchRequested), (e.ResearchCompleted, e.AgentFailed)),
    Service.GENERATOR: Face((e.ResearchCompleted, e.GenerationRequested), (e.ConnectorGenerated, e.AgentFailed)),
    Service.FIXTURES: Face((e.ResearchCompleted, e.FixturesRequested), (e.FixturesCreated, e.AgentFailed)),
    Service.TESTER: Face((e.TestsRequested,), (e.TestsPassed, e.TestsFailed, e.AgentFailed)),
    Service.TEST_REVIEWER: Face(
        (e.TestsPassed, e.TestsFailed, e.TestReviewRequested), (e.TestsReviewed, e.AgentFailed)
    ),
    Service.REVIEWER: Face((e.ReviewRequested,), (e.ReviewApproved, e.ReviewRejected, e.AgentFailed)),
    Service.PUBLISHER: Face((e.PublishRequested,), (e.ConnectorPublished, e.AgentFailed)),
}
"""The agents. An agent's natural fact and its own ``*.requested`` open the same kind of task."""

_DECISIONS: tuple[type[e.Fact], ...] = (
    e.ResearchRequested,
    e.GenerationRequested,
    e.FixturesRequested,
    e.TestsRequested,
    e.TestReviewRequested,
    e.ReviewRequested,
    e.PublishRequested,
    e.ApprovalRequested,
    e.TimerElapsed,
    e.PipelineCompleted,
    e.PipelineFailed,
    e.PipelineCancelled,
    e.PipelinePaused,
    e.PipelineResumed,
)
ROUTER = Face(consumes=tuple(fact for fact in e.FACTS.values() if fact not in _DECISIONS), emits=_DECISIONS)
"""The router is not woken by its own facts: after each it looks again by itself."""

EVENT_STORE = Face(consumes=tuple(e.FACTS.values()), emits=())
GATEWAY = Face(
    consumes=tuple(e.FACTS.values()),
    emits=(
        e.PipelineSubmitted,
        e.PipelineForked,
        e.PipelineCancelRequested,
        e.PipelinePauseRequested,
        e.PipelineResumeRequested,
        e.PipelineRetryRequested,
        e.ApprovalGranted,
        e.ApprovalDenied,
    ),
)

FACES: dict[Service, Face] = {
    **AGENTS,
    Service.ROUTER: ROUTER,
    Service.EVENT_STORE: EVENT_STORE,
    Service.GATEWAY: GATEWAY,
}
