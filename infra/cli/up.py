"""`connectors up` and `connectors ps`."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from time import monotonic

from rich.console import Console
from rich.table import Table

from infra.runtime.stack import StackConfig, read_processes, running_stack


async def up(data: Path, output: Path, port: int, console: Console) -> int:
    """Run the stack until it is interrupted."""
    began = monotonic()
    console.print("[dim]starting nats-server, nine services and the gateway[/]")

    def say(message: str) -> None:
        console.print(message, style="yellow", markup=False, soft_wrap=True)

    async with running_stack(StackConfig.at(data, output, port), say) as stack:
        console.print(
            f"[green]ready[/] in {monotonic() - began:.1f} s: [bold]{stack.url}[/]  (Ctrl-C stops everything)"
        )
        await stack.run()
    return 0


def ps(data: Path, as_json: bool, console: Console) -> int:
    """Print the processes of the stack on ``data``; 1 if there is none."""
    url, processes = read_processes(StackConfig.at(data, data).state_file)
    if as_json:
        print(json.dumps([asdict(process) for process in processes]))
        return 0 if url else 1
    if url is None:
        console.print(f"no stack runs on {data}; start one with [bold]connectors up[/]")
        return 1
    table = Table("service", "pid", "state", "restarts", "ended with", title=url, box=None)
    for process in processes:
        style = {"ready": "green", "exited": "red"}.get(process.state, "yellow")
        restarts = str(process.restarts) if process.restarts else ""
        table.add_row(process.service, str(process.pid), f"[{style}]{process.state}[/]", restarts, process.ended)
    console.print(table)
    return 0
