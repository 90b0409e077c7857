"""Ten streams of 20 pages from an API that takes 50 ms to answer: what is done while waiting."""

from __future__ import annotations

import tempfile
from pathlib import Path

from tests.benchmarks.contenders import CDK, OURS, STREAMS, cdk, contenders
from tests.benchmarks.extraction import COLUMNS, rows
from tests.benchmarks.measure import race
from tests.benchmarks.paged_server import PAGE_SIZE, serving
from tests.benchmarks.report import Report, Table, goal

PAGES = 20
LATENCY_S = 0.05
RECORDS = len(STREAMS) * PAGES * PAGE_SIZE


def run(report: Report) -> None:
    with tempfile.TemporaryDirectory() as folder, serving(PAGES, latency_s=LATENCY_S) as url:
        runs = race(contenders(Path(folder), url, STREAMS, cdk), RECORDS, report.rounds)
    waited_s = len(STREAMS) * PAGES * LATENCY_S
    notes = [f"one request after the other would wait {waited_s:.0f} s; {report.conditions(report.rounds)}"]
    if CDK in runs:
        ratio = runs[CDK].best_s / runs[OURS].best_s
        notes.insert(0, goal(f"records/s of {CDK} with its defaults", ratio, 5.0))
    title = f"latency: {len(STREAMS)} streams of {PAGES} pages, 50 ms a request"
    report.add(Table(title, COLUMNS, rows(runs, RECORDS), notes))
