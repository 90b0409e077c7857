"""The commands of who keeps a stack running."""

from __future__ import annotations

import typer

from infra.cli.shell import DATA, AsJson, Data, Url, err, out, run

app = typer.Typer()


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
