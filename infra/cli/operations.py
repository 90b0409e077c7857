"""The commands of who keeps a stack running."""

from __future__ import annotations

from typing import Annotated

import typer

from infra.cli.shell import DATA, OUTPUT, AsJson, Data, Output, Url, err, out, run

app = typer.Typer()
dead = typer.Typer(help="What no service could handle: list it, or try it once more.", no_args_is_help=True)
app.add_typer(dead, name="dead")


@app.command()
def doctor(
    as_json: AsJson = False,
    data: Data = DATA,
    output: Output = OUTPUT,
    port: Annotated[int, typer.Option(help="The port that the gateway is to listen on.")] = 8002,
) -> None:
    """Check this machine: Python, nats-server, sandbox, toolchain, key, disk, memory, port, stack, Docker.

    Nothing is changed, and nothing is asked of anybody else than a bus and a database that are configured. A key is
    looked for, never shown and never sent.

    Exits with 0 if `make demo` can run here, 1 if something keeps it from that.

    Examples:

    `connectors doctor`

    `connectors doctor --json --data /srv/connectors`
    """
    from infra.cli.doctor.show import doctor as main

    run(main(data, output, port, as_json, out))


@app.command()
def verify(as_json: AsJson = False, url: Url = None, data: Data = DATA) -> None:
    """Compare the log with its copy in SQL, fact by fact, and the artifacts of both.

    Every message of the streams is read from the bus and from the database; every artifact is read from both and
    hashed. Nothing is changed.

    Exits with 0 if both are the same, 1 if something differs, 2 if it could not be compared.

    Example: `connectors verify --json`
    """
    from infra.cli.verify import TROUBLE
    from infra.cli.verify import verify as main

    run(main(as_json, url, data, out, err), trouble=TROUBLE)


@dead.command("list")
def dead_list(as_json: AsJson = False, url: Url = None, data: Data = DATA) -> None:
    """List the dead letters, oldest first: which service gave up which task of which pipeline, and why.

    Example: `connectors dead list`
    """
    from infra.cli.dead import list_letters

    run(list_letters(as_json, url, data, out))


@dead.command("retry")
def dead_retry(
    letter: Annotated[int, typer.Argument(min=1, help="The letter's number in `connectors dead list`.")],
    url: Url = None,
    data: Data = DATA,
) -> None:
    """Let the task of a dead letter be tried once more: in a fork from before it, if its pipeline has failed.

    Example: `connectors dead retry 3`
    """
    from infra.cli.dead import retry

    run(retry(letter, url, data, out))
