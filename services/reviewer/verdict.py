"""From findings to a score, and from there to approval or to whose turn it is. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from contracts.blueprint import ApiBlueprint, Gap
from contracts.events import Blame, Verdict
from contracts.reports import Feedback, FeedbackList, Finding, Severity, TestReport

WEIGHTS = {Severity.CRITICAL: 50, Severity.HIGH: 20, Severity.MEDIUM: 5, Severity.LOW: 1}
"""Points that one finding costs, of 100."""

COUNTED_PER_RULE = 4
"""A rule that is broken five hundred times in the same way is one habit: beyond this many it costs nothing more."""

BLOCKING = (Severity.CRITICAL, Severity.HIGH)

_MAX_FEEDBACK = 50
_ORDER = {severity: rank for rank, severity in enumerate(WEIGHTS)}


@dataclass(frozen=True)
class Judgement:
    """``blame`` None is an approval."""

    blame: Blame | None
    reason: str


def score(findings: Iterable[Finding]) -> int:
    """0 to 100: each finding costs by its severity, each rule at most four times."""
    counts = Counter((finding.rule, finding.severity) for finding in findings)
    lost = sum(WEIGHTS[severity] * min(count, COUNTED_PER_RULE) for (_, severity), count in counts.items())
    return max(0, 100 - lost)


def judge(findings: Sequence[Finding], blueprint: ApiBlueprint, report: TestReport, *, min_score: int) -> Judgement:
    """Approve, or say who has to act.

    CODE: a critical or high finding, or a score below ``min_score``. CONTEXT: the code is good, but what it was
    made from lacks something without which no user can read anything (see `essential_gaps`).
    """
    blocking = [finding for finding in findings if finding.severity in BLOCKING]
    reached = score(findings)
    if blocking:
        first = min(blocking, key=lambda finding: _ORDER[finding.severity])
        place = f" in {first.file}" if first.file else ""
        return Judgement(
            Blame.CODE, f"{len(blocking)} blocking findings, first: {first.rule}{place}: {first.message}"
        )
    if reached < min_score:
        return Judgement(Blame.CODE, f"the score is {reached}, below {min_score}")
    if gaps := essential_gaps(blueprint, report):
        return Judgement(Blame.CONTEXT, "; ".join(f"{gap.subject}: {gap.reason}" for gap in gaps))
    return Judgement(None, f"{len(findings)} findings, none blocking; score {reached}")


def essential_gaps(blueprint: ApiBlueprint, report: TestReport) -> tuple[Gap, ...]:
    """Gaps that make the whole connector useless: nobody knows how to log in to an API that wants it.

    Many documents say nothing of authentication, which research names as a gap. Whether the API wants it is not
    for us to guess: the simulated API, inferred from the same document by others, let the connector in or did not.
    """
    if blueprint.auth.value or any(proof.proven for proof in report.streams):
        return ()
    return tuple(gap for gap in blueprint.gaps if gap.subject == "auth")


def feedback(
    findings: Iterable[Finding], judgement: Judgement, blueprint: ApiBlueprint, report: TestReport
) -> FeedbackList:
    """What has to change, worst first: the blocking findings, or all of them if none is; or the gaps."""
    if judgement.blame is Blame.CONTEXT:
        gaps = (
            Feedback(verdict=Verdict.VALID_FAIL, message=f"{gap.subject}: {gap.reason}", suspects=(gap.subject,))
            for gap in essential_gaps(blueprint, report)
        )
        return FeedbackList(items=tuple(gaps))
    ranked = sorted(findings, key=lambda finding: _ORDER[finding.severity])
    chosen = [finding for finding in ranked if finding.severity in BLOCKING] or ranked
    return FeedbackList(items=tuple(_item(finding) for finding in chosen[:_MAX_FEEDBACK]))


def _item(finding: Finding) -> Feedback:
    place = f"{finding.file}:{finding.line}" if finding.file and finding.line else finding.file
    in_tests = finding.file is not None and finding.file.startswith("tests/")
    return Feedback(
        verdict=Verdict.INVALID if in_tests else Verdict.VALID_FAIL,
        message=f"{finding.rule}: {finding.message}" + (f" ({place})" if place else ""),
        stream=finding.stream,
    )
