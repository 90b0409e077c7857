"""How a replay is shown."""

from __future__ import annotations

import json
from collections.abc import Sequence

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from services.router.replay import Compared, Effect, Replayed, Work
from services.router.tally import Summary

HORIZON = "What comes after a first difference is not judged: agents would have been asked other things."
_STYLE = {Effect.SAVED: "green", Effect.ADDED: "yellow", Effect.OPEN: "cyan"}


def show_one(played: Replayed, compared: Sequence[Compared], out: Console) -> None:
    """Every decision of one pipeline beside today's, then the difference in words."""
    table = Table("at", "recorded", "decided by", "today", box=None, pad_edge=False, header_style="dim")
    rows = list(compared)
    if played.difference is not None and (not rows or rows[-1] != played.difference):
        rows.append(played.difference)
    for one in rows:
        made_by = f"[dim]{escape(one.code_version)} {escape(one.policy_hash)}[/]"
        today = "[green]the same[/]" if one.same else f"[red]{escape(one.today.text)}[/]"
        table.add_row(str(one.position), escape(one.recorded.text), made_by, today)
    out.print(f"[bold]{escape(played.name)}[/]  {played.pipeline}  {played.status}", soft_wrap=True)
    if rows:
        out.print(table)
    for line in _verdict(played):
        out.print(line, soft_wrap=True)


def _verdict(played: Replayed) -> list[str]:
    if played.difference is None:
        waits = f"; due now: {escape(played.pending.text)}" if played.pending else ""
        return [f"[green]{_count(played.decisions, 'decision')}, all as they would be decided today[/]{waits}"]
    first = played.difference
    return [
        f"[red]differs at {first.position}[/]: recorded {escape(first.recorded.text)}, "
        f"today {escape(first.today.text)}; {_effect(first.effect, played.rest)}",
        f"[dim]{HORIZON}[/]",
    ]


class Rows:
    """The pipelines of a whole history as they come: ``show`` of those that differ, or all as JSON lines. What
    cannot be played is always told."""

    def __init__(self, out: Console, show: int, as_json: bool) -> None:
        self._out = out
        self._left = show
        self._as_json = as_json
        self._hidden = False

    def played(self, played: Replayed) -> None:
        if played.difference is None:
            return
        if self._as_json:
            self._line({"differs": played.model_dump(mode="json")})
        elif self._left > 0:
            self._left -= 1
            self._row(played, played.difference)
        elif not self._hidden:
            self._hidden = True
            self._out.print("[dim]... more differ (--show N lists more of them)[/]")

    def unplayed(self, pipeline: str, why: str) -> None:
        if self._as_json:
            self._line({"unplayable": {"pipeline": pipeline, "why": why}})
        else:
            self._out.print(f"{pipeline}  [red]cannot be played:[/] {escape(why)}", soft_wrap=True)

    def _line(self, value: object) -> None:
        self._out.file.write(json.dumps(value) + "\n")

    def _row(self, played: Replayed, first: Compared) -> None:
        style = _STYLE[first.effect]
        self._out.print(
            f"{played.pipeline}  {escape(played.name)} at {first.position}: {escape(first.recorded.text)} "
            f"[dim]->[/] [{style}]{escape(first.today.text)}[/]  [dim]{_effect(first.effect, played.rest)}[/]",
            soft_wrap=True,
        )


def show_summary(summary: Summary, seconds: float, out: Console) -> None:
    """The kinds of differences, then what they come to."""
    if summary.kinds:
        table = Table(box=None, pad_edge=False, header_style="dim")
        for name in ("recorded", "today"):
            table.add_column(name)
        table.add_column("pipelines", justify="right")
        table.add_column("and then")
        for kind in summary.kinds:
            style = _STYLE[kind.effect]
            then = _effect(kind.effect, kind.rest, kind.pipelines)
            today = f"[{style}]{escape(kind.today)}[/]"
            table.add_row(escape(kind.recorded), today, f"{kind.pipelines:,}", then)
        out.print()
        out.print(table)
    out.print()
    for line in _totals(summary, seconds):
        out.print(line, soft_wrap=True)


def _totals(summary: Summary, seconds: float) -> list[str]:
    played = f"{_count(summary.facts, 'fact')} and {_count(summary.decisions, 'decision')} in {seconds:.1f} s"
    color = "red" if summary.differ else "green"
    lines = [f"[{color}]{summary.differ:,} of {_count(summary.pipelines, 'pipeline')} differ[/]; {played}"]
    if summary.saved.steps:
        lost = f"; {summary.unpublished:,} that were published would have failed" if summary.unpublished else ""
        lines.append(f"saved: {_work(summary.saved)}{lost}")
    if summary.added_steps:
        at_least = summary.added_steps * summary.mean_step_s
        lines.append(
            f"added: at least {_count(summary.added_steps, 'step')} (some {_time(at_least)} at the mean of "
            f"{_time(summary.mean_step_s)} a step); {summary.revived:,} that failed would have gone on"
        )
    if summary.open_rest.steps:
        lines.append(f"another way: {_work(summary.open_rest)} would have been other work; how much is not known")
    if summary.pending:
        lines.append(f"{_count(summary.pending, 'pipeline')} wait for a decision that is due now")
    if summary.unplayable:
        lines.append(f"[red]{_count(summary.unplayable, 'pipeline')} could not be played[/]")
    return [*lines, f"[dim]{HORIZON}[/]"] if summary.differ else lines


def _effect(effect: Effect, rest: Work, pipelines: int = 1) -> str:
    match effect:
        case Effect.SAVED:
            return f"saves {_work(rest)}" if rest.steps else "ends there, too"
        case Effect.ADDED:
            return f"at least {_count(pipelines, 'step')} more"
        case Effect.OPEN:
            return f"another way; recorded from there: {_work(rest)}"


def _work(work: Work) -> str:
    parts = [_count(work.steps, "step")]
    if work.rounds:
        parts.append(f"{_count(work.rounds, 'repair')} of them")
    if work.retries:
        parts.append(f"{work.retries:,} retried")
    return ", ".join([*parts, _time(work.seconds)])


def _count(number: int, thing: str) -> str:
    return f"{number:,} {thing}" if number == 1 else f"{number:,} {thing}s"


def _time(seconds: float) -> str:
    """``0.4 s``, ``83 s``, ``2.5 h``"""
    if seconds >= 3600:
        return f"{seconds / 3600:,.1f} h"
    return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
