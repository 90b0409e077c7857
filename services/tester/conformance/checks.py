"""How a check is written down, and which field of the blueprint a failure points at. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from contracts.reports import Check, Outcome
from services.tester.conformance.bench import Run
from services.tester.conformance.binding import Bound
from services.tester.conformance.comparison import Comparison

CONNECTOR = "connector"
MAX_WORDS = 600


def passed(kind: str, stream: str | None, case: str, observed: str = "") -> Check:
    return _check(kind, stream, case, Outcome.PASSED, "", (), observed)


def failed(
    kind: str, stream: str | None, case: str, message: str, *, suspects: Iterable[str] = (), observed: str = ""
) -> Check:
    """``suspects`` are fields of the blueprint, the most likely first."""
    return _check(kind, stream, case, Outcome.FAILED, message, tuple(suspects), observed)


def skipped(kind: str, stream: str | None, case: str, why: str) -> Check:
    return _check(kind, stream, case, Outcome.SKIPPED, why, (), "")


def verdict(
    ok: bool,
    kind: str,
    stream: str | None,
    case: str,
    message: str,
    *,
    suspects: Iterable[str] = (),
    observed: str = "",
) -> Check:
    """Passed, or failed with ``message``."""
    if ok:
        return passed(kind, stream, case, observed)
    return failed(kind, stream, case, message, suspects=suspects, observed=observed)


def _check(
    kind: str,
    stream: str | None,
    case: str,
    outcome: Outcome,
    message: str,
    suspects: tuple[str, ...],
    observed: str,
) -> Check:
    return Check(
        id=f"{kind}/{stream or CONNECTOR}/{case}",
        kind=kind,
        stream=stream,
        outcome=outcome,
        message=message[:MAX_WORDS],
        suspects=suspects,
        observed=observed[:MAX_WORDS],
    )


def suspects_of(comparison: Comparison, run: Run, one: Bound) -> tuple[str, ...]:
    """What most likely made a stream incomplete, by how it is incomplete."""
    asked = run.asked(one.endpoint.key)
    refused = [seen for seen in asked if seen.status is None or seen.status >= 400]
    if not asked:
        return ("parent", "request") if one.depth else ("request", "parent")
    if refused:
        return ("request", "pagination", "cursor", "parent") if len(refused) < len(asked) else ("request", "parent")
    if comparison.emitted == 0 or comparison.strange:
        return ("selector", "request", "pagination")
    if one.depth and {seen.partition for seen in asked} != _partitions(run, one):
        return ("parent", "pagination")
    if comparison.repeated:
        return ("pagination", "primary_key", "selector")
    return ("pagination", "selector", "cursor")


def requests_of(run: Run, one: Bound) -> str:
    """The requests for one stream, counted by status."""
    asked = run.asked(one.endpoint.key)
    kinds: dict[str, int] = {}
    for seen in asked:
        what = seen.fault or str(seen.status)
        kinds[what] = kinds.get(what, 0) + 1
    by_kind = ", ".join(f"{count} x {kind}" for kind, count in kinds.items())
    return f"{len(asked)} requests to {one.endpoint.key}{f' ({by_kind})' if asked else ''}"


def _partitions(run: Run, one: Bound) -> set[tuple[str, ...]]:
    return {values for values, _ in run.simulator.rows(one.endpoint.key, via=one.via)}
