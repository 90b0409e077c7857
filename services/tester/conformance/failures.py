"""What a connector does when the API fails for once, for ever, or never comes to an end."""

from __future__ import annotations

from collections.abc import Sequence

from contracts.reports import Check
from infra.runtime.simulator import Fault, Size
from infra.runtime.simulator.plan import FaultKind
from services.tester.conformance.bench import Bench, Run
from services.tester.conformance.binding import Bound, ancestors
from services.tester.conformance.checks import failed, requests_of, skipped, suspects_of, verdict
from services.tester.conformance.completeness import bound_of, compared, plan_for

PAGES = 2
RETRY_AFTER_S = 1
MORE_THAN_ONE_PAGE = Size(plus=1)


async def judge_recovery(bench: Bench, streams: Sequence[Bound]) -> list[Check]:
    """One 429 with Retry-After, one 500: nothing is lost, and the wait is kept. Each strikes a stream of its own,
    where there are enough."""
    able = [one for one in streams if one.endpoint.position.kind != "none"] or list(streams)
    first, second = able[0], able[-1]
    struck = {"429": first, "500": second}
    on_page_two = 2 if second.endpoint.position.kind != "none" else 1
    faults = (
        Fault("status", first.endpoint.key, first=1, status=429, retry_after=RETRY_AFTER_S),
        Fault("status", second.endpoint.key, first=on_page_two + (first is second), status=500),
    )
    chosen = list({one.name: one for one in (first, second)}.values())
    plan = plan_for(bench, chosen, MORE_THAN_ONE_PAGE, faults=faults)
    run = await bench.read(plan, [one.catalog for one in chosen], bound=bound_of(bench, chosen), waits=True)
    return [_recovered(run, one, case) for case, one in struck.items()]


def _recovered(run: Run, one: Bound, case: str) -> Check:
    seen = run.asked(one.endpoint.key)
    hits = [place for place, each in enumerate(seen) if each.fault == "status" and str(each.status) == case]
    if not hits:
        return skipped("failures", one.name, case, "it needs too few requests to be struck by this failure")
    comparison = compared(run, one)
    after = seen[hits[0] + 1 :]
    waited_s = after[0].at_s - seen[hits[0]].at_s if after else 0.0
    hasty = case == "429" and bool(after) and waited_s < RETRY_AFTER_S * 0.9
    ok = comparison.exact and run.transcript.completed(one.name) and not hasty
    reason = f"it asked again after {waited_s:.1f} s, not {RETRY_AFTER_S} s" if hasty else comparison.words
    return verdict(
        ok,
        "failures",
        one.name,
        case,
        f"after one {case}: {reason}; the connector {run.ended}. {run.transcript.complaint_about(one.name)}",
        observed=f"{comparison.words}; {requests_of(run, one)}",
    )


async def judge_isolation(bench: Bench, streams: Sequence[Bound], status: int) -> list[Check]:
    """One stream that always fails: it says so, the others go on, and the exit code tells."""
    parents = {key for one in streams for key in ancestors(one.endpoint, bench.api)}
    bad = next((one for one in streams if one.endpoint.key not in parents), streams[-1])
    others = [one for one in streams if one.endpoint.key != bad.endpoint.key and one is not bad]
    retry_after = 0 if status >= 500 else None
    fault = Fault("status", bad.endpoint.key, times=None, status=status, retry_after=retry_after)
    chosen = [bad, *others[:3]]
    plan = plan_for(bench, chosen, 2, faults=(fault,))
    bound = bound_of(bench, chosen, parents=10)
    run = await bench.read(plan, [one.catalog for one in chosen], bound=bound, waits=True)
    case = f"always-{status}"
    if not run.asked(bad.endpoint.key):
        return [skipped("failures", bad.name, case, "its endpoint was never asked")]
    checks = [
        verdict(
            run.finished and run.transcript.exit_code not in (0, None) and not run.transcript.completed(bad.name),
            "failures",
            bad.name,
            case,
            f"{bad.endpoint.key} always answers {status}, but the stream's status is "
            f"{(run.transcript.statuses.get(bad.name) or ['missing'])[-1]} and the connector {run.ended}",
            observed=requests_of(run, bad),
        )
    ]
    for one in others[:3]:
        comparison = compared(run, one)
        checks.append(
            verdict(
                comparison.exact and run.transcript.completed(one.name),
                "failures",
                one.name,
                f"beside-{case}",
                f"while {bad.name} fails: {comparison.words}; the connector {run.ended}",
                observed=requests_of(run, one),
            )
        )
    return checks


async def judge_termination(bench: Bench, streams: Sequence[Bound], kind: FaultKind, case: str) -> list[Check]:
    """Paging that goes round in circles, or never ends: it stops, soon, and never as if all were well."""
    faults = tuple(Fault(kind, one.endpoint.key, times=None) for one in streams)
    plan = plan_for(bench, streams, MORE_THAN_ONE_PAGE, faults=faults)
    bound = bound_of(bench, streams, pages=PAGES)
    run = await bench.read(plan, [one.catalog for one in streams], bound=bound, waits=True)
    return [_terminated(run, one, kind, case) for one in streams]


def _terminated(run: Run, one: Bound, kind: FaultKind, case: str) -> Check:
    struck = [seen for seen in run.asked(one.endpoint.key) if seen.fault == kind]
    if not struck:
        if run.asked(one.endpoint.key) or run.finished:
            return skipped("termination", one.name, case, "this cannot happen to an API that pages like this")
        return failed("termination", one.name, case, f"the connector {run.ended} before it came to this stream")
    comparison = compared(run, one)
    completed = run.transcript.completed(one.name)
    in_time = run.finished or one.name in _ended(run)
    honest = comparison.exact if completed else run.transcript.exit_code != 0
    what = "with status COMPLETE" if completed else "without COMPLETE"
    return verdict(
        in_time and honest,
        "termination",
        one.name,
        case,
        f"the API {_WORDS[kind]}: it ended {what}, {comparison.words}; the connector {run.ended}",
        suspects=("pagination",),
        observed=requests_of(run, one),
    )


_WORDS: dict[FaultKind, str] = {
    "repeat_cursor": "announces the same page again and again",
    "endless": "announces a next page for ever",
    "empty_page": "sends an empty page that announces another",
}


def _ended(run: Run) -> set[str]:
    statuses = run.transcript.statuses.items()
    return {name for name, said in statuses if said[-1:] in (["COMPLETE"], ["INCOMPLETE"])}


async def judge_empty_page(bench: Bench, streams: Sequence[Bound]) -> list[Check]:
    """A page without records that announces another: what follows must not be lost."""
    faults = tuple(Fault("empty_page", one.endpoint.key, first=2) for one in streams)
    plan = plan_for(bench, streams, MORE_THAN_ONE_PAGE, faults=faults)
    run = await bench.read(plan, [one.catalog for one in streams], bound=bound_of(bench, streams, pages=PAGES + 1))
    checks = []
    for one in streams:
        if not any(seen.fault == "empty_page" for seen in run.asked(one.endpoint.key)):
            continue
        comparison = compared(run, one)
        checks.append(
            verdict(
                comparison.exact or not run.transcript.completed(one.name),
                "termination",
                one.name,
                "empty-page",
                f"the API {_WORDS['empty_page']}: {comparison.words}, and yet COMPLETE",
                suspects=suspects_of(comparison, run, one),
                observed=requests_of(run, one),
            )
        )
    return checks
