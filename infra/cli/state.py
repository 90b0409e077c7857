"""`connectors state`: what was true of a pipeline after so many facts, and what has changed since then."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from contracts.artifacts import ArtifactRef
from contracts.errors import Rejected
from contracts.pipeline import PipelineState, outstanding
from gateway.answers import StateAt
from infra.cli.changes import Change, state_changes
from infra.cli.contents import lay_out, state_at
from infra.cli.printable import printable
from infra.cli.reach import reach

WIDTH = 60
"""Of a value in a list of changes; longer ones are cut."""


@dataclass(frozen=True)
class Options:
    """``at`` and ``since`` are positions; ``files`` is the folder that what the state names is written to."""

    at: int | None
    since: int | None
    files: Path | None
    as_json: bool
    url: str | None
    data: Path


async def state(pipeline: str, options: Options, out: Console) -> int:
    """
    Raises:
        Rejected: no such pipeline, or fewer facts.
    """
    async with reach(options.url, options.data, in_trouble=True) as gateway:
        now = await state_at(gateway, pipeline, options.at)
        then = await state_at(gateway, pipeline, options.since) if options.since is not None else None
        refs = references(now.state)
        written = await lay_out(gateway, refs, options.files) if options.files is not None else []
    if then is not None and then.position > now.position:
        raise Rejected(f"--since is after --at: {then.position} is later than {now.position}")
    changes = state_changes(then.state, now.state) if then is not None else []
    if options.as_json:
        _print_json(now, then, changes, out)
        return 0
    show_state(now, out)
    if then is not None:
        out.print(
            f"\n[dim]since {then.position}:[/]" if changes else f"\n[dim]nothing changed since {then.position}[/]"
        )
        for line in told(changes):
            out.print(f"  {line}", soft_wrap=True)
    for path in written:
        out.print(f"wrote {path}", style="dim", markup=False, soft_wrap=True)
    return 0


def _print_json(now: StateAt, then: StateAt | None, changes: list[Change], out: Console) -> None:
    told = now.model_dump(mode="json")
    if then is not None:
        told |= {"since": then.position, "changes": [change._asdict() for change in changes]}
    out.file.write(json.dumps(told, indent=2) + "\n")


def references(state: PipelineState) -> dict[str, ArtifactRef]:
    """Role -> artifact, for everything that the state names."""
    return {role: ref for role, ref in state if isinstance(ref, ArtifactRef)}


def show_state(found: StateAt, out: Console) -> None:
    """The state in a few lines, empty ones left out."""
    state = found.state
    head = f"[bold]{escape(printable(state.name))}[/]  {found.pipeline_id}  at {found.position}: {state.status}"
    out.print(f"{head}  [dim]{found.time:%Y-%m-%d %H:%M:%S} UTC[/]", soft_wrap=True)
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="dim")
    table.add_column(overflow="fold")
    for name, value in _lines(state):
        if value:
            table.add_row(name, escape(printable(value)))
    for role, ref in references(state).items():
        table.add_row(role, f"{ref.sha256[:12]}  [dim]{ref.size:,} bytes, {escape(printable(ref.media_type))}[/]")
    out.print(table)


def _lines(state: PipelineState) -> Iterator[tuple[str, str]]:
    rounds, limits = state.counters, state.policy
    yield "reason", state.reason or ""
    yield "outcome", f"{state.outcome or ''} {state.version or ''}".strip()
    yield "works", ", ".join(f"{task.service} {task.mode or ''}".strip() for task in outstanding(state))
    yield "failed", "; ".join(f"{one.task.service}: {one.what}" for one in state.failures)
    yield "to decide", state.choice.fact if state.choice else ""
    asked = {"publish": "approval", "budget": "approval to spend more on model turns"}
    yield "waits for", asked[state.approval_about or "publish"] if state.approval else ""
    yield "streams", f"{state.streams}, {state.gaps} named gaps" if state.streams else ""
    yield "proven", f"{state.coverage.proven} of {state.coverage.total}" if state.coverage else ""
    yield "unproven", ", ".join(state.unproven)
    yield "left out", ", ".join(state.degraded)
    yield "score", "" if state.score is None else str(state.score)
    used = {name: (done, getattr(limits, name)) for name, done in rounds}
    yield "rounds", ", ".join(f"{name.replace('_', ' ')} {n} of {most}" for name, (n, most) in used.items() if n)


def told(changes: Iterable[Change]) -> list[str]:
    """A line of markup for each change."""
    return [
        f"{escape(printable('.'.join(change.where)))}: {_value(change.before)} [dim]->[/] {_value(change.after)}"
        for change in changes
    ]


def _value(value: Any) -> str:
    if value is None or value in ([], {}):
        return "[dim]none[/]"
    if isinstance(value, dict) and "sha256" in value:
        return escape(f"{str(value['sha256'])[:12]} ({value.get('size', 0):,} bytes)")
    if isinstance(value, dict):
        value = ", ".join(f"{key} {part}" for key, part in value.items() if part and key != "id")
    text = value if isinstance(value, str) else json.dumps(value)
    return escape(printable(text if len(text) <= WIDTH else f"{text[: WIDTH - 3]}..."))
