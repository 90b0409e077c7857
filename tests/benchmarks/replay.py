"""`connectors replay --all` over a long history: the real command against a gateway, a bus and an event store."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import tempfile
from pathlib import Path

from tests.benchmarks.measure import Contender, Run, run_once
from tests.benchmarks.past import Asked, recorded
from tests.benchmarks.recorded import interleaved, peak_mib
from tests.benchmarks.report import Cell, Report, Table, goal

SIZES = (1_000, 10_000)
GOAL_S = 60.0
POLICY = "code_repairs: 1\nresearches: 0\n"
REPO = Path(__file__).parents[2]


def run(report: Report) -> None:
    asyncio.run(_run(report))


async def _run(report: Report) -> None:
    rows: list[list[Cell]] = []
    notes: list[str] = []
    for pipelines in SIZES:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            policy = folder / "policy.yaml"
            policy.write_text(POLICY)
            async with recorded(folder, interleaved(pipelines)) as asked:
                plain = await _replayed(asked, pipelines)
                tried = await _replayed(asked, pipelines, "--policy", str(policy))
                store = peak_mib(asked.store_pid)
        for what, one in (("today's code", plain), ("another policy", tried)):
            rows.append([f"{pipelines:,} pipelines, {what}", one.wall_s, one.cpu_s, one.peak_mib, store])
    notes.append(goal(f"replay of {SIZES[-1]:,} pipelines", plain.wall_s, GOAL_S, at_most=True, unit=" s"))
    notes.append(report.conditions())
    columns = ("connectors replay --all", "s", "of them processor", "peak MiB", "the store's peak")
    report.add(Table("replay of a whole history", columns, rows, notes))


async def _replayed(asked: Asked, pipelines: int, *options: str) -> Run:
    command = [sys.executable, "-m", "infra.cli.main", "replay", "--all", "--json", "--url", asked.url, *options]
    env = {"PYTHONPATH": str(REPO), "LC_ALL": os.environ.get("LC_ALL", "C.UTF-8")}
    contender = Contender("replay", command, _pipelines, env, ends=(0, 1))
    return await asyncio.to_thread(run_once, contender, pipelines)


def _pipelines(output: Path) -> int:
    """As the last line of the output counts them."""
    with output.open("rb") as file:
        file.seek(max(0, output.stat().st_size - 100_000))
        return int(json.loads(file.readlines()[-1])["summary"]["pipelines"])
