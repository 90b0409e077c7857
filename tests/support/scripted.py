"""Scripted agents and the table of the graph: the same scenarios run pure and on a real bus."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from contracts import events as e
from contracts.artifacts import ArtifactRef
from contracts.envelope import Envelope
from contracts.errors import BudgetReached, Permanent, Transient
from contracts.pipeline import PipelineState, Status, Task
from contracts.policy import Policy
from contracts.services import Service

STREAMS = 10
TRANSIENT = "the API did not answer"
PERMANENT = "the document has no operations"
BROKE = "the next turn may cost up to 0.50 USD"

Answer = Callable[[PipelineState, Task], e.Fact]
"""What an agent says to a task; may raise as an agent does."""


MEDIA_TYPE = "application/json"
CONTENTS: dict[str, bytes] = {}
"""What the references of this process stand for, by hash."""


def ref(*parts: object) -> ArtifactRef:
    """A reference to content that nobody opens; the same parts give the same reference."""
    content = "/".join(map(str, parts)).encode()
    made = ArtifactRef.of(content, MEDIA_TYPE)
    CONTENTS[made.sha256] = content
    return made


def researched(state: PipelineState, task: Task) -> e.Fact:
    return e.ResearchCompleted(blueprint=ref("blueprint", task.id), document=ref("document"), streams=STREAMS)


def generated(state: PipelineState, task: Task) -> e.Fact:
    return e.ConnectorGenerated(mode=e.GeneratorMode(task.mode or ""), code=ref("code", task.id))


def simulated(state: PipelineState, task: Task) -> e.Fact:
    return e.FixturesCreated(fixtures=ref("fixtures", task.id))


def _tested(fact: type[e.TestsFinished], failed: int) -> Answer:
    def tests(state: PipelineState, task: Task) -> e.Fact:
        assert state.code is not None
        assert state.fixtures is not None
        return fact(
            mode=e.TesterMode(task.mode or ""),
            code=state.code,
            fixtures=state.fixtures,
            tests=ref("tests", task.id),
            report=ref("report", task.id),
            passed=5,
            failed=failed,
        )

    return tests


passed = _tested(e.TestsPassed, 0)
failed = _tested(e.TestsFailed, 2)


def verdict(kind: e.Verdict, proven: int = STREAMS) -> Answer:
    def reviewed(state: PipelineState, task: Task) -> e.Fact:
        return e.TestsReviewed(
            verdict=kind,
            feedback=ref("feedback", task.id),
            streams_proven=proven,
            streams_total=STREAMS,
            degraded=tuple(f"stream_{n}" for n in range(proven, STREAMS)),
            reason=f"{proven} streams were read completely",
        )

    return reviewed


def good(proven: int = STREAMS) -> Answer:
    return verdict(e.Verdict.VALID_PASS, proven)


def bad_code(proven: int = 6) -> Answer:
    return verdict(e.Verdict.VALID_FAIL, proven)


def bad_tests(proven: int = 6) -> Answer:
    return verdict(e.Verdict.INVALID, proven)


def approved(state: PipelineState, task: Task) -> e.Fact:
    return e.ReviewApproved(report=ref("review", task.id), score=95)


def rejected(blame: e.Blame = e.Blame.CODE, critical: int = 0) -> Answer:
    def review(state: PipelineState, task: Task) -> e.Fact:
        return e.ReviewRejected(
            report=ref("review", task.id),
            score=40,
            blame=blame,
            critical=critical,
            feedback=ref("findings", task.id),
            reason="an unused import",
        )

    return review


def published(state: PipelineState, task: Task) -> e.Fact:
    return e.ConnectorPublished(version="0.1.0", package=ref("package"), wheel=ref("wheel"), sdist=ref("sdist"))


def same(answer: Answer) -> Answer:
    """An agent that makes the same whatever it is asked."""
    return lambda state, task: answer(state, task.model_copy(update={"id": "the same"}))


def transient(state: PipelineState, task: Task) -> e.Fact:
    raise Transient(TRANSIENT, where="GET /contacts")


def permanent(state: PipelineState, task: Task) -> e.Fact:
    raise Permanent(PERMANENT, where="#/paths")


def broke(state: PipelineState, task: Task) -> e.Fact:
    raise BudgetReached(BROKE)


HAPPY: dict[Service, Answer] = {
    Service.RESEARCH: researched,
    Service.GENERATOR: generated,
    Service.FIXTURES: simulated,
    Service.TESTER: passed,
    Service.TEST_REVIEWER: good(),
    Service.REVIEWER: approved,
    Service.PUBLISHER: published,
}

Script = Mapping[Service, Sequence[Answer]]


@dataclass
class Cast:
    """Agents that follow a script: the n-th task of a service gets its n-th answer, the rest the happy one.

    A task that is begun a second time gets the same answer again.
    """

    script: Script
    played: dict[Service, list[str]] = field(default_factory=dict)

    def answer(self, state: PipelineState, task: Task) -> e.Fact:
        seen = self.played.setdefault(task.service, [])
        if task.id not in seen:
            seen.append(task.id)
        turn = seen.index(task.id)
        lines = self.script.get(task.service, ())
        return (lines[turn] if turn < len(lines) else HAPPY[task.service])(state, task)


@dataclass(frozen=True)
class Scenario:
    """Given a policy and what the agents say, the router decides exactly this, and the pipeline ends so."""

    name: str
    decisions: str
    status: Status = Status.SUCCESS
    script: Script = field(default_factory=dict)
    policy: Mapping[str, Any] = field(default_factory=dict)
    hold: tuple[Service, str] | None = None
    """This service answers only after a fact of this type is in the log."""
    says: str = ""
    """A part of the reason of a failure."""

    def submitted(self) -> e.PipelineSubmitted:
        return e.PipelineSubmitted(
            name="sample-crm", document=ref("document"), policy=Policy(**{"retry_backoff_s": 0.01, **self.policy})
        )

    @property
    def expected(self) -> list[str]:
        return self.decisions.split()


def spell(envelope: Envelope) -> str:
    """A decision in one word: ``generation:FIX``, ``publish:partial``, ``tests:RERUN#2`` (second attempt)."""
    noun, verb = envelope.type.split(".")
    word = verb if noun == "pipeline" else noun
    detail = envelope.data.get("mode") or envelope.data.get("outcome") or envelope.data.get("about")
    attempt = envelope.data.get("attempt", 1)
    return word + (f":{detail}" if detail else "") + (f"#{attempt}" if attempt > 1 else "")


def decided(log: Sequence[Envelope]) -> list[str]:
    """The router's facts of a history."""
    return [spell(envelope) for envelope in log if envelope.source == Service.ROUTER]


R, G, T, V, W, P, F = (
    Service.RESEARCH,
    Service.GENERATOR,
    Service.TESTER,
    Service.TEST_REVIEWER,
    Service.REVIEWER,
    Service.PUBLISHER,
    Service.FIXTURES,
)
_FIRST = "tests:GENERATE"
_END = "review publish:success completed:success"
_PARTIAL = "review publish:partial completed:partial"
_FIX = "generation:FIX tests:RERUN"
_IMPROVE = "generation:IMPROVE tests:RERUN review"
_STUCK = [same(generated)] * 2
_NOTHING_NEW = [same(researched)] * 2
FAILED, PARTIAL = Status.FAILED, Status.PARTIAL

GRAPH: tuple[Scenario, ...] = (
    Scenario("happy", f"{_FIRST} {_END}"),
    Scenario("code before fixtures", f"{_FIRST} {_END}", hold=(F, "connector.generated")),
    Scenario("fixtures before code", f"{_FIRST} {_END}", hold=(G, "fixtures.created")),
    Scenario("repair code once", f"{_FIRST} {_FIX} {_END}", script={V: [bad_code()]}),
    Scenario("repair code three times", f"{_FIRST} {_FIX} {_FIX} {_FIX} {_END}", script={V: [bad_code()] * 3}),
    Scenario(
        "code stays bad but enough is proven",
        f"{_FIRST} {_FIX} {_FIX} {_FIX} {_PARTIAL}",
        PARTIAL,
        {V: [bad_code(8)] * 4},
    ),
    Scenario(
        "code stays bad, research again, then good",
        f"{_FIRST} {_FIX} {_FIX} {_FIX} research {_FIRST} {_END}",
        script={V: [bad_code(7)] * 4},
    ),
    Scenario(
        "code stays bad after research: counters start anew, then give up",
        f"{_FIRST} {_FIX} {_FIX} {_FIX} research {_FIRST} {_FIX} {_FIX} {_FIX} failed",
        FAILED,
        {V: [bad_code(7)] * 8},
        says="3 code repairs",
    ),
    Scenario("little proven: research first", f"{_FIRST} research {_FIRST} {_END}", script={V: [bad_code(4)]}),
    Scenario(
        "little proven and no research left: code first",
        f"{_FIRST} {_FIX} failed",
        FAILED,
        {V: [bad_code(4)] * 2},
        {"researches": 0, "code_repairs": 1},
        says="4 of 10 streams proven",
    ),
    Scenario("repair tests", f"{_FIRST} tests:FIX {_END}", script={V: [bad_tests()]}),
    Scenario(
        "tests stay bad but enough is proven",
        f"{_FIRST} tests:FIX tests:FIX tests:FIX {_PARTIAL}",
        PARTIAL,
        {V: [bad_tests(9)] * 4},
    ),
    Scenario(
        "tests stay bad",
        f"{_FIRST} tests:FIX tests:FIX tests:FIX failed",
        FAILED,
        {V: [bad_tests(7)] * 4},
        says="3 test repairs",
    ),
    Scenario("partial at the threshold", f"{_FIRST} {_PARTIAL}", PARTIAL, {V: [good(8)]}),
    Scenario(
        "passes with too little: the generator", f"{_FIRST} {_FIX} {_PARTIAL}", PARTIAL, {V: [good(7), good(9)]}
    ),
    Scenario(
        "passes with too little for ever",
        f"{_FIRST} {_FIX} research {_FIRST} {_FIX} failed",
        FAILED,
        {V: [good(7)] * 4},
        {"code_repairs": 1},
        says="7 of 10 streams proven",
    ),
    Scenario(
        "passes with very little: research, then the generator",
        f"{_FIRST} research {_FIRST} {_FIX} {_END}",
        script={V: [good(4), good(4)]},
    ),
    Scenario("improve", f"{_FIRST} review {_IMPROVE} publish:success completed:success", script={W: [rejected()]}),
    Scenario(
        "improve twice, then forced partial",
        f"{_FIRST} review {_IMPROVE} {_IMPROVE} publish:partial completed:partial",
        PARTIAL,
        {W: [rejected()] * 3},
    ),
    Scenario(
        "a critical finding is never published",
        f"{_FIRST} review {_IMPROVE} {_IMPROVE} failed",
        FAILED,
        {W: [rejected(critical=1)] * 3},
        says="an unused import",
    ),
    Scenario(
        "the review blames the context",
        f"{_FIRST} review research {_FIRST} {_END}",
        script={W: [rejected(e.Blame.CONTEXT)]},
    ),
    Scenario(
        "the review blames the context again",
        f"{_FIRST} review research {_FIRST} review {_IMPROVE} publish:success completed:success",
        script={W: [rejected(e.Blame.CONTEXT)] * 2},
    ),
    Scenario(
        "research does not give back review cycles",
        f"{_FIRST} review {_IMPROVE} research {_FIRST} review publish:partial completed:partial",
        PARTIAL,
        {W: [rejected(), rejected(e.Blame.CONTEXT), rejected()]},
        {"review_cycles": 1},
    ),
    Scenario(
        "a repair that changes nothing is not tested: enough is proven",
        f"{_FIRST} generation:FIX {_PARTIAL}",
        PARTIAL,
        {V: [bad_code(8)], G: _STUCK},
    ),
    Scenario(
        "a repair that changes nothing is not tested: research again",
        f"{_FIRST} {_FIX} generation:FIX research {_FIRST} {_END}",
        script={V: [bad_code(7)] * 2, G: [generated, *_STUCK]},
    ),
    Scenario(
        "a repair that changes nothing is not tested: give up",
        f"{_FIRST} generation:FIX failed",
        FAILED,
        {V: [bad_code(7)], G: _STUCK},
        {"researches": 0},
        says="after 1 code repairs, 0 test repairs, 0 review cycles, 0 further researches, the last repair changed "
        "nothing: 7 streams were read completely",
    ),
    Scenario(
        "a repair that changes nothing is not tested: it passes with too little",
        f"{_FIRST} generation:FIX research {_FIRST} {_END}",
        script={V: [good(7)], G: _STUCK},
    ),
    Scenario(
        "a repair after one that changed nothing is asked for by the next verdict",
        f"{_FIRST} generation:FIX review generation:IMPROVE tests:RERUN {_FIX} {_END}",
        script={V: [bad_code(8), bad_code(8)], G: _STUCK, W: [rejected()]},
    ),
    Scenario(
        "an improvement that changes nothing is neither tested nor reviewed",
        f"{_FIRST} review generation:IMPROVE publish:partial completed:partial",
        PARTIAL,
        {W: [rejected()] * 3, G: _STUCK},
    ),
    Scenario(
        "an improvement that changes nothing leaves a critical finding",
        f"{_FIRST} review generation:IMPROVE failed",
        FAILED,
        {W: [rejected(critical=1)] * 3, G: _STUCK},
        says="an unused import",
    ),
    Scenario(
        "a repair that changes nothing is retried first",
        f"{_FIRST} generation:FIX timer generation:FIX#2 {_PARTIAL}",
        PARTIAL,
        {V: [bad_code(8)], G: [_STUCK[0], transient, _STUCK[1]]},
    ),
    Scenario(
        "research that comes to the same is not tested: the generator",
        f"{_FIRST} research {_FIX} {_END}",
        script={V: [bad_code(4)], R: _NOTHING_NEW, F: [same(simulated)] * 2, G: _STUCK},
    ),
    Scenario(
        "neither research nor repair changes anything: one round of tests",
        f"{_FIRST} research generation:FIX failed",
        FAILED,
        {V: [bad_code(4)], R: _NOTHING_NEW, F: [same(simulated)] * 2, G: [same(generated)] * 3},
        says="4 of 10 streams proven",
    ),
    Scenario(
        "research that leaves the code as it was, but not the simulated API",
        f"{_FIRST} research {_FIRST} {_END}",
        script={V: [bad_code(4)], R: _NOTHING_NEW, G: _STUCK},
    ),
    Scenario(
        "an agent recovers",
        f"{_FIRST} timer tests:GENERATE#2 timer tests:GENERATE#3 {_END}",
        script={T: [transient, transient]},
    ),
    Scenario(
        "a repair is retried without using up a round",
        f"{_FIRST} generation:FIX timer generation:FIX#2 tests:RERUN generation:FIX tests:RERUN {_END}",
        script={G: [generated, transient], V: [bad_code(), bad_code()]},
        policy={"code_repairs": 2},
    ),
    Scenario(
        "a recovered failure does not fail a later step",
        f"timer research#2 {_FIRST} timer review#2 publish:success completed:success".replace(
            "timer review#2", "review timer review#2"
        ),
        script={R: [transient], W: [transient]},
        policy={"agent_retries": 1},
    ),
    Scenario(
        "one half of the join is retried",
        f"timer fixtures#2 {_FIRST} {_END}",
        script={F: [transient]},
        hold=(F, "connector.generated"),
    ),
    Scenario(
        "both halves of the join are retried",
        f"timer generation:GENERATE#2 timer fixtures#2 {_FIRST} {_END}",
        script={F: [transient], G: [transient]},
        hold=(F, "timer.elapsed"),
    ),
    Scenario(
        "retries are used up",
        "timer research#2 timer research#3 timer research#4 failed",
        FAILED,
        {R: [transient] * 4},
        says=f"research failed 4 times in a row: {TRANSIENT}",
    ),
    Scenario("a permanent failure", "failed", FAILED, {R: [permanent]}, says=f"research failed: {PERMANENT}"),
    Scenario(
        "a permanent failure late",
        f"{_FIRST} review publish:success failed",
        FAILED,
        {P: [permanent]},
        says="publisher failed",
    ),
)
"""Every edge of the graph. Decisions are spelled by `spell`."""
