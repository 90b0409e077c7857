"""`connectors generate` and `connectors run`: what they print and how they end."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Console

from contracts.errors import Rejected
from contracts.events import AgentFailed, Engine, TestsFailed
from contracts.pipeline import Status
from contracts.services import AGENTS, Service
from infra.cli import generate as generation
from infra.cli.describe import describe
from infra.cli.run_alone import RunFolder, adopt, name_from, run_alone
from infra.runtime.stack import StackConfig


async def generate(
    name: str,
    spec: str | None,
    answers: Path | None,
    engine: Engine,
    policy: Mapping[str, Any],
    url: str | None,
    data: Path,
    output: Path,
    console: Console,
) -> int:
    """0 when something was published (in full or in part). ``policy``: what differs from the default."""
    config = StackConfig.at(data, output)
    async with generation.gateway(url, config, console) as client:
        state = await generation.generate(name, spec, engine, client, console, answers, policy)
        if state.status not in (Status.SUCCESS, Status.PARTIAL):
            return 1
        console.print(
            f"connector: [bold]{output / 'connector-implementations' / f'source-{name}'}[/]", soft_wrap=True
        )
    return 0


class Printed:
    """Progress as dim lines."""

    def __init__(self, console: Console) -> None:
        self._console = console

    async def __call__(self, message: str, *, done: int | None = None, total: int | None = None) -> None:
        share = f" {done}/{total}" if done is not None and total is not None else ""
        self._console.print(f"{message}{share}", style="dim", markup=False, soft_wrap=True)


async def run_agent(
    agent: Service,
    folder: Path,
    spec: str | None,
    answers: Path | None,
    name: str | None,
    engine: Engine,
    console: Console,
) -> int:
    """0 when the agent gave an answer; 1 when its tests failed."""
    if agent not in AGENTS:
        raise Rejected(f"{agent} is not an agent; agents are {', '.join(AGENTS)}")
    printed = Printed(console)
    if (folder / "pyproject.toml").is_file():
        run_folder = await _run_of_package(agent, folder, spec, engine, printed)
    else:
        run_folder = RunFolder(folder)
        if spec is not None:
            await _begin(run_folder, name or name_from(spec), spec, engine, answers)
    fact, files = await run_alone(agent, run_folder, printed)
    line = describe(fact)
    console.print(f"{line.actor} {line.text}", markup=False, soft_wrap=True)
    for file in files:
        console.print(f"  {file}", markup=False, soft_wrap=True)
    return 1 if isinstance(fact, (TestsFailed, AgentFailed)) else 0


async def _begin(run: RunFolder, name: str, spec: str, engine: Engine, answers: Path | None = None) -> None:
    document, spec_url = generation.split_source(spec)
    recorded = generation.recording(answers)
    content = document.read_bytes() if document else None
    await run.begin(name, content, spec_url, engine, recorded.read_bytes() if recorded else None)


async def _run_of_package(
    agent: Service, package: Path, spec: str | None, engine: Engine, printed: Printed
) -> RunFolder:
    """A run in which the package stands for what the generator made, ready for the tester."""
    if agent is not Service.TESTER or spec is None:
        raise Rejected(
            "a package can be given to `tester`, with the API's document: --spec FILE", where=str(package)
        )
    run = RunFolder(Path(".connectors") / "runs" / package.resolve().name)
    await _begin(run, package.resolve().name.removeprefix("source-"), spec, engine)
    for before in (Service.RESEARCH, Service.FIXTURES):
        await run_alone(before, run, printed)
    await adopt(package, run)
    return run
