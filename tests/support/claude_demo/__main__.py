"""``python -m tests.support.claude_demo``: exits with 0 if all is as it should be."""

from __future__ import annotations

from pathlib import Path

import typer
from rich.console import Console

from infra.cli.shell import DATA, OUTPUT, Data, Output, out, run
from tests.support.claude_demo.report import report
from tests.support.claude_demo.walk import walked


def main(data: Data = DATA / "demo-claude", output: Output = OUTPUT) -> None:
    """Walk the whole graph with a scripted Claude."""
    run(demo(data, output, out))


async def demo(data: Path, output: Path, console: Console) -> int:
    async with walked(data, output, console) as walk:
        return 0 if report(walk, console) else 1


if __name__ == "__main__":
    app = typer.Typer(pretty_exceptions_enable=False)
    app.command()(main)
    app()
