"""`connectors cost`: what a pipeline spent on model turns."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from contracts.turns import Spent
from gateway.answers import Costs
from infra.cli.printable import printable
from infra.cli.reach import reach

_COLUMNS = ("turns", "input", "from cache", "to cache", "output", "searches", "fetches", "USD")


async def cost(pipeline: str, as_json: bool, url: str | None, data: Path, out: Console) -> int:
    """
    Raises:
        Rejected: there is no such pipeline.
    """
    async with reach(url, data, in_trouble=True) as gateway:
        found = await gateway.read(f"/pipelines/{pipeline}/costs", Costs)
    if as_json:
        out.file.write(found.model_dump_json(indent=2) + "\n")
    else:
        show_costs(found, out)
    return 0


def show_costs(costs: Costs, out: Console) -> None:
    """A line for each agent that had a turn, and what is left of the budget."""
    if costs.total.turns:
        out.print(_table(costs))
    left = max(0.0, costs.budget_usd - costs.total.cost_usd)
    line = f"spent {costs.total.cost_usd:,.2f} of {costs.budget_usd:,.2f} USD, {left:,.2f} are left"
    if costs.reserved_usd:
        line += f"; {costs.reserved_usd:,.2f} of them are reserved for turns that run"
    out.print(line, soft_wrap=True)
    if costs.total.unpriced:
        unknown = ", ".join(sorted({turn.model for turn in costs.turns if not turn.priced}))
        named = f" of {escape(printable(unknown))}" if unknown else ""
        dearest = "counted with the most that they can have cost, by the dearest price known"
        out.print(
            f"[yellow]the price{named} is not known: {_plural(costs.total.unpriced)} {dearest}[/]", soft_wrap=True
        )


def _plural(turns: int) -> str:
    return "1 turn is" if turns == 1 else f"{turns:,} turns are"


def _table(costs: Costs) -> Table:
    table = Table("agent", box=None, pad_edge=False, collapse_padding=True, header_style="dim")
    for name in _COLUMNS:
        table.add_column(name, justify="right")
    for agent, spent in costs.agents.items():
        table.add_row(escape(printable(agent)), *_figures(spent))
    table.add_row("all", *_figures(costs.total), style="bold")
    return table


def _figures(spent: Spent) -> tuple[str, ...]:
    used = spent.usage
    counts = (
        spent.turns,
        used.input_tokens,
        used.cache_read_input_tokens,
        used.cache_creation_input_tokens,
        used.output_tokens,
        used.web_search_requests,
        used.web_fetch_requests,
    )
    return (*(f"{count:,}" for count in counts), f"{spent.cost_usd:,.4f}")
