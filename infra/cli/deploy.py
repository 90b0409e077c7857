"""`connectors deploy`: what a deployment needs besides images and manifests."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from contracts.errors import Rejected
from infra.cli.shell import err, out, run

if TYPE_CHECKING:
    from infra.runtime.bus_users import Kind

app = typer.Typer(no_args_is_help=True, help="Make what a deployment needs: secrets, and the bus's list of users.")

SECRETS = Path("secrets")
CONFIGURATION = Path("infra/deploy/nats")


@app.command()
def secrets(
    folder: Annotated[
        Path, typer.Argument(help="Where they are kept; no other user of this machine gets in.")
    ] = Path("secrets"),
    nkeys: Annotated[
        bool, typer.Option("--nkeys", help="Key pairs for the users of the bus, instead of passwords.")
    ] = False,
    kubernetes: Annotated[
        bool, typer.Option("--kubernetes", help="Print them as Kubernetes Secrets, for kubectl.")
    ] = False,
) -> None:
    """Make the secrets of a deployment: of the bus's users, its cluster and PostgreSQL. What is there is kept.

    Two are not made here: `connectors-claude` (key `api-key`), and `connectors-bus-tls` (of type kubernetes.io/tls,
    with `ca.crt`).

    Examples:

    `connectors deploy secrets` for docker-compose.yml

    `connectors deploy secrets production --nkeys --kubernetes | kubectl apply -f -`
    """
    run(_secrets(folder, "nkey" if nkeys else "password", kubernetes))


async def _secrets(folder: Path, kind: Kind, kubernetes: bool) -> int:
    from infra.cli import secrets as made

    try:
        found = made.completed(made.read(folder), kind, made.fresh)
        written = made.write(folder, found)
    except OSError as error:
        raise Rejected(f"the secrets cannot be kept here: {error.strerror}", where=str(folder)) from error
    err.print(f"{folder}: {len(written)} files written", markup=False, soft_wrap=True)
    if kubernetes:
        typer.echo(made.manifests(found))
    return 0


@app.command()
def users(
    folder: Annotated[Path, typer.Argument(help="Where the bus's configuration is.")] = CONFIGURATION,
) -> None:
    """Write the users of the bus, and what each may do, for nats-server. Do so when the table has changed.

    The table is `infra/runtime/permissions.py`; the files hold no secret.

    Example: `connectors deploy users`
    """
    run(_users(folder))


async def _users(folder: Path) -> int:
    from infra.runtime.bus_users import files

    try:
        for name, text in files().items():
            (folder / name).write_text(text)
            out.print(f"{folder / name}", markup=False, soft_wrap=True)
    except OSError as error:
        raise Rejected(f"the bus's configuration is not here: {error.strerror}", where=str(folder)) from error
    return 0
