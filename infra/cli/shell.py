"""What every command shares: where it prints, options of the same name and meaning, and how it ends."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Coroutine
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape

from contracts.errors import ConnectorsError

out = Console(highlight=False)
err = Console(stderr=True, highlight=False)

Data = Annotated[Path, typer.Option(help="The stack's folder: log, artifacts, database.")]
Output = Annotated[Path, typer.Option(help="Where finished connectors are put.")]
Answers = Annotated[
    Path | None,
    typer.Option(
        help="Recorded answers of the real API (HAR), which outweigh the document. Credentials are dropped."
    ),
]
Url = Annotated[
    str | None,
    typer.Option(envvar="CONNECTORS_URL", help="The gateway of a running stack.", show_default=False),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
Pipeline = Annotated[str, typer.Argument(help="A pipeline's id: 32 hexadecimal digits.", show_default=False)]
DATA = Path(".connectors")
OUTPUT = Path("output")


def run(main: Coroutine[Any, Any, int], *, trouble: int = 1) -> None:
    """Run a command to its exit code; errors of ours are one red line, never a trace, and the code ``trouble``."""
    try:
        code = asyncio.run(_until_stopped(main))
    except ConnectorsError as error:
        err.print(f"[red]error:[/] {escape(str(error))}", soft_wrap=True)
        code = trouble
    except asyncio.CancelledError:
        err.print("[yellow]stopped[/]")
        code = 130
    raise typer.Exit(code)


async def _until_stopped(main: Coroutine[Any, Any, int]) -> int:
    """``main``, cancelled by Ctrl-C and SIGTERM, so that what it started is stopped. A shell starts what runs in
    its background with SIGINT ignored; asked to stop by it, we do."""
    task = asyncio.create_task(main)
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    return await task
