"""`connectors conformance`: the judge for anybody's connector, without a bus."""

from __future__ import annotations

import asyncio
import hashlib
import json
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from contracts.artifacts import TreeManifest
from contracts.conformance import CONFORMANCE_JSON, CONFORMANCE_PAGE, JUDGED_API, ConformanceReport, JudgedApi
from contracts.errors import Rejected
from contracts.reports import Check, Isolation, Outcome
from contracts.simulation import SimulatedApi
from infra.runtime import sandbox
from infra.runtime.conformance_page import page
from infra.runtime.isolated import run_isolated
from infra.runtime.toolchain import prepare_async
from infra.runtime.trees import read_tree
from services.fixtures.handler import simulate
from services.tester.conformance import Judgement, Knowledge, Pace, Subject, conform

DOCUMENT_TIMEOUT_S = 120.0
DOCUMENT_MEMORY_BYTES = 2 * 1024**3
TOTAL_S = 600.0
TOTAL_FULL_S = 4 * 3600.0
MAX_SHEBANG = 256
SHORT = {
    "agreement": "agree",
    "completeness": "records",
    "discovery": "found",
    "failures": "fail",
    "incremental": "incr",
    "primary_key": "key",
    "protocol": "proto",
    "termination": "ends",
}
"""Kinds of checks as the table's head has room for them."""

UNCONFINED = Isolation(kind="process", note="asked for by --unconfined: limits only, no isolation")


@dataclass(frozen=True)
class Options:
    """What the command line says. ``report`` is a folder; ``many`` is how many records are many."""

    path: Path
    config: Path | None
    spec: Path | None
    full: bool
    as_json: bool
    report: Path | None
    unconfined: bool
    many: int


@dataclass(frozen=True)
class Candidate:
    """Who is judged. ``code`` is the hash of its tree if it is a package of ours."""

    name: str
    subject: Subject
    code: str | None = None


async def conformance(options: Options, out: Console, err: Console) -> int:
    """0 if every check passed and every stream was read completely."""
    judged = await _api(options)
    config = _config(options.config)
    candidate = await _candidate(options.path)
    isolation = UNCONFINED if options.unconfined else await sandbox.probe()
    pace = Pace(full=options.full, total_s=TOTAL_FULL_S if options.full else TOTAL_S, many=options.many)
    known = Knowledge(
        judged.endpoints,
        judged.parents,
        judged.paging,
        judged.fields,
        judged.opens,
        streams=tuple(judged.endpoints),
    )
    with tempfile.TemporaryDirectory(prefix="kit-") as folder, err.status("starting") as status:

        async def say(message: str) -> None:
            status.update(escape(message))

        judgement = await conform(
            candidate.subject,
            judged.api,
            folder=Path(folder),
            isolation=isolation,
            knowledge=known,
            config=config,
            pace=pace,
            say=say,
        )
    report = report_of(candidate, judged.api, isolation, judgement)
    if options.report is not None:
        _write(options.report, report, err)
    if options.as_json:
        out.file.write(report.encode().decode())
    else:
        show(report, out)
    return 0 if report.ok and report.proven == len(report.streams) else 1


def report_of(
    candidate: Candidate, api: SimulatedApi, isolation: Isolation, judgement: Judgement
) -> ConformanceReport:
    return ConformanceReport(
        name=candidate.name,
        kit=judgement.run,
        code=candidate.code,
        api=hashlib.sha256(api.model_dump_json().encode()).hexdigest(),
        isolation=isolation,
        checks=judgement.checks,
        streams=judgement.streams,
    )


# --- what is judged, and by what -------------------------------------------------------------------


async def _candidate(path: Path) -> Candidate:
    """A package of ours (a folder), or an executable."""
    if path.is_dir():
        packages = [each.name for each in sorted((path / "src").glob("source_*")) if each.is_dir()]
        if len(packages) != 1:
            raise Rejected("a package has exactly one folder src/source_NAME", where=str(path))
        env = {"PYTHONPATH": "{work}/src", "PYTHONDONTWRITEBYTECODE": "1"}
        python = (await prepare_async()).python
        tree = {name: text for name, text in read_tree(path).items() if not name.startswith("tests/")}
        code = TreeManifest.of(tree).ref.sha256
        return Candidate(path.resolve().name, Subject(path, ("{python}", "-m", packages[0]), python, env), code)
    if not path.is_file():
        raise Rejected("there is no such package folder, nor such an executable", where=str(path))
    path = path.resolve()
    python_file = path.suffix == ".py"
    argv = ("{python}", f"{{work}}/{path.name}") if python_file else (f"{{work}}/{path.name}",)
    return Candidate(
        path.name, Subject(path.parent, argv, Path(sys.executable) if python_file else _python_of(path))
    )


def _python_of(script: Path) -> Path | None:
    """The interpreter that a console script names in its first line; it shows which venv has to be readable."""
    with script.open("rb") as file:
        line = file.readline(MAX_SHEBANG)
    if not line.startswith(b"#!"):
        return None
    interpreter = Path(line[2:].decode(errors="replace").strip().split(" ")[0])
    return interpreter if interpreter.name.startswith("python") and interpreter.is_absolute() else None


async def _api(options: Options) -> JudgedApi:
    """Of the document (or simulated API) given, else the package's own copy."""
    own = options.spec or options.path / JUDGED_API
    if options.spec is not None and options.spec.name != Path(JUDGED_API).name:
        content = options.spec.read_bytes()
        simulated: bytes = await run_isolated(
            simulate,
            content,
            str(options.spec),
            timeout_s=DOCUMENT_TIMEOUT_S,
            memory_bytes=DOCUMENT_MEMORY_BYTES,
        )
        return JudgedApi(api=SimulatedApi.model_validate_json(simulated))
    if not own.is_file():
        raise Rejected("there is no simulated API; give the API's document: --spec FILE", where=str(own))
    try:
        return await asyncio.to_thread(JudgedApi.model_validate_json, own.read_bytes())
    except ValidationError as problem:
        raise Rejected(f"it is no simulated API: {problem.errors()[0]['msg']}", where=str(own)) from None


def _config(path: Path | None) -> dict[str, Any] | None:
    if path is None:
        return None
    try:
        config = json.loads(path.read_bytes())
    except (OSError, ValueError) as problem:
        raise Rejected(f"the config cannot be read: {problem}", where=str(path)) from None
    if not isinstance(config, dict):
        raise Rejected("a config is a JSON object", where=str(path))
    return config


def _write(folder: Path, report: ConformanceReport, console: Console) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in ((CONFORMANCE_JSON, report.encode()), (CONFORMANCE_PAGE, page(report))):
        target = folder / Path(name).name
        target.write_bytes(content)
        console.print(f"wrote {target}", style="dim", markup=False, soft_wrap=True)


# --- what is shown -----------------------------------------------------------------------------------


def show(report: ConformanceReport, console: Console) -> None:
    """A row for each stream with its checks by kind, then what fails, then the verdict in one line."""
    console.print(_table(report))
    for check in report.checks:
        if check.outcome is Outcome.FAILED:
            console.print(f"[red]{escape(check.id)}[/] {escape(check.message)}", soft_wrap=True)
    counts = report.counts
    good = report.ok and report.proven == len(report.streams)
    confined = f" [yellow]({escape(report.isolation.note)})[/]" if report.isolation.note else ""
    console.print(
        f"[{'green' if good else 'red'}]{report.proven} of {len(report.streams)} streams proven[/]; "
        f"{counts[Outcome.PASSED]} checks passed, {counts[Outcome.FAILED]} failed, {counts[Outcome.SKIPPED]} could "
        f"not be judged; {report.kit.runs} runs in {report.kit.duration_s:.0f} s{confined}",
        soft_wrap=True,
    )


def _table(report: ConformanceReport) -> Table:
    kinds = sorted({check.kind for check in report.checks})
    table = Table(box=None, pad_edge=False, collapse_padding=True, header_style="dim")
    table.add_column(report.name, no_wrap=True)
    for kind in kinds:
        table.add_column(SHORT.get(kind, kind), justify="right")
    for proof in report.streams:
        own = [check for check in report.checks if check.stream == proof.stream]
        name = f"[{'green' if proof.proven else 'red'}]{'✓' if proof.proven else '✗'}[/] {escape(proof.stream)}"
        table.add_row(name, *(_cell(own, kind) for kind in kinds))
    whole = [check for check in report.checks if check.stream is None]
    table.add_row("  [dim]as a whole[/]", *(_cell(whole, kind) for kind in kinds))
    return table


def _cell(checks: Iterable[Check], kind: str) -> str:
    """How many of those that could be judged passed."""
    counts = Counter(check.outcome for check in checks if check.kind == kind)
    judged = counts[Outcome.PASSED] + counts[Outcome.FAILED]
    if not judged:
        return "[dim]-[/]"
    return f"[{'red' if counts[Outcome.FAILED] else 'green'}]{counts[Outcome.PASSED]}/{judged}[/]"
