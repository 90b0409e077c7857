"""`spec`, `check` and `discover`, and reads that must not succeed."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from typing import Any

from contracts.reports import Check
from infra.runtime.simulator import Plan, Seen
from infra.runtime.simulator.site import TOKEN
from services.tester.conformance import conduct
from services.tester.conformance.bench import Bench, Run
from services.tester.conformance.binding import Bound
from services.tester.conformance.checks import skipped, verdict
from services.tester.conformance.completeness import compared
from services.tester.conformance.reading import bound_of, plan_for

OPEN = "the API, as documented, lets anybody in, or the connector takes no credentials"


async def judge_check(bench: Bench) -> list[Check]:
    """`check` with credentials of each kind, right and wrong, and with nobody listening."""
    plan = Plan(secrets=bench.accepted(), variables=bench.variables)
    found = await asyncio.gather(
        *(_credentials(bench, plan, way, name) for way, name in enumerate(bench.form.variants)), _unreachable(bench)
    )
    return [check for checks in found for check in checks]


async def discover(bench: Bench) -> tuple[list[dict[str, Any]], Check]:
    """The catalog's streams, and whether there is one at all."""
    run = await bench.command("discover", Plan(secrets=bench.accepted(), variables=bench.variables))
    catalog = run.transcript.catalog or []
    message = f"`discover` gave no catalog; it {run.ended}. {run.transcript.complaint}"
    return catalog, verdict(bool(catalog), "protocol", None, "discover", message)


async def _credentials(bench: Bench, good: Plan, way: int, name: str) -> list[Check]:
    run = await bench.command("check", good, variant=way)
    refused = await bench.command("check", Plan(secrets=frozenset()), variant=way)
    right, wrong = conduct.judge_credentials(run, refused, f"-{name}" if len(bench.form.variants) > 1 else "")
    return [right, wrong if _is_guarded(bench, refused) else skipped("auth", None, "check-wrong", OPEN)]


async def _unreachable(bench: Bench) -> list[Check]:
    """Nobody listens: `check` says so, and an error text that quotes the URL shows what it leaks."""
    run = await bench.command("check", Plan(), listening=False, waits=True)
    said = run.transcript
    message = f"with nobody listening `check` answers {said.status or 'nothing'} and {run.ended}"
    return [verdict(said.status == "FAILED" and said.exit_code == 0, "failures", None, "unreachable", message)]


def _is_guarded(bench: Bench, refused: Run) -> bool:
    """Whether the API turned anybody away, or would have."""
    return turned_away(refused.requests) or bool(bench.api.auth)


def turned_away(requests: Iterable[Seen]) -> bool:
    """Whether somebody was refused for who they are: 401, or 400 where tokens are issued (RFC 6749, section 5.2).
    Any other 400 is about what was asked."""
    return any(seen.status == 401 or (seen.status == 400 and seen.endpoint == TOKEN) for seen in requests)


async def judge_refused_read(bench: Bench, streams: Sequence[Bound]) -> list[Check]:
    """`read` with wrong credentials."""
    if not bench.form.has_secrets:
        return [skipped("auth", None, "read-wrong", OPEN)]
    chosen = streams[:2]
    plan = Plan(secrets=frozenset(), variables=bench.variables)
    run = await bench.read(plan, [one.catalog for one in chosen], bound=bound_of(bench, chosen), waits=True)
    if not _is_guarded(bench, run):
        return [skipped("auth", None, "read-wrong", OPEN)]
    return [conduct.judge_refused_read(run)]


async def judge_other_way(bench: Bench, one: Bound, way: int) -> list[Check]:
    """A read with another kind of credentials."""
    run = await bench.read(plan_for(bench, [one], 1), [one.catalog], variant=way, bound=bound_of(bench, [one]))
    comparison = compared(run, one)
    name = bench.form.variants[way]
    message = f"with credentials of kind {name!r}: {comparison.words}; the connector {run.ended}"
    return [verdict(comparison.exact, "auth", None, f"read-{name}", message, suspects=("auth",))]


async def judge_unknown_stream(bench: Bench) -> list[Check]:
    """A catalog with a stream that does not exist: an ERROR trace, and no exit code 0."""
    stream = {"name": "no_such_stream", "json_schema": {}, "supported_sync_modes": ["full_refresh"]}
    plan = Plan(secrets=bench.accepted(), variables=bench.variables)
    run = await bench.read(plan, [stream], bound=bench.pace.slack)
    ok = run.finished and run.transcript.exit_code != 0 and bool(run.transcript.failures)
    message = f"asked for a stream that does not exist it {run.ended}; it has to fail with an ERROR trace"
    return [verdict(ok, "protocol", None, "unknown-stream", message)]
