"""What a connector does when the API fails once: it tries again, or says what happened; no record is lost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from contracts.reports import Check
from infra.runtime.simulator import Fault, Seen, Size
from services.tester.conformance.bench import Bench, Run
from services.tester.conformance.binding import Bound
from services.tester.conformance.checks import requests_of, skipped, verdict
from services.tester.conformance.comparison import Comparison
from services.tester.conformance.completeness import compared
from services.tester.conformance.reading import Reading, plan_for, ran_out_of_time, read_all, too_slow

KIND = "failures"
RETRY_AFTER_S = 1
MORE_THAN_ONE_PAGE = Size(plus=1)
NOT_OURS = ("transient_error", "system_error")
"""What a failure of the API is, as the protocol has it: nothing that the user could mend in the config."""


@dataclass(frozen=True)
class Trouble:
    """A failure that ends. ``late``: it strikes the second request where there is one, so that a page was already
    read. ``retried``: it must be tried again; of others it is enough to say that they happened. ``wait_s``: how
    long the API asks to be left alone."""

    case: str
    fault: Fault
    late: bool = True
    retried: bool = False
    wait_s: float = 0.0


TROUBLES = (
    Trouble("429", Fault("status", status=429, retry_after=RETRY_AFTER_S, lasts_s=0.9), False, True, 0.9),
    Trouble("429-date", Fault("status", status=429, retry_after="date", lasts_s=0.9), True, True, 0.9),
    Trouble("429-rate-limit-headers", Fault("status", status=429, retry_after="reset", lasts_s=0.9), True, True),
    Trouble("500", Fault("status", status=500), True, True),
    Trouble("broken-json", Fault("bad_json")),
    Trouble("cut-body", Fault("cut")),
    Trouble("reset", Fault("reset")),
)
SILENCE = Trouble("time-out", Fault("timeout"))
"""The API takes a request and never answers. As slow as the connector is patient."""


async def judge_trouble(bench: Bench, streams: Sequence[Bound], trouble: Trouble) -> list[Check]:
    """One failure, once in each of ``streams``."""
    readings = await read_all(
        bench,
        trouble.case,
        streams,
        lambda some: plan_for(bench, some, MORE_THAN_ONE_PAGE, faults=tuple(_struck(trouble, one) for one in some)),
        waits=True,
    )
    return [_recovered(reading, one, trouble) for reading in readings for one in reading.streams]


def _struck(trouble: Trouble, one: Bound) -> Fault:
    """The fault on the stream's endpoint. A list that comes at once has one request only."""
    fault = trouble.fault
    first = 2 if trouble.late and one.endpoint.position.kind != "none" else 1
    return Fault(
        fault.kind,
        one.endpoint.key,
        first=first,
        status=fault.status,
        retry_after=fault.retry_after,
        lasts_s=fault.lasts_s,
    )


def _recovered(reading: Reading, one: Bound, trouble: Trouble) -> Check:
    run, case = reading.run, trouble.case
    seen = run.asked(one.endpoint.key)
    hit = next((place for place, each in enumerate(seen) if each.fault is not None), None)
    if hit is None:
        return skipped(KIND, one.name, case, "it needs too few requests to be struck by this failure")
    if ran_out_of_time(run, one):
        if trouble is SILENCE:
            return skipped(KIND, one.name, case, "it waits longer for an answer than the kit waits for it")
        return too_slow(run, one, case)
    comparison = compared(run, one)
    again = next((each for each in seen[hit + 1 :] if _same(each, seen[hit])), None)
    waited_s = again.at_s - seen[hit].at_s if again else None
    hasty = waited_s is not None and waited_s < trouble.wait_s
    whole = comparison.exact and run.transcript.completed(one.name)
    ok = (whole and not hasty) or (not trouble.retried and _says_so(run, one, comparison))
    return verdict(
        ok,
        KIND,
        one.name,
        case,
        f"after one {case}: {_words(comparison, waited_s, hasty, trouble)}; the connector {run.ended}. "
        f"{run.transcript.complaint_about(one.name)}",
        observed=f"{comparison.words}; {_reaction(run, one, waited_s)}; {requests_of(run, one)}",
    )


def _same(one: Seen, other: Seen) -> bool:
    return (one.path, one.query) == (other.path, other.query)


def _says_so(run: Run, one: Bound, comparison: Comparison) -> bool:
    """The read ended as a failure that is rightly classified, and what it gave is right as far as it goes."""
    told = {failure.failure_type for failure in run.transcript.failures if failure.stream in (one.name, None)}
    honest = run.transcript.exit_code not in (0, None) and not run.transcript.completed(one.name)
    return honest and bool(told & {*NOT_OURS}) and not comparison.strange


def _words(comparison: Comparison, waited_s: float | None, hasty: bool, trouble: Trouble) -> str:
    if waited_s is None:
        return f"it never tried again, {comparison.words}"
    return f"it asked again after {waited_s:.1f} s, not {RETRY_AFTER_S} s" if hasty else comparison.words


def _reaction(run: Run, one: Bound, waited_s: float | None) -> str:
    if waited_s is not None:
        return f"tried again after {waited_s:.1f} s"
    kinds = {failure.failure_type for failure in run.transcript.failures if failure.stream in (one.name, None)}
    return f"reported as {', '.join(sorted(map(str, kinds))) or 'nothing'}"
