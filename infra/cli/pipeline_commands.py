"""The commands that ask something of one pipeline of a running stack; `infra.cli.main` adds them to its own."""

from __future__ import annotations

import getpass
from pathlib import Path
from typing import Annotated

import typer

from contracts.events import Engine
from infra.cli.shell import DATA, Data, Pipeline, Url, out, run

app = typer.Typer()

By = Annotated[str, typer.Option(help="Who decides, for the log.", default_factory=getpass.getuser)]
Reason = Annotated[str, typer.Option(help="Why, for the log.")]


@app.command()
def pause(pipeline: Pipeline, url: Url = None, data: Data = DATA) -> None:
    """Hold a pipeline: work that runs goes on to its end, nothing new is begun."""
    from infra.cli.control import Options, command

    run(command("pause", pipeline, Options(url, data), out))


@app.command()
def resume(pipeline: Pipeline, url: Url = None, data: Data = DATA) -> None:
    """Let a paused pipeline go on."""
    from infra.cli.control import Options, command

    run(command("resume", pipeline, Options(url, data), out))


@app.command()
def cancel(pipeline: Pipeline, url: Url = None, data: Data = DATA) -> None:
    """End a pipeline; work that runs is stopped at once."""
    from infra.cli.control import Options, command

    run(command("cancel", pipeline, Options(url, data), out))


@app.command()
def approve(pipeline: Pipeline, by: By, reason: Reason = "", url: Url = None, data: Data = DATA) -> None:
    """Say yes to what a pipeline waits for: to publish (`connectors generate --approval required`), or to spend its
    budget for model turns once more (`connectors cost` shows what was spent)."""
    from infra.cli.control import Options, answer

    run(answer("granted", pipeline, by, reason, Options(url, data), out))


@app.command()
def deny(pipeline: Pipeline, by: By, reason: Reason = "", url: Url = None, data: Data = DATA) -> None:
    """Say no to what a pipeline waits for, to publish or to spend more on model turns; it ends."""
    from infra.cli.control import Options, answer

    run(answer("denied", pipeline, by, reason, Options(url, data), out))


@app.command()
def export(
    pipeline: Pipeline,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="The file to write (default: pipeline-ID.zip).", show_default=False),
    ] = None,
    url: Url = None,
    data: Data = DATA,
) -> None:
    """Write a pipeline into one file: its facts, those of what it was forked from, and all that they name."""
    from infra.cli.control import Options
    from infra.cli.exchange import export as main

    run(main(pipeline, output, Options(url, data), out))


@app.command("import")
def import_(
    file: Annotated[Path, typer.Argument(help="What `connectors export` wrote.", show_default=False)],
    url: Url = None,
    data: Data = DATA,
) -> None:
    """Take in an exported pipeline, to read, replay and fork it under its own id. Nothing works on it here."""
    from infra.cli.control import Options
    from infra.cli.exchange import import_ as main

    run(main(file, Options(url, data), out))


@app.command()
def fork(
    pipeline: Pipeline,
    at: Annotated[int, typer.Option(min=1, help="How many of its facts are shared.", show_default=False)],
    policy: Annotated[
        Path | None, typer.Option(help="A file (YAML or JSON) with the limits that the fork has otherwise.")
    ] = None,
    engine: Annotated[Engine | None, typer.Option(help="Another engine for the agents.")] = None,
    url: Url = None,
    data: Data = DATA,
) -> None:
    """Go on from a pipeline's past, for real: a new pipeline shares its first facts and is worked on from there.

    Example: `connectors fork 230c6fec98b44e8cb0dcb746472eaed5 --at 7 --policy patient.yaml`
    """
    from infra.cli.control import Options
    from infra.cli.control import fork as main

    run(main(pipeline, at, policy, engine, Options(url, data), out))
