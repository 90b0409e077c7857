"""Whole lives of pipelines as messages of the log, for tests of what stores and shows them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta

from contracts import events as e
from contracts import subjects
from contracts.artifacts import ArtifactRef
from contracts.envelope import Envelope, event_id, wrap
from contracts.services import Service

START = datetime(2026, 11, 22, 12, tzinfo=UTC)
DECIDED = {"policy_hash": "0" * 12, "code_version": "test"}


def pipeline_id(number: int) -> str:
    return f"{number:032x}"


def life(pipeline: str, *, name: str = "acme", artifact: ArtifactRef | None = None) -> list[Envelope]:
    """The twelve facts of a pipeline that succeeds at once; ``artifact`` stands for everything it makes."""
    ref = artifact or ArtifactRef.of(b"{}", "application/json")
    finished = {"mode": "GENERATE", "code": ref, "fixtures": ref, "tests": ref, "report": ref}
    steps: Sequence[tuple[Service, e.Fact, int | None]] = (
        (Service.GATEWAY, e.PipelineSubmitted(name=name, spec_url="https://api.example.com/openapi.json"), None),
        (Service.RESEARCH, e.ResearchCompleted(blueprint=ref, document=ref, streams=3), 0),
        (Service.GENERATOR, e.ConnectorGenerated(mode=e.GeneratorMode.GENERATE, code=ref), 1),
        (Service.FIXTURES, e.FixturesCreated(fixtures=ref), 1),
        (Service.ROUTER, e.TestsRequested(mode=e.TesterMode.GENERATE, **DECIDED), 3),
        (Service.TESTER, e.TestsPassed(**finished, passed=9, failed=0), 4),
        (
            Service.TEST_REVIEWER,
            e.TestsReviewed(
                verdict=e.Verdict.VALID_PASS, feedback=ref, streams_proven=3, streams_total=3, reason="all proven"
            ),
            5,
        ),
        (Service.ROUTER, e.ReviewRequested(**DECIDED), 6),
        (Service.REVIEWER, e.ReviewApproved(report=ref, score=97), 7),
        (Service.ROUTER, e.PublishRequested(outcome="success", **DECIDED), 8),
        (Service.PUBLISHER, e.ConnectorPublished(version="0.1.0", package=ref, wheel=ref, sdist=ref), 9),
        (Service.ROUTER, e.PipelineCompleted(outcome="success", version="0.1.0"), 10),
    )
    facts: list[Envelope] = []
    for number, (source, fact, cause) in enumerate(steps):
        causation = None if cause is None else facts[cause].id
        facts.append(
            wrap(
                fact,
                id=event_id(pipeline, causation or "submit", f"{source}/{fact.TYPE}"),
                pipeline=pipeline,
                source=source,
                time=START + timedelta(seconds=number),
                causation=causation,
            )
        )
    return facts


def interleaved(lives: Sequence[Sequence[Envelope]]) -> Iterator[Envelope]:
    """First facts of all, then second facts of all, ..."""
    for step in zip(*lives, strict=True):
        yield from step


def subject(event: Envelope) -> str:
    return subjects.event(event.pipeline, event.type)
