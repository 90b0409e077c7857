"""One stream, 200 pages of 1,000 records of about 500 bytes from loopback, each contender as a whole process."""

from __future__ import annotations

import http.client
import tempfile
import time
from pathlib import Path
from urllib.parse import urlsplit

from tests.benchmarks.contenders import (
    CDK,
    ORJSON,
    OURS,
    STREAMS,
    cdk,
    contenders,
    dlt,
    msgspec_loop,
    orjson_loop,
)
from tests.benchmarks.measure import Runs, race
from tests.benchmarks.paged_server import PAGE_SIZE, serving
from tests.benchmarks.report import Cell, Report, Table, goal

PAGES = 200
RECORDS = PAGES * PAGE_SIZE


def run(report: Report) -> None:
    streams = STREAMS[:1]
    with tempfile.TemporaryDirectory() as folder, serving(PAGES) as url:
        others = (cdk, orjson_loop, msgspec_loop, dlt)
        runs = race(contenders(Path(folder), url, streams, *others), RECORDS, report.rounds)
        server = RECORDS / seconds_to_drain(url, streams[0])
    notes = goals(runs)
    notes.append(f"the server alone: {server:,.0f} records/s; {report.conditions(report.rounds)}")
    report.add(Table(f"extraction: {RECORDS:,} records of one stream", COLUMNS, rows(runs, RECORDS), notes))


COLUMNS = ("whole process", "records/s", "best s", "median s", "CPU s", "peak MiB", "ours is", "in CPU")


def rows(runs: dict[str, Runs], records: int) -> list[list[Cell]]:
    """For `COLUMNS`. CPU time says more than wall time where others use the machine too."""
    ours = runs[OURS]
    return [
        [
            *(name, records / of.best_s, of.best_s, of.median_s, of.cpu_s, of.peak_mib),
            *(f"{of.best_s / ours.best_s:.2f}x", f"{of.cpu_s / ours.cpu_s:.2f}x"),
        ]
        for name, of in runs.items()
    ]


def goals(runs: dict[str, Runs]) -> list[str]:
    best = runs[OURS].best_s
    wanted = ((CDK, 10.0), (ORJSON, 0.5))
    return [goal(f"records/s of {name}", runs[name].best_s / best, ratio) for name, ratio in wanted if name in runs]


def seconds_to_drain(url: str, stream: str) -> float:
    """How long a client takes that throws everything away."""
    connection = http.client.HTTPConnection(urlsplit(url).netloc)
    began = time.perf_counter()
    for page in range(1, PAGES + 1):
        connection.request("GET", f"/{stream}?page={page}")
        connection.getresponse().read()
    return time.perf_counter() - began
