"""The commands that look at what was: `state`, `diff`, `cost`, `replay`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from infra.cli.shell import DATA, AsJson, Data, Pipeline, Url, err, out, run

app = typer.Typer()

Position = typer.Option(min=1, show_default=False, help="A position: the number of facts, 1..n (default: all).")


@app.command()
def state(
    pipeline: Pipeline,
    at: Annotated[int | None, Position] = None,
    since: Annotated[
        int | None, typer.Option(min=1, show_default=False, help="Also tell what has changed since this position.")
    ] = None,
    files: Annotated[
        Path | None,
        typer.Option(
            show_default=False,
            help="Write code, tests, blueprint, reports and all else as they were into this new folder.",
        ),
    ] = None,
    as_json: AsJson = False,
    url: Url = None,
    data: Data = DATA,
) -> None:
    """Show what was true of a pipeline after its first N facts.

    Examples:

    `connectors state 230c6fec98b44e8cb0dcb746472eaed5`

    `connectors state 230c6fec98b44e8cb0dcb746472eaed5 --at 14 --since 8`

    `connectors state 230c6fec98b44e8cb0dcb746472eaed5 --at 14 --files then/`
    """
    from infra.cli.state import Options
    from infra.cli.state import state as main

    run(main(pipeline, Options(at, since, files, as_json, url, data), out))


@app.command()
def diff(
    pipeline: Pipeline,
    before: Annotated[int, typer.Argument(min=1, metavar="N", help="A position: the number of facts, 1..n.")],
    after: Annotated[
        int | None, typer.Argument(min=1, metavar="M", help="A later one (default: all facts).", show_default=False)
    ] = None,
    as_json: AsJson = False,
    url: Url = None,
    data: Data = DATA,
) -> None:
    """Show what changed from position N to M: the code as a unified diff, before it state, blueprint and report.

    Coloured in a terminal; plain when it is piped, so that `patch -p1` takes it.

    Examples:

    `connectors diff 230c6fec98b44e8cb0dcb746472eaed5 8 14`

    `connectors diff 230c6fec98b44e8cb0dcb746472eaed5 8 > repair.patch`
    """
    from infra.cli.diff import diff as main

    run(main(pipeline, before, after, as_json, url, data, out))


@app.command()
def cost(pipeline: Pipeline, as_json: AsJson = False, url: Url = None, data: Data = DATA) -> None:
    """Show what a pipeline spent on turns with a model, by agent, and what is left of its budget.

    With --json also each turn: its agent and task, its model, tokens, USD, and how long it took.

    Example: `connectors cost 230c6fec98b44e8cb0dcb746472eaed5`
    """
    from infra.cli.cost import cost as main

    run(main(pipeline, as_json, url, data, out))


@app.command()
def replay(
    pipeline: Annotated[
        str | None, typer.Argument(help="A pipeline's id: 32 hexadecimal digits.", show_default=False)
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="Play all pipelines that there ever were.")] = False,
    policy: Annotated[
        Path | None,
        typer.Option(
            help="Try this policy: YAML or JSON with some of its fields (`code_repairs: 5`); the others stay what "
            "they are in each pipeline.",
            show_default=False,
        ),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print JSON for programs; with --all a line for each that differs.")
    ] = False,
    show: Annotated[int, typer.Option(min=0, help="With --all: how many that differ are listed.")] = 20,
    url: Url = None,
    data: Data = DATA,
) -> None:
    """Play a pipeline's facts through today's code, and find where it would decide otherwise than is recorded.

    Up to the first difference that is exact: a decision was made on exactly the facts before it. What comes after
    it is not judged, since agents would have been asked other things; it says what work was recorded from there on.

    Exits with 0 if all is decided the same, 1 if something differs, 2 if something cannot be played.

    Examples:

    `connectors replay 230c6fec98b44e8cb0dcb746472eaed5`

    `connectors replay --all` after an upgrade, before it goes live

    `connectors replay --all --policy policy.yaml` tells what another policy would have saved, added, lost
    """
    if (pipeline is None) is not everything:
        raise typer.BadParameter("name one pipeline, or give --all")
    from infra.cli.replay import TROUBLE, Options, replay_all, replay_one

    options = Options(policy, as_json, show, url, data)
    run(replay_one(pipeline, options, out) if pipeline else replay_all(options, out, err), trouble=TROUBLE)
