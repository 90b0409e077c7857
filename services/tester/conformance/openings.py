"""Streams that a field of the config opens: without it they are left out, and the rest is read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from contracts.blueprint import ApiBlueprint, Choices
from contracts.reports import Check
from infra.runtime.simulator import Plan
from services.tester.conformance.bench import Bench, Run
from services.tester.conformance.binding import Bound, parents_of
from services.tester.conformance.checks import verdict
from services.tester.conformance.completeness import compared
from services.tester.conformance.reading import bound_of, plan_for

KIND = "openings"
Opens = Mapping[str, Sequence[str]]
"""Field of the config -> the streams that cannot be read without it."""


def opens_of(blueprint: ApiBlueprint, choices: Choices) -> dict[str, tuple[str, ...]]:
    """The streams whose requests carry a field that may be left out, and all below them."""
    parents = {name: set(found.values()) for name, found in parents_of(blueprint, choices).items()}
    opens = {}
    for parameter in blueprint.parameters:
        opened = set(parameter.streams) if parameter.opens else set()
        while more := {name for name, above in parents.items() if above & opened} - opened:
            opened |= more
        if opened:
            opens[parameter.name] = tuple(stream.name for stream in blueprint.streams if stream.name in opened)
    return opens


def closed(opens: Opens, config: Mapping[str, object]) -> dict[str, str]:
    """Streams that a config leaves out -> why."""
    return {
        stream: f"the config does not set {field}"
        for field, streams in opens.items()
        if field not in config
        for stream in streams
    }


async def judge_openings(bench: Bench, opens: Opens, bound: Sequence[Bound]) -> list[Check]:
    """`discover`, and a `read` of what is left out, without any of the fields."""
    form = bench.form.without(opens)
    streams = {stream for each in opens.values() for stream in each}
    plan = Plan(secrets=bench.accepted(), variables=bench.variables)
    listed = await bench.command("discover", plan, form=form)
    kept = [one for one in bound if one.name not in streams]
    beside = [one for one in kept if one.flat][:1] or kept[:1]
    asked = {field: one for field, each in opens.items() for one in reversed(bound) if one.name in each}
    chosen = [*beside, *{one.name: one for one in asked.values()}.values()]
    run = await bench.read(
        plan_for(bench, beside, 2), [one.catalog for one in chosen], bound=bound_of(bench, beside), form=form
    )
    return [_listed(listed, {one.name for one in bound}, streams), _refused(run, asked), *_read(run, beside)]


def _listed(run: Run, every: set[str], streams: set[str]) -> Check:
    names = {stream["name"] for stream in run.transcript.catalog or ()}
    still, gone = sorted(names & streams), sorted(every - streams - names)
    message = (
        f"without the fields that open them `discover` still lists {', '.join(still) or 'none'} of these streams, "
        f"and of the others it lacks {', '.join(gone) or 'none'}; it {run.ended}"
    )
    return verdict(not still and not gone and run.transcript.catalog is not None, KIND, None, "discover", message)


def _refused(run: Run, asked: Mapping[str, Bound]) -> Check:
    said = run.transcript
    wrong = [f"{one.name} ({field})" for field, one in asked.items() if not _named(run, one.name, field)]
    message = (
        f"asked for streams without the fields that open them, `read` {run.ended}; it has to say in a config_error "
        f"of the stream which field is missing, and INCOMPLETE: {', '.join(wrong)}"
    )
    return verdict(run.finished and said.exit_code not in (0, None) and not wrong, KIND, None, "read", message)


def _named(run: Run, stream: str, field: str) -> bool:
    own = [failure for failure in run.transcript.failures if failure.stream == stream]
    told = any(failure.failure_type == "config_error" and field in failure.message for failure in own)
    return told and run.transcript.statuses.get(stream, [])[-1:] == ["INCOMPLETE"]


def _read(run: Run, beside: Sequence[Bound]) -> list[Check]:
    return [
        verdict(
            (comparison := compared(run, one)).exact and run.transcript.completed(one.name),
            KIND,
            one.name,
            "beside",
            f"while other streams lack a field: {comparison.words}; the connector {run.ended}",
        )
        for one in beside
    ]
