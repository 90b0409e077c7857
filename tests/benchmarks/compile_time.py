"""From an OpenAPI document to code: research and generation beside other generators, each as a whole process.

The generated document of 1,000 operations, and documents of the corpus (CORPUS_DIR) where there is one. A generator
that fails on a document is reported as such; what the others wrote is counted in files.
"""

from __future__ import annotations

import json
import os
import re
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from tests.benchmarks.contenders import OURS, available
from tests.benchmarks.large_document import RESOURCES, document
from tests.benchmarks.measure import Contender, Run, WrongOutput, run_once
from tests.benchmarks.report import Cell, Report, Table, goal
from tests.support.peers import QUIET, Peer

REPO = Path(__file__).parents[2]
CORPUS = Path(os.environ.get("CORPUS_DIR", REPO.parent / "shared")) / "specs"
DOCUMENTS = ("harvest.yaml", "klaviyo.yaml", "circleci.yaml", "twilio.json", "xero_accounting.yaml", "stripe.yaml")
LARGE = f"{RESOURCES * 4:,} operations"
GOAL_S = 5.0
TIMEOUT_S = 120.0

Make = Callable[[Path, Path], Contender]
"""Document and an empty folder -> the command that writes code there."""


def run(report: Report) -> None:
    generators = dict(_generators())
    with tempfile.TemporaryDirectory() as folder:
        large = Path(folder) / "large.json"
        large.write_text(json.dumps(document()))
        found = [CORPUS / name for name in DOCUMENTS if (CORPUS / name).is_file()]
        rows: list[list[Cell]] = []
        taken: dict[str, float | None] = {}
        for path in [large, *found]:
            label = LARGE if path == large else path.name
            cells = [_seconds(make, path, report.rounds) for make in generators.values()]
            rows.append([label, path.stat().st_size / 1e6, *(shown for _, shown in cells)])
            taken[label] = cells[0][0]
    notes = [report.conditions(report.rounds)]
    if not found:
        notes.insert(0, "no corpus here (CORPUS_DIR)")
    ours = taken[LARGE]
    if ours is not None:
        notes.insert(0, goal(f"{LARGE} to code", ours, GOAL_S, at_most=True, unit=" s"))
    columns = ("document", "MB", *generators)
    report.add(Table("compile time: from document to code, s (CPU s)", columns, rows, notes))


def _seconds(make: Make, path: Path, rounds: int) -> tuple[float | None, str]:
    """The best of ``rounds`` runs, and how it is shown: with its CPU time, or in a word why there is none."""
    try:
        runs = [_once(make, path) for _ in range(rounds)]
    except WrongOutput as error:
        return None, _in_a_word(str(error))
    best = min(runs, key=lambda run: run.wall_s)
    return best.wall_s, f"{best.wall_s:.1f} ({best.cpu_s:.1f})"


def _in_a_word(said: str) -> str:
    if "not done after" in said:
        return f"over {TIMEOUT_S:g} s"
    exceptions = re.findall(r"(?m)^(\w*(?:Error|Exception))\b", said)
    return f"fails: {exceptions[-1] if exceptions else said.split(',')[0].split(': ')[-1]}"


def _once(make: Make, path: Path) -> Run:
    with tempfile.TemporaryDirectory() as folder:
        return run_once(make(path, Path(folder)), 1, TIMEOUT_S)


def _generators() -> Iterator[tuple[str, Make]]:
    yield OURS, _ours
    if dlt := available("dlt-init-openapi"):
        # It would fetch the code of the rest_api source once, to copy it beside what it writes. A folder that is
        # there stops that; seven files are missing then, and nothing of the work.
        (_site_packages(dlt) / "rest_api").mkdir(exist_ok=True)
        script = dlt.script("dlt-init-openapi")
        yield (
            "dlt-init-openapi 0.1.0",
            lambda path, folder: _writes_python(
                "dlt-init-openapi",
                (script, "bench", "--path", path, "--output-path", folder / "made", "--no-interactive"),
                folder,
                QUIET,
            ),
        )
    if client := available("openapi-python-client"):
        tools = {**QUIET, "PATH": f"{client.venv / 'bin'}:{os.environ['PATH']}"}
        command = (client.script("openapi-python-client"), "generate", "--meta", "setup")
        yield (
            "openapi-python-client 0.29.1",
            lambda path, folder: _writes_python(
                "openapi-python-client", (*command, "--path", path, "--output-path", folder / "made"), folder, tools
            ),
        )


def _site_packages(found: Peer) -> Path:
    return next(found.venv.glob("lib/python*/site-packages"))


def _ours(path: Path, folder: Path) -> Contender:
    """What the research and generator agents do, in one process."""
    command = (sys.executable, "-m", "tests.benchmarks.compile_once", path, folder / "made")
    return _writes_python(OURS, command, folder, {"PYTHONPATH": str(REPO)})


def _writes_python(name: str, command: tuple[str | Path, ...], folder: Path, env: Mapping[str, str]) -> Contender:
    def made(output: Path) -> int:
        return int(any(folder.rglob("*.py")))

    return Contender(name, command, made, env)
