"""The scoreboard as people read it: runs, then what is right against the truth, then calibration."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from tests.corpus.compare import Answer, Fact
from tests.corpus.runs import Run, Say
from tests.corpus.score import DLT, GOAL_HIGH_RIGHT, GOAL_RIGHT_HIGH, GOALS, HIGH, Tally, calibration, tally

WIDTH = 160
STYLE = {"success": "green", "researched": "green", "partial": "yellow"}


def wide() -> Console:
    """As wide as the terminal; wide enough for the tables where there is none."""
    console = Console(highlight=False)
    return console if console.is_terminal else Console(highlight=False, width=WIDTH)


def sayer(console: Console) -> Say:
    """Tells there what happens, while it does."""
    return lambda line: console.print(line[:300], style="dim", markup=False, soft_wrap=True)


def styled(outcome: str) -> str:
    return f"[{STYLE.get(outcome, 'red')}]{outcome}[/]"


def show_runs(runs: Sequence[Run], console: Console, *, whole: bool) -> None:
    """One row per document; ``whole``: they went through the pipeline, not through research alone."""
    told = (
        ("published", "streams", "gaps", "read completely", "seconds")
        if whole
        else ("", "streams", "gaps", "seconds")
    )
    table = Table("document", *told, "why not", box=None, header_style="bold")
    for run in runs:
        proven = [f"{run.proven}/{run.total}"] if whole else []
        counts = [str(run.streams), str(run.gaps), *proven, f"{run.seconds:.1f}"]
        table.add_row(run.document, styled(run.outcome), *counts, escape(why_not(run)))
    console.print(table)
    published = [run for run in runs if run.outcome in STYLE]
    line = f"{len(published)} of {len(runs)} documents, {sum(run.streams for run in runs)} streams"
    if whole:
        line += f", {sum(run.proven for run in runs)} of {sum(run.total for run in runs)} read completely"
        line += f"; {sum(run.outcome == 'success' for run in runs)} in full"
    console.print(f"[bold]{line}[/], {sum(run.seconds for run in runs):.0f} s\n")


def why_not(run: Run) -> str:
    return "; ".join(part for part in (run.reason, ", ".join(run.unproven)) if part)


def show_unproven(runs: Sequence[Run], console: Console) -> None:
    """Why each stream that was not read completely was not."""
    for run in runs:
        for stream, reason in run.unproven.items():
            console.print(f"{run.document} [bold]{stream}[/] {escape(reason[:400])}", soft_wrap=True)
    console.print()


def show_scores(answers: Sequence[Answer], console: Console) -> None:
    """Right, wrong and gap for each fact, apart for what the documents state and what they do not."""
    documents = sorted({answer.document for answer in answers})
    console.print(f"[bold]against the truth of {', '.join(documents)}[/]")
    table = Table(
        "", "declared", "wrong", "gap", "right", "goal", box=None, header_style="bold", padding=(0, 2, 0, 0)
    )
    for name in ("undeclared", "wrong", "gap", "right", "all", "right", "dlt-init-openapi"):
        table.add_column(name)
    for fact in Fact:
        stated, silent = tally(answers, fact, declared=True), tally(answers, fact, declared=False)
        whole = tally(answers, fact)
        goal = GOALS.get(fact)
        met = goal is None or not stated.total or stated.right >= goal * stated.total
        table.add_row(
            fact.value,
            *_cells(stated, "green" if goal and met else "" if met else "red"),
            f">= {goal:.0%}" if goal else "",
            *_cells(silent),
            f"{whole.right} of {whole.total}",
            _percent(whole.right, whole.total),
            f"{DLT[fact][0]} of {DLT[fact][1]}" if fact in DLT else "",
        )
    console.print(table)
    _show_calibration(answers, console)


def _cells(counts: Tally, style: str = "") -> list[str]:
    if not counts.total:
        return ["", "", "", ""]
    share = _percent(counts.right, counts.total)
    right = f"[{style}]{share}[/]" if style else share
    return [f"{counts.right} of {counts.total}", str(counts.wrong), str(counts.gap), right]


def _percent(part: int, whole: int) -> str:
    return f"{part / whole:.0%}" if whole else ""


def _show_calibration(answers: Sequence[Answer], console: Console) -> None:
    counts = calibration(answers)
    console.print(f"\n[bold]calibration[/]: {counts.answered} answers, high confidence is {HIGH} and more")
    for text, part, whole, goal in (
        ("of the high are right", counts.high_right, counts.high, GOAL_HIGH_RIGHT),
        (
            f"without the {counts.contradicted} where the truth names a parameter that the document lacks",
            counts.high_right,
            counts.high - counts.contradicted,
            GOAL_HIGH_RIGHT,
        ),
        ("of the right are high", counts.high_right, counts.right, GOAL_RIGHT_HIGH),
    ):
        style = "green" if whole and part >= goal * whole else "red"
        console.print(f"  {text}: {part} of {whole} [{style}]{_percent(part, whole)}[/] (goal {goal:.0%})")
    console.print()


def show_differences(answers: Sequence[Answer], console: Console) -> None:
    """Every answer that is not right."""
    for answer in answers:
        if answer.verdict != "right":
            sure = "" if answer.confidence is None else f" ({answer.confidence:.2f})"
            stated = "" if answer.declared else ", undeclared"
            console.print(
                f"[bold]{answer.verdict}[/]{sure} {answer.document} {answer.stream}, {answer.operation}: "
                f"{answer.fact.value}{stated}: wanted {escape(answer.wanted)}, got {escape(answer.got)}",
                soft_wrap=True,
            )
    console.print()
