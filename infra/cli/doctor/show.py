"""`connectors doctor`: prints what the doctor found."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from infra.cli.doctor.judge import Finding, Level, fit, judge
from infra.cli.doctor.look import look
from infra.runtime.stack import StackConfig

_STYLE = {Level.OK: "green", Level.WARNING: "yellow", Level.PROBLEM: "red"}


async def doctor(data: Path, output: Path, port: int, as_json: bool, console: Console) -> int:
    """0 if `make demo` can run here, 1 if something keeps it from that."""
    findings = judge(await look(StackConfig.at(data, output, port)))
    if as_json:
        print(json.dumps([asdict(finding) for finding in findings], indent=1))
    else:
        _print(findings, console)
    return 0 if fit(findings) else 1


def _print(findings: list[Finding], console: Console) -> None:
    table = Table("", "", "found", "what to do", box=None, pad_edge=False)
    table.columns[1].no_wrap = True
    for finding in findings:
        style = _STYLE[finding.level]
        mark = f"[{style}]{finding.level}[/]"
        table.add_row(mark, escape(finding.name), escape(finding.found), escape(finding.todo))
    console.print(table)
    problems = sum(finding.level is Level.PROBLEM for finding in findings)
    if problems:
        console.print(f"[red]`make demo` cannot run here: {problems} to mend[/]")
    else:
        console.print("[green]`make demo` can run here[/]")
