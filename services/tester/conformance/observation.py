"""Which endpoint a stream reads that nobody told us about: the one whose records it emits."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from infra.runtime.simulator import Plan
from services.tester.conformance.bench import Bench, Run

RECORDS = 2
TOGETHER = 40


async def observed(bench: Bench, streams: Sequence[dict[str, Any]]) -> dict[str, str]:
    """Stream -> endpoint key, for those of ``streams`` that emit an endpoint's records as they are."""
    found: dict[str, str] = {}
    plan = Plan(records=RECORDS, secrets=bench.accepted(), variables=bench.variables)
    for start in range(0, len(streams), TOGETHER):
        some = streams[start : start + TOGETHER]
        run = await bench.read(plan, some, bound=bench.pace.slack * len(some))
        known = _records_by_endpoint(bench, run)
        for stream in some:
            key = likeliest(run.transcript.of(stream["name"]), known)
            if key is not None:
                found[stream["name"]] = key
    return found


def _records_by_endpoint(bench: Bench, run: Run) -> dict[str, list[dict[str, Any]]]:
    asked = dict.fromkeys(seen.endpoint for seen in run.requests)
    keys = [key for key in asked if key is not None and key in bench.api.endpoints]
    return {key: list(run.simulator.expected(key)) for key in keys}


def likeliest(emitted: Sequence[dict[str, Any]], known: Mapping[str, Iterable[dict[str, Any]]]) -> str | None:
    """The endpoint with the most records equal to the emitted ones; a connector may add or leave out a field, so of
    each pair the share of equal members counts. ``None`` where less than half is equal."""
    shares = {key: _likeness(emitted, list(records)) for key, records in known.items()}
    best = max(shares, key=lambda key: shares[key], default=None)
    return best if best is not None and shares[best] > 0.5 else None


def _likeness(emitted: Sequence[dict[str, Any]], records: Sequence[dict[str, Any]]) -> float:
    """From 0 to 1: the mean over the emitted records of how much the most similar record is like it."""
    if not emitted or not records:
        return 0.0
    return sum(max(_equal_share(one, other) for other in records) for one in emitted) / len(emitted)


def _equal_share(one: Mapping[str, Any], other: Mapping[str, Any]) -> float:
    """A number and its text are equal: connectors may turn one into the other."""
    equal = sum(str(one[name]) == str(other[name]) for name in one.keys() & other.keys())
    return equal / max(len(other), 1)
