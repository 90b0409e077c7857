"""One readable line per fact: what a person sees while a pipeline runs. Pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from contracts import events as e

Tone = Literal["plain", "good", "bad", "wait"]


@dataclass(frozen=True)
class Line:
    """``actor`` did ``text``; ``tone`` chooses the colour."""

    actor: str
    text: str
    tone: Tone = "plain"


def _plural(count: int, thing: str) -> str:
    return f"{count} {thing}" if count == 1 else f"{count} {thing}s"


def _degraded(streams: tuple[str, ...]) -> str:
    return f", degraded: {', '.join(streams)}" if streams else ""


def _research(fact: e.ResearchCompleted) -> Line:
    gaps = f", {_plural(fact.gaps, 'named gap')}" if fact.gaps else ""
    return Line("research", f"{_plural(fact.streams, 'stream')}{gaps}", "good")


def _generated(fact: e.ConnectorGenerated) -> Line:
    changed = f", {_plural(len(fact.choices), 'alternative')} taken" if fact.choices else ""
    by = " with a model" if fact.by_model else ""
    return Line(
        "generator", f"{fact.mode}: the connector is written{by}{changed}{_degraded(fact.degraded)}", "good"
    )


def _finished(fact: e.TestsFinished) -> Line:
    if fact.failed:
        return Line("tester", f"{fact.mode}: {fact.failed} of {fact.passed + fact.failed} tests failed", "bad")
    return Line("tester", f"{fact.mode}: {_plural(fact.passed, 'test')} passed", "good")


def _reviewed(fact: e.TestsReviewed) -> Line:
    tone: Tone = "good" if fact.verdict is e.Verdict.VALID_PASS else "bad"
    return Line("test_reviewer", f"{fact.verdict}: {fact.reason}", tone)


def _failed(fact: e.AgentFailed) -> Line:
    where = f" (at {fact.where})" if fact.where else ""
    if fact.budget_usd is not None:
        return Line(fact.service, f"stops at the budget of {fact.budget_usd:,.2f} USD: {fact.what}{where}", "wait")
    return Line(fact.service, f"{fact.kind} failure, attempt {fact.attempt}: {fact.what}{where}", "bad")


def _approval(fact: e.ApprovalRequested) -> str:
    return "spend more on model turns" if fact.about == "budget" else f"publish as {fact.outcome}"


def _ended(fact: e.PipelineFailed) -> Line:
    return Line("pipeline", f"failed: {fact.reason}" + (f" (at {fact.where})" if fact.where else ""), "bad")


_READERS: dict[type[e.Fact], Callable[..., Line]] = {
    e.PipelineSubmitted: lambda fact: Line("gateway", f"accepted {fact.connector_type}-{fact.name}"),
    e.PipelineForked: lambda fact: Line("gateway", f"forked from {fact.parent} after {_plural(fact.at, 'fact')}"),
    e.ResearchCompleted: _research,
    e.ConnectorGenerated: _generated,
    e.FixturesCreated: lambda _: Line("fixtures", "the simulated API is built", "good"),
    e.TestsPassed: _finished,
    e.TestsFailed: _finished,
    e.TestsReviewed: _reviewed,
    e.ReviewApproved: lambda fact: Line("reviewer", f"approved, score {fact.score}", "good"),
    e.ReviewRejected: lambda fact: Line("reviewer", f"rejected ({fact.blame}): {fact.reason}", "bad"),
    e.ConnectorPublished: lambda fact: Line("publisher", f"version {fact.version} is published", "good"),
    e.AgentFailed: _failed,
    e.ResearchRequested: lambda _: Line("router", "research again", "wait"),
    e.GenerationRequested: lambda fact: Line("router", f"generator: {fact.mode}", "wait"),
    e.FixturesRequested: lambda _: Line("router", "fixtures again", "wait"),
    e.TestsRequested: lambda fact: Line("router", f"tester: {fact.mode}", "wait"),
    e.TestReviewRequested: lambda _: Line("router", "judge the tests again", "wait"),
    e.ReviewRequested: lambda _: Line("router", "review", "wait"),
    e.PublishRequested: lambda fact: Line("router", f"publish as {fact.outcome}{_degraded(fact.degraded)}", "wait"),
    e.ApprovalRequested: lambda fact: Line("router", f"waits for approval to {_approval(fact)}", "wait"),
    e.PipelineCompleted: lambda fact: Line(
        "pipeline",
        f"{fact.outcome}, version {fact.version}{_degraded(fact.degraded)}",
        "good" if fact.outcome == "success" else "wait",
    ),
    e.PipelineFailed: _ended,
    e.PipelineRetryRequested: lambda _: Line("gateway", "the failed step is to be tried once more", "wait"),
}


def describe(fact: e.Fact) -> Line:
    """The line for a fact; facts without a reader of their own are told by their type."""
    reader = _READERS.get(type(fact))
    return reader(fact) if reader else Line(fact.TYPE.split(".")[0], fact.TYPE.replace("_", " ").replace(".", " "))
