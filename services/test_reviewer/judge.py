"""`judge`: whose fault a test run's failures are, and how much of the API is proven. Pure.

The conformance kit is the referee. What it found to fail is the code's. A test of the package that fails where the
kit saw the same behaviour work is wrong itself. What the kit cannot vouch for is the code's, unless a model that
was asked about it says otherwise; of nothing else its opinion is heard.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from contracts.events import Verdict
from contracts.reports import Check, Feedback, FeedbackList, Outcome, TestCase, TestReport
from services.test_reviewer.catalogue import explain

MAX_MESSAGE = 600
MAX_REASON = 300
_CAUSES_SHOWN = 3
_MAX_CAUSE = 80

_COMPLETENESS = "completeness"
_UNREAD_KINDS = frozenset({_COMPLETENESS, "discovery"})
_GOOD_CREDENTIALS = re.compile(r"auth/connector/check(?!-wrong)")
_REFUSED_SUSPECTS = frozenset({"request", "parent"})


@dataclass(frozen=True)
class Judgement:
    """``proven`` of ``total`` streams of the blueprint were read completely; ``degraded`` are all the others.

    ``feedback`` names each failure once: the code's first, then those of the tests.
    """

    verdict: Verdict
    feedback: FeedbackList
    proven: int
    total: int
    degraded: tuple[str, ...]
    reason: str


@dataclass(frozen=True)
class Opinion:
    """What a model says of a failed test: INVALID (the test is wrong) or VALID_FAIL (the code is)."""

    verdict: Verdict
    reason: str


def unvouched(report: TestReport, degraded: Collection[str]) -> tuple[TestCase, ...]:
    """The failed tests that the kit says nothing of, each id once: where an `Opinion` is heard."""
    evidence = Evidence.of(report, degraded, {})
    return tuple({case.id: case for case in report.failed_cases if evidence.says_nothing_of(case)}.values())


def judge(
    report: TestReport,
    streams: Sequence[str],
    degraded: Collection[str],
    *,
    parents: Mapping[str, str] | None = None,
    opinions: Mapping[str, Opinion] | None = None,
) -> Judgement:
    """Judge one test run.

    Args:
        streams: all streams of the blueprint.
        degraded: those that the generator left out; that they are missing is no failure of its own.
        parents: stream -> the stream whose records it is read by.
        opinions: id of a test -> a model's opinion; of tests that are not `unvouched` none is heard.
    """
    names = tuple(dict.fromkeys(streams))
    evidence = Evidence.of(report, degraded, parents or {})
    code = [evidence.about_check(check) for check in report.failed_checks]
    tests: list[Feedback] = []
    for case in report.failed_cases:
        item = evidence.about_case(case, (opinions or {}).get(case.id))
        (tests if item.verdict is Verdict.INVALID else code).append(item)
    if not evidence.answers and not code:
        code.append(Feedback(verdict=Verdict.VALID_FAIL, message="the kit did not see a single thing work"))
    if evidence.answers and not _were_run(report.cases):
        what = f"none of the {len(report.cases)} tests was run" if report.cases else "the package has no tests"
        tests.append(Feedback(verdict=Verdict.INVALID, message=what))
    verdict = Verdict.VALID_FAIL if code else Verdict.INVALID if tests else Verdict.VALID_PASS
    unproven = tuple(name for name in names if name not in evidence.proven)
    items = [*code, *tests] or [evidence.about_unproven(name) for name in unproven if name not in evidence.left_out]
    proven = len(names) - len(unproven)
    return Judgement(
        verdict=verdict,
        feedback=FeedbackList(items=tuple(items)),
        proven=proven,
        total=len(names),
        degraded=unproven,
        reason=_reason(verdict, report, code, tests, unproven, len(names)),
    )


def _were_run(cases: Iterable[TestCase]) -> bool:
    return any(case.outcome is not Outcome.SKIPPED for case in cases)


@dataclass(frozen=True)
class Evidence:
    """What the kit saw.

    ``answers``: at least something worked. ``let_in``: a stream was read, or `check` did not fail with good
    credentials of every kind. ``proven``: streams read completely, with nothing failing; ``readable``: no size of
    them failed to be read; ``unread``: some size did.
    """

    checks: Mapping[str, Check]
    proven: frozenset[str]
    reasons: Mapping[str, str]
    readable: frozenset[str]
    unread: frozenset[str]
    left_out: frozenset[str]
    answers: bool
    let_in: bool
    parents: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, report: TestReport, degraded: Collection[str], parents: Mapping[str, str]) -> Evidence:
        left_out = frozenset(degraded) | frozenset(report.degraded)
        failing = {check.stream for check in report.failed_checks}
        unread = {check.stream for check in report.failed_checks if check.kind in _UNREAD_KINDS}
        refuted = {proof.stream for proof in report.streams if not proof.proven}
        passed = [check for check in report.checks if check.outcome is Outcome.PASSED]
        read = {check.stream for check in passed if check.kind == _COMPLETENESS}
        good_credentials = {check.outcome for check in report.checks if _GOOD_CREDENTIALS.match(check.id)}
        locked = Outcome.FAILED in good_credentials and Outcome.PASSED not in good_credentials
        proven = {proof.stream for proof in report.streams if proof.proven} - refuted - failing - left_out
        return cls(
            checks={check.id: check for check in report.checks},
            proven=frozenset(name for name in proven if name is not None),
            reasons={proof.stream: proof.reason for proof in report.streams if not proof.proven},
            readable=frozenset(name for name in read - unread if name is not None),
            unread=frozenset(name for name in unread if name is not None),
            left_out=left_out,
            answers=bool(passed),
            let_in=bool(read) or not locked,
            parents=parents,
        )

    # --- what has to change ---------------------------------------------------------------------

    def about_check(self, check: Check) -> Feedback:
        """A failed check is the code's."""
        stream, suspects = self._blamed(check.stream, check.suspects)
        seen = f" (seen: {check.observed})" if check.observed else ""
        return _item(Verdict.VALID_FAIL, f"{check.id}: {check.message}{seen}", stream=stream, suspects=suspects)

    def about_case(self, case: TestCase, opinion: Opinion | None) -> Feedback:
        """A failed test of the package is wrong itself if anything vouches for the code, or if the kit says nothing
        of it and ``opinion`` is that it is."""
        words = explain(case.message).words
        failure = f"{words}: {case.message.strip()}" if case.message.strip() else words
        # Why comes before what: it must not be cut off behind a long message.
        if contrary := self._contrary(case):
            return _wrong(case, f"{contrary}; {failure}")
        if opinion is not None and self.says_nothing_of(case):
            failure = f"a model says: {opinion.reason}; {failure}"
            if opinion.verdict is Verdict.INVALID:
                return _wrong(case, failure)
        named = self._failed_check(case)
        stream, suspects = self._blamed(named.stream, named.suspects) if named else self._blamed(case.stream, ())
        message = f"{case.id}: {failure}"
        return _item(Verdict.VALID_FAIL, message, stream=stream, test=case.id, suspects=suspects)

    def says_nothing_of(self, case: TestCase) -> bool:
        """Whether the kit saw neither that this fails nor anything contrary. Where it saw nothing work at all, that
        alone says whose fault it is."""
        return self.answers and self._failed_check(case) is None and self._contrary(case) is None

    def _failed_check(self, case: TestCase) -> Check | None:
        """The check that judges the same behaviour, if it failed."""
        named = self.checks.get(case.confirms or "")
        return named if named is not None and named.outcome is Outcome.FAILED else None

    def about_unproven(self, stream: str) -> Feedback:
        """Nothing failed, but nothing was proven: what the stream asks for is in question."""
        message = f"{stream} is not proven: {self.reasons.get(stream) or 'the kit did not judge it'}"
        return _item(Verdict.VALID_FAIL, message, stream=stream, suspects=("request", "parent"))

    def _contrary(self, case: TestCase) -> str | None:
        """What speaks for the code, against a test that fails."""
        if self._failed_check(case) is not None:
            return None
        named = self.checks.get(case.confirms or "")
        if named is not None and named.outcome is Outcome.PASSED:
            return f"the kit saw {named.id} work" + (f" ({named.observed})" if named.observed else "")
        if case.stream in self.left_out:
            return f"the stream {case.stream} is left out of the connector"
        if self.answers and explain(case.message).of_tests:
            return "the connector itself starts and answers the kit"
        if case.stream in self.proven:
            return f"the kit read {case.stream} completely, at every size"
        return None

    def _blamed(self, stream: str | None, suspects: tuple[str, ...]) -> tuple[str | None, tuple[str, ...]]:
        """Who has to change, ``None`` being the whole connector, and in what.

        A repair takes another option for each stream that is named, or leaves the stream out. So a stream is named
        only where it may be at fault itself: not while nobody is let in, not below a parent that cannot be read,
        and not if it can be read and none of its decisions is suspected.
        """
        if stream is None:
            return None, suspects
        if not self.let_in and _REFUSED_SUSPECTS.issuperset(suspects):
            return None, ("auth",)
        if not suspects and stream in self.readable:
            return None, ()
        root = self._root(stream, suspects)
        return root, suspects if root == stream else ()

    def _root(self, stream: str, suspects: tuple[str, ...]) -> str:
        """The topmost unread parent, if the stream fails in a way that comes from above."""
        seen = {stream}
        root = stream
        above = self.parents.get(stream)
        while suspects[:1] in (("parent",), ("request",)) and above in self.unread and above not in seen:
            seen.add(above)
            root, above = above, self.parents.get(above)
        return root


def _wrong(case: TestCase, why: str) -> Feedback:
    return _item(Verdict.INVALID, f"{case.id} is wrong: {why}", stream=case.stream, test=case.id)


def _item(
    verdict: Verdict,
    message: str,
    *,
    stream: str | None = None,
    test: str | None = None,
    suspects: tuple[str, ...] = (),
) -> Feedback:
    return Feedback(
        verdict=verdict, message=_short(message, MAX_MESSAGE), stream=stream, test=test, suspects=suspects
    )


# --- in words -------------------------------------------------------------------------------------


def _reason(
    verdict: Verdict,
    report: TestReport,
    code: Sequence[Feedback],
    tests: Sequence[Feedback],
    unproven: Sequence[str],
    total: int,
) -> str:
    """One sentence: whose fault, how much fails, how much is proven, and the first causes."""
    counts = (
        f"{len(report.failed_checks)} of {len(report.checks)} checks and {len(report.failed_cases)} of "
        f"{len(report.cases)} tests fail"
    )
    proven = f"{total - len(unproven)} of {total} streams are proven"
    match verdict:
        case Verdict.VALID_FAIL:
            more = f" (of these tests, {len(tests)} are wrong)" if tests and report.failed_cases else ""
            start = f"the code is at fault: {counts}{more}; {proven}"
        case Verdict.INVALID:
            start = f"the tests are at fault, not the code: {counts}; {proven}"
        case Verdict.VALID_PASS:
            start = f"all {len(report.checks)} checks and {len(report.cases)} tests are well; {proven}"
    causes = [_short(item.message, _MAX_CAUSE) for item in (*code, *tests)[:_CAUSES_SHOWN]]
    if not causes and unproven:
        causes = [f"not proven: {', '.join(unproven)}"]
    return _short("; ".join((start, *causes)), MAX_REASON)


def _short(text: str, limit: int) -> str:
    """On one line, at most ``limit`` characters."""
    line = " ".join(text[: 4 * limit].split())
    return line if len(line) <= limit else line[: limit - 3] + "..."
