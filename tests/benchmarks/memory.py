"""Peak memory of our connector for 10,000, 100,000 and 1,000,000 records: it should not grow."""

from __future__ import annotations

import tempfile
from pathlib import Path

from tests.benchmarks.contenders import STREAMS, ours
from tests.benchmarks.measure import run_once
from tests.benchmarks.paged_server import PAGE_SIZE, serving
from tests.benchmarks.report import Cell, Report, Table, goal

SIZES = (10_000, 100_000, 1_000_000)
GOAL_MIB = 120


def run(report: Report) -> None:
    rows: list[list[Cell]] = []
    for records in SIZES:
        with tempfile.TemporaryDirectory() as folder, serving(records // PAGE_SIZE) as url:
            of = run_once(ours(Path(folder), url, STREAMS[:1]), records)
        rows.append([f"{records:,} records", of.peak_mib, of.wall_s, records / of.wall_s])
        peak = of.peak_mib
    notes = [goal("peak memory for a million", peak, GOAL_MIB, at_most=True, unit=" MiB"), report.conditions()]
    report.add(Table("memory of one read", ("one stream", "peak MiB", "s", "records/s"), rows, notes))
