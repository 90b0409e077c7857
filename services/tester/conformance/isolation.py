"""One stream that always fails: it says so, in the right class, and the others go on."""

from __future__ import annotations

from collections.abc import Sequence

from contracts.reports import Check
from infra.runtime.simulator import Fault
from services.tester.conformance.bench import Bench, Run
from services.tester.conformance.binding import Bound, ancestors
from services.tester.conformance.checks import requests_of, skipped, verdict
from services.tester.conformance.completeness import compared
from services.tester.conformance.reading import bound_of, has_ended, plan_for, too_slow

KIND = "failures"
BESIDE = 3
OF_THE_API = frozenset({"transient_error", "system_error"})
LASTING = frozenset({"config_error", "system_error"})
CLASSES = {401: frozenset({"config_error"}), 403: LASTING, 404: LASTING, 503: OF_THE_API}
"""What an answer may be called. 401 is the user's to mend; a missing right or list may be, or may not."""


async def judge_isolation(
    bench: Bench, victims: Sequence[Bound], streams: Sequence[Bound], status: int
) -> list[Check]:
    """Each of ``victims`` fails in a read of its own, beside some of ``streams``."""
    checks: list[Check] = []
    for bad in victims:
        checks += await _beside(bench, bad, streams, status)
    return checks


async def _beside(bench: Bench, bad: Bound, streams: Sequence[Bound], status: int) -> list[Check]:
    retry_after = 0 if status >= 500 else None
    fault = Fault("status", bad.endpoint.key, times=None, status=status, retry_after=retry_after)
    others = [one for one in streams if _apart(one, bad, bench)][:BESIDE]
    chosen = [bad, *others]
    bound = bound_of(bench, chosen, parents=10)
    run = await bench.read(
        plan_for(bench, chosen, 2, faults=(fault,)), [one.catalog for one in chosen], bound=bound, waits=True
    )
    case = f"always-{status}"
    if not run.asked(bad.endpoint.key):
        return [skipped(KIND, bad.name, case, "its endpoint was never asked")]
    if run.out_of_time:
        return [too_slow(run, one, case) for one in chosen if not has_ended(run, one)]
    return [_fails(run, bad, status), *(_goes_on(run, one, bad, case) for one in others)]


def _apart(one: Bound, bad: Bound, bench: Bench) -> bool:
    """It can be read without the endpoint that fails."""
    above = {*ancestors(one.endpoint, bench.api), *one.reads_first, one.endpoint.key}
    return bad.endpoint.key not in above


def _fails(run: Run, bad: Bound, status: int) -> Check:
    told = {failure.failure_type or "nothing" for failure in run.transcript.failures if failure.stream == bad.name}
    told = told or {failure.failure_type or "nothing" for failure in run.transcript.failures}
    ok = run.finished and run.transcript.exit_code not in (0, None) and not run.transcript.completed(bad.name)
    fitting = CLASSES[status]
    last = (run.transcript.statuses.get(bad.name) or ["missing"])[-1]
    words = ", ".join(sorted(told)) or "nothing"
    return verdict(
        ok and bool(told & fitting),
        KIND,
        bad.name,
        f"always-{status}",
        f"{bad.endpoint.key} always answers {status}, which it calls {words} (it should be one of "
        f"{', '.join(sorted(fitting))}); the stream's status is {last} and the connector {run.ended}",
        observed=f"reported as {words}; {requests_of(run, bad)}",
    )


def _goes_on(run: Run, one: Bound, bad: Bound, case: str) -> Check:
    comparison = compared(run, one)
    return verdict(
        comparison.exact and run.transcript.completed(one.name),
        KIND,
        one.name,
        f"beside-{case}",
        f"while {bad.name} fails: {comparison.words}; the connector {run.ended}",
        observed=requests_of(run, one),
    )
