"""What a walk came to, on a screen."""

from __future__ import annotations

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from contracts.services import Service
from infra.cli.cost import show_costs
from infra.cli.describe import describe
from tests.support.claude_demo.script import REPAIRS
from tests.support.claude_demo.story import faults
from tests.support.claude_demo.walk import Walk


def report(walk: Walk, console: Console) -> bool:
    """Print decisions, costs and the share of the cache; True if all is as it should be."""
    console.print("[bold]5.[/] what was decided, and what it cost")
    console.print(_decisions(walk))
    console.print()
    show_costs(walk.costs, console)
    server = walk.server
    console.print(
        f"{len(server.requests)} requests at the server, {len(walk.costs.turns)} turns in the ledger,"
        f" {len(server.refused)} refused"
    )
    for what, markers in (("all input tokens", ()), ("those of the repairs", tuple(REPAIRS))):
        served, most = server.cached_share(*markers), server.repeated_share(*markers)
        line = f"Anthropic's cache rules serve {served:.1%} of {what}; {most:.1%} had been sent before"
        console.print(line, soft_wrap=True)
    found = list(faults(walk))
    for fault in found:
        console.print(f"[red]not as it should be:[/] {escape(fault)}", soft_wrap=True)
    if not found:
        console.print("[green]every loop was walked, and all is as it should be[/]")
    return not found


def _decisions(walk: Walk) -> Table:
    """What the router decided, each beside the fact that it followed from."""
    table = Table(box=None, header_style="dim")
    table.add_column("the router decided", no_wrap=True, min_width=24)
    table.add_column("because", style="dim", no_wrap=True)
    by_id = {envelope.id: envelope for envelope in walk.facts}
    for envelope in walk.facts:
        if envelope.source == Service.ROUTER and (cause := by_id.get(envelope.causation or "")):
            why = describe(cause.fact())
            table.add_row(escape(describe(envelope.fact()).text), escape(f"{why.actor}: {why.text}"))
    return table
