"""How long ``spec`` takes, from the start of the process to its end: what a platform does first, and often."""

from __future__ import annotations

import tempfile
from pathlib import Path

from tests.benchmarks.contenders import (
    CDK,
    OURS,
    STREAMS,
    available,
    connector_of,
    document,
    manifest_only_connector,
)
from tests.benchmarks.measure import Contender, race
from tests.benchmarks.report import Cell, Report, Table, goal
from tests.support.peers import QUIET

GOAL_MS = 250
RUNS_A_ROUND = 5


def run(report: Report) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        connector = connector_of(document(STREAMS), folder / "ours")
        bare = Contender("python that does nothing", (connector.python, "-c", "pass"), lambda output: 1)
        ours = Contender(OURS, connector.command("spec"), specifications, connector.environment)
        contenders = [bare, ours]
        if found := available("airbyte-cdk"):
            main = manifest_only_connector(folder / "cdk", STREAMS)
            contenders.append(Contender(CDK, (found.python, main, "spec"), specifications, QUIET))
        runs = race(contenders, 1, report.rounds * RUNS_A_ROUND)
    rows: list[list[Cell]] = [
        [name, of.best_s * 1000, of.median_s * 1000, of.cpu_s * 1000, of.peak_mib] for name, of in runs.items()
    ]
    notes = [
        goal("spec", runs[OURS].best_s * 1000, GOAL_MS, at_most=True, unit=" ms"),
        report.conditions(report.rounds * RUNS_A_ROUND),
    ]
    report.add(Table("spec", ("whole process", "best ms", "median ms", "CPU ms", "peak MiB"), rows, notes))


def specifications(output: Path) -> int:
    return output.read_bytes().count(b'"SPEC"')
