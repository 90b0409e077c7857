"""`connectors`: the command line. Each command imports what it needs when it runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from contracts.events import Engine
from contracts.services import AGENTS, Service
from infra.cli.shell import DATA, OUTPUT, Answers, Data, Output, Url, err, out, run

app = typer.Typer(
    help="Give it an API; agents research, write, test, review and publish an Airbyte connector.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
)


@app.command()
def up(
    data: Data = DATA,
    output: Output = OUTPUT,
    port: Annotated[int, typer.Option(help="The gateway's port on 127.0.0.1.")] = 8002,
) -> None:
    """Start the whole stack in the foreground: bus, nine services, gateway. Ctrl-C stops it.

    Example: `connectors up --port 8002`
    """
    from infra.cli.up import up as main

    run(main(data, output, port, out))


@app.command()
def ps(
    data: Data = DATA, as_json: Annotated[bool, typer.Option("--json", help="Print JSON for programs.")] = False
) -> None:
    """List the processes of a running stack.

    Example: `connectors ps --json`
    """
    from infra.cli.up import ps as main

    raise typer.Exit(main(data, as_json, out))


@app.command()
def generate(
    name: Annotated[str, typer.Argument(help="The connector's name: lower case words joined by hyphens.")],
    spec: Annotated[
        str | None, typer.Option(help="The API's OpenAPI or Swagger document: a file or a URL.")
    ] = None,
    answers: Answers = None,
    engine: Annotated[Engine, typer.Option(help="Which engine the agents use.")] = Engine.AUTO,
    url: Annotated[
        str | None,
        typer.Option(envvar="CONNECTORS_URL", help="The gateway of a running stack.", show_default=False),
    ] = None,
    data: Data = DATA,
    output: Output = OUTPUT,
) -> None:
    """Build a connector from an API's document and watch it being built.

    Uses the stack on port 8002 (or at --url) and, if none answers, starts one for the while.

    Example: `connectors generate petstore --spec petstore.yaml`
    """
    from infra.cli.commands import generate as main

    run(main(name, spec, answers, engine, url, data, output, out))


@app.command("run")
def run_agent(
    agent: Annotated[Service, typer.Argument(help=f"One of: {', '.join(AGENTS)}.", show_default=False)],
    folder: Annotated[
        Path, typer.Argument(help="A run folder (made by `run research`), or a published package for `tester`.")
    ] = Path(".connectors/run"),
    spec: Annotated[str | None, typer.Option(help="Begin a run with this document: a file or a URL.")] = None,
    answers: Answers = None,
    name: Annotated[
        str | None, typer.Option(help="The connector's name (default: from the document's name).")
    ] = None,
    engine: Annotated[Engine, typer.Option(help="Which engine the agent uses.")] = Engine.AUTO,
) -> None:
    """Run one agent alone on one input, without a bus, to debug it.

    Examples:

    `connectors run research --spec petstore.yaml`

    `connectors run generator`, `connectors run fixtures`, `connectors run tester`, ... go on in the same folder.

    `connectors run tester output/connector-implementations/source-petstore --spec petstore.yaml` tests a package.
    """
    from infra.cli.commands import run_agent as main

    run(main(agent, folder, spec, answers, name, engine, out))


@app.command()
def conformance(
    path: Annotated[
        Path, typer.Argument(help="An executable that speaks the Airbyte protocol, or a package folder of ours.")
    ],
    config: Annotated[
        Path | None,
        typer.Option(
            help="A config (JSON) in which `{base_url}`, and `{token_url}` if it has one, stand for the simulated "
            "API's. Default: made from the connector's `spec`."
        ),
    ] = None,
    spec: Annotated[
        Path | None,
        typer.Option(help="The API's document, or a package's simulated_api.json. Default: the package's own."),
    ] = None,
    full: Annotated[
        bool, typer.Option("--full", help="Judge every stream in depth, not one of each shape.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON for programs.")] = False,
    report: Annotated[
        Path | None, typer.Option(help="Write conformance.json and conformance.html into this folder.")
    ] = None,
    unconfined: Annotated[
        bool,
        typer.Option(
            help="Run it without a sandbox, if it needs more than its folder and its venv. Only your own."
        ),
    ] = False,
    many: Annotated[int, typer.Option(min=1, help="Records of the large read.")] = 10_000,
) -> None:
    """Judge any connector against a simulated API: is every record read once, whatever happens?

    The simulated API lets in exactly the values of the config that the connector's `spec` marks `airbyte_secret`,
    and the texts beside them (a user name). Exits with 0 if every check passes and every stream is proven.

    Examples:

    `connectors conformance output/connector-implementations/source-petstore`

    `connectors conformance ~/venv/bin/source-petstore --config config.json --spec petstore.yaml`

    `connectors conformance my_connector.py --config config.json --spec petstore.yaml --full --report judged/`
    """
    from infra.cli.conformance import Options
    from infra.cli.conformance import conformance as main

    run(main(Options(path, config, spec, full, as_json, report, unconfined, many), out, err))


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


@app.command()
def demo(data: Data = DATA, output: Output = OUTPUT) -> None:
    """Build a connector for the sample CRM, install it, read with it, and compare with what the CRM holds."""
    from infra.cli.demo import demo as main

    run(main(data, output, out))


def main() -> None:
    """The console script."""
    app()


if __name__ == "__main__":
    main()
