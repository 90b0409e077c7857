"""`connectors`: the command line. Each command imports what it needs when it runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from contracts.events import Engine
from contracts.policy import Policy
from contracts.services import AGENTS, Service
from infra.cli import deploy, operations, past, pipeline_commands
from infra.cli.shell import DATA, OUTPUT, Answers, Data, Output, err, out, run

app = typer.Typer(
    help="Give it an API; agents research, write, test, review and publish an Airbyte connector.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
)
app.add_typer(operations.app)
app.add_typer(deploy.app, name="deploy")


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
    approval: Annotated[
        Literal["none", "required"], typer.Option(help="Whether a person is asked before it is published.")
    ] = "none",
    budget_usd: Annotated[
        float, typer.Option(min=0, help="What turns with a model may cost before a person is asked.")
    ] = Policy().budget_usd,
    url: Annotated[
        str | None,
        typer.Option(envvar="CONNECTORS_URL", help="The gateway of a running stack.", show_default=False),
    ] = None,
    data: Data = DATA,
    output: Output = OUTPUT,
) -> None:
    """Build a connector from an API's document and watch it being built.

    Uses the stack on port 8002 (or at --url) and, if none answers, starts one for the while. Without a document a
    model reads the web for one: set ANTHROPIC_API_KEY.

    Example: `connectors generate petstore --spec petstore.yaml`

    Example: `connectors generate hubspot --budget-usd 5`
    """
    from infra.cli.commands import generate as main

    policy = {"approval": approval, "budget_usd": budget_usd}
    run(main(name, spec, answers, engine, policy, url, data, output, out))


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


app.add_typer(pipeline_commands.app)


@app.command()
def demo(data: Data = DATA, output: Output = OUTPUT) -> None:
    """Build a connector for the sample CRM, install it, read with it, and compare with what the CRM holds."""
    from infra.cli.demo import demo as main

    run(main(data, output, out))


app.add_typer(past.app)


def main() -> None:
    """The console script."""
    app()


if __name__ == "__main__":
    main()
