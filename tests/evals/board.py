"""The table of an evaluation as people read it."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from contracts.turns import Spent
from tests.corpus import board
from tests.corpus.score import Tally, tally
from tests.evals.evaluation import Evaluation, cached_share, total

_COUNTED = ("streams proven", "declared", "all", "turns", "tokens in", "cached", "out", "USD", "seconds")


def show(evaluations: Sequence[Evaluation], console: Console) -> None:
    """A row for each API, the totals, and the scoreboard of all answers. ``all``: how many of the facts that the
    truth states are right; ``declared``: of those that the API's document states, too."""
    table = Table("API", "outcome", box=None, header_style="bold")
    for name in _COUNTED:
        table.add_column(name, justify="right")
    table.add_column("why not")
    for one in evaluations:
        run = one.run
        figures = _figures([one], one.spent)
        table.add_row(run.document, board.styled(run.outcome), *figures, escape(board.why_not(run)))
    spent = total(evaluations)
    published = sum(one.run.outcome in board.STYLE for one in evaluations)
    table.add_row("all", f"{published} of {len(evaluations)}", *_figures(evaluations, spent), style="bold")
    console.print(table)
    _show_spent(spent, console)
    board.show_unproven([one.run for one in evaluations], console)
    if answers := [answer for one in evaluations for answer in one.answers]:
        board.show_scores(answers, console)


def _figures(evaluations: Sequence[Evaluation], spent: Spent | None) -> list[str]:
    runs = [one.run for one in evaluations]
    answers = [answer for one in evaluations for answer in one.answers]
    return [
        f"{sum(run.proven for run in runs)}/{sum(run.total for run in runs)}",
        _right(tally(answers, declared=True)),
        _right(tally(answers)),
        *_money(spent),
        f"{sum(run.seconds for run in runs):,.0f}",
    ]


def _right(counts: Tally) -> str:
    return f"{counts.right}/{counts.total}" if counts.total else ""


def _money(spent: Spent | None) -> list[str]:
    if spent is None:
        return ["?"] * 5
    used = spent.usage
    counts = (spent.turns, used.all_input_tokens, used.cache_read_input_tokens, used.output_tokens)
    return [*(f"{count:,}" for count in counts), f"{spent.cost_usd:,.2f}"]


def _show_spent(spent: Spent, console: Console) -> None:
    if (share := cached_share(spent)) is not None:
        console.print(f"the cache served {share:.1%} of {spent.usage.all_input_tokens:,} input tokens")
    if spent.unpriced:
        counted = "counted with the most that they can have cost"
        console.print(f"[yellow]of {spent.unpriced:,} turns nobody knows the price: {counted}[/]")
    console.print()
