"""Figures as tables to read, kept so that they can be written as JSON too."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from infra.runtime import clock

Cell = str | float | int | None


@dataclass(frozen=True)
class Table:
    """``rows`` have a cell per column; the first column names the row. ``notes`` are lines below it."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    notes: Sequence[str] = ()

    def text(self) -> str:
        cells = [list(self.columns), *([_shown(cell) for cell in row] for row in self.rows)]
        widths = [max(len(row[n]) for row in cells) for n in range(len(self.columns))]
        lines = [self.title]
        for row in cells:
            first, *rest = (
                cell.ljust(width) if n == 0 else cell.rjust(width)
                for n, (cell, width) in enumerate(zip(row, widths, strict=True))
            )
            lines.append("  " + "   ".join((first, *rest)).rstrip())
        return "\n".join([*lines, *(f"  {note}" for note in self.notes)])


@dataclass
class Report:
    """Prints each table as it comes. The load is told because timings on a busy machine say little."""

    rounds: int = 3
    tables: list[Table] = field(default_factory=list)
    began: str = field(default_factory=lambda: f"{clock.now():%Y-%m-%d %H:%M} UTC")

    def add(self, table: Table) -> None:
        self.tables.append(table)
        print(f"{table.text()}\n", flush=True)

    def conditions(self, runs: int | None = None) -> str:
        """Date and load; ``runs``: of each contender."""
        load = f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores"
        counted = f"{runs} runs each, in turn; " if runs else ""
        return f"{counted}{self.began}, {load}"

    def write(self, path: Path) -> None:
        tables = [asdict(table) for table in self.tables]
        path.write_text(json.dumps({"conditions": self.conditions(), "tables": tables}, indent=2) + "\n")


def goal(what: str, ratio: float, wanted: float, *, at_most: bool = False, unit: str = "x") -> str:
    """One line: what was measured beside what was wanted."""
    reached = ratio <= wanted if at_most else ratio >= wanted
    sign = "at most" if at_most else "at least"
    return f"goal: {what} {sign} {wanted:g}{unit}: {_shown(ratio)}{unit}, {'reached' if reached else 'MISSED'}"


def _shown(cell: Cell) -> str:
    if isinstance(cell, float):
        return f"{cell:,.0f}" if abs(cell) >= 1000 else f"{cell:.3g}" if abs(cell) < 100 else f"{cell:.0f}"
    if isinstance(cell, int):
        return f"{cell:,}"
    return "" if cell is None else cell
