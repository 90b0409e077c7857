"""What a connector does when the API fails once: it tries again, or says what happened; no record is lost."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace

from contracts.reports import Check, Outcome
from infra.runtime.simulator import Fault, Seen, Size
from services.tester.conformance.bench import Bench, Run
from services.tester.conformance.binding import Bound
from services.tester.conformance.checks import requests_of, skipped, verdict
from services.tester.conformance.comparison import Comparison
from services.tester.conformance.completeness import compared
from services.tester.conformance.reading import Reading, plan_for, ran_out_of_time, read_all, too_slow

KIND = "failures"
RETRY_AFTER_S = 1
THREE_PAGES = Size(times=2, plus=1)
"""The last one of a single record: it tells as much as a full one, and costs less."""
NOT_OURS = ("transient_error", "system_error")
"""What a failure of the API is, as the protocol has it: nothing that the user could mend in the config."""


@dataclass(frozen=True)
class Trouble:
    """A failure that ends. ``retried``: it must be tried again; of others it is enough to say that they happened.
    ``wait_s``: how long the API asks to be left alone, in words that every client has to understand."""

    case: str
    fault: Fault
    retried: bool = False
    wait_s: float = 0.0

    def struck(self, seen: Seen) -> bool:
        """Whether this is what happened to a request."""
        return seen.fault == self.fault.kind and (self.fault.kind != "status" or seen.status == self.fault.status)


BATCHES = (
    (
        Trouble("500", Fault("status", status=500), True),
        Trouble("broken-json", Fault("bad_json")),
        Trouble("429", Fault("status", status=429, retry_after=RETRY_AFTER_S, lasts_s=0.9), True, 0.9),
    ),
    (
        Trouble("cut-body", Fault("cut")),
        Trouble("429-date", Fault("status", status=429, retry_after="date", lasts_s=0.9), True, 0.9),
    ),
    (
        Trouble("reset", Fault("reset")),
        Trouble("429-rate-limit-headers", Fault("status", status=429, retry_after="reset", lasts_s=0.9), True),
    ),
)
"""One after the other in one read; what lasts comes last, or it would swallow the others of requests side by side.
Few enough for a list that comes at once, where all of them strike attempts of the same request."""

SILENCE = Trouble("time-out", Fault("timeout"))
"""The API takes a request and never answers. As slow as the connector is patient."""


async def judge_troubles(bench: Bench, streams: Sequence[Bound], batch: Sequence[Trouble]) -> list[Check]:
    """The failures of ``batch``, each once in each of ``streams``: in one read, if the connector gets over all of
    them; where it does not, each in a read of its own."""
    checks: list[Check] = []
    again: list[Bound] = []
    for reading in await _read(bench, streams, batch):
        for one in reading.streams:
            comparison = compared(reading.run, one)
            found = [_recovered(reading.run, one, trouble, comparison) for trouble in batch]
            if len(batch) > 1 and any(check.outcome is not Outcome.PASSED for check in found):
                again.append(one)
            else:
                checks += found
    alone = await asyncio.gather(*(judge_troubles(bench, [one], [each]) for one in again for each in batch))
    return [*checks, *(check for found in alone for check in found)]


async def _read(bench: Bench, streams: Sequence[Bound], batch: Sequence[Trouble]) -> list[Reading]:
    return await read_all(
        bench,
        batch[0].case,
        streams,
        lambda some: plan_for(
            bench,
            some,
            THREE_PAGES,
            faults=tuple(_fault(trouble, one, n, batch) for one in some for n, trouble in enumerate(batch)),
        ),
        pages=3,
        waits=True,
    )


def _fault(trouble: Trouble, one: Bound, n: int, batch: Sequence[Trouble]) -> Fault:
    """The ``n``-th fault of its endpoint: one to a page, or one to an attempt where there are no pages. A failure
    by itself strikes the second page, when something was already read."""
    if one.endpoint.position.kind == "none":
        return replace(trouble.fault, endpoint=one.endpoint.key, first=n + 1)
    return replace(trouble.fault, endpoint=one.endpoint.key, first=2 * n + 1 if len(batch) > 1 else 2)


def _recovered(run: Run, one: Bound, trouble: Trouble, comparison: Comparison) -> Check:
    case = trouble.case
    seen = run.asked(one.endpoint.key)
    hit = next((place for place, each in enumerate(seen) if trouble.struck(each)), None)
    if hit is None:
        return skipped(KIND, one.name, case, "it needs too few requests to be struck by this failure")
    if ran_out_of_time(run, one):
        if trouble is SILENCE:
            return skipped(KIND, one.name, case, "it waits longer for an answer than the kit waits for it")
        return too_slow(run, one, case)
    again = next((each for each in seen[hit + 1 :] if same_request(each, seen[hit])), None)
    waited_s = again.at_s - seen[hit].at_s if again else None
    hasty = waited_s is not None and waited_s < trouble.wait_s
    whole = comparison.exact and run.transcript.completed(one.name) and waited_s is not None
    ok = (whole and not hasty) or (not trouble.retried and _says_so(run, one, comparison))
    return verdict(
        ok,
        KIND,
        one.name,
        case,
        f"after one {case}: {_words(comparison, waited_s, hasty)}; the connector {run.ended}. "
        f"{run.transcript.complaint_about(one.name)}",
        observed=f"{comparison.words}; {_reaction(run, one, waited_s)}; {requests_of(run, one)}",
    )


def same_request(one: Seen, other: Seen) -> bool:
    """Searches differ in their bodies only."""
    return (one.path, one.query, one.body) == (other.path, other.query, other.body)


def _says_so(run: Run, one: Bound, comparison: Comparison) -> bool:
    """The read ended as a failure that is rightly classified, and what it gave is right as far as it goes."""
    told = {failure.failure_type for failure in run.transcript.failures if failure.stream in (one.name, None)}
    honest = run.transcript.exit_code not in (0, None) and not run.transcript.completed(one.name)
    return honest and bool(told & {*NOT_OURS}) and not comparison.strange


def _words(comparison: Comparison, waited_s: float | None, hasty: bool) -> str:
    if waited_s is None:
        return f"it never tried again, {comparison.words}"
    return f"it asked again after {waited_s:.1f} s, not {RETRY_AFTER_S} s" if hasty else comparison.words


def _reaction(run: Run, one: Bound, waited_s: float | None) -> str:
    if waited_s is not None:
        return f"tried again after {waited_s:.1f} s"
    kinds = {failure.failure_type for failure in run.transcript.failures if failure.stream in (one.name, None)}
    return f"reported as {', '.join(sorted(map(str, kinds))) or 'nothing'}"
