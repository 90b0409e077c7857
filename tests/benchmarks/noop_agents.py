"""``python -m tests.benchmarks.noop_agents SERVICE``: the real agent loop around an agent that does nothing."""

from __future__ import annotations

import sys
from pathlib import Path

from contracts import events as e
from contracts.artifacts import ArtifactRef
from contracts.services import Service
from infra.runtime.agent import Agent, Job, Tools
from infra.runtime.service import run_agent

CONTENT = b"{}"
REF = ArtifactRef.of(CONTENT, "application/json")
"""What every fact refers to; whoever measures puts it once."""

_TESTED = {"code": REF, "fixtures": REF, "tests": REF, "report": REF, "passed": 9, "failed": 0}

ANSWERS: dict[Service, e.Fact] = {
    Service.RESEARCH: e.ResearchCompleted(blueprint=REF, document=REF, streams=3),
    Service.GENERATOR: e.ConnectorGenerated(mode=e.GeneratorMode.GENERATE, code=REF),
    Service.FIXTURES: e.FixturesCreated(fixtures=REF),
    Service.TESTER: e.TestsPassed(mode=e.TesterMode.GENERATE, **_TESTED),
    Service.TEST_REVIEWER: e.TestsReviewed(
        verdict=e.Verdict.VALID_PASS,
        feedback=REF,
        streams_proven=3,
        streams_total=3,
        reason="all streams are proven",
    ),
    Service.REVIEWER: e.ReviewApproved(report=REF, score=97),
    Service.PUBLISHER: e.ConnectorPublished(version="0.1.0", package=REF, wheel=REF, sdist=REF),
}


def agent(service: Service) -> Agent:
    async def run(job: Job, workspace: Path, tools: Tools) -> e.Fact:
        return ANSWERS[service]

    return Agent(service, run)


if __name__ == "__main__":
    run_agent(agent(Service(sys.argv[1])))
