"""The secrets of a deployment: made once, kept in a folder, one file each.

The folder has one folder for each Kubernetes Secret and a file for each of its keys, so both are the same thing.
What follows from others (the server's list of users, the database's URL) is written anew each time.
"""

from __future__ import annotations

import base64
import json
import os
import secrets
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from contracts.errors import Rejected
from infra.runtime.bus_users import USERS, Kind, variable
from infra.runtime.nkey import BadSeed, new_seed, public_key

Secrets = dict[str, dict[str, str]]
"""Name of a Secret -> key -> value."""

SERVER, POSTGRES = "connectors-bus-server", "connectors-postgres"
NODES = ("nats-0.nats", "nats-1.nats", "nats-2.nats")
DATABASE_USER = DATABASE_NAME = "connectors"
KEYS: dict[Kind, str] = {"password": "password", "nkey": "nkey.seed"}
"""Under which a user's Secret has what it signs in with."""

_FOLDER_MODE, _FILE_MODE = 0o700, 0o644
"""Others do not get into the folder. A container gets one file of it, as it is, and runs as another user."""


def of_user(user: str) -> str:
    """The name of a bus user's Secret."""
    return f"connectors-bus-{user.replace('_', '-')}"


def completed(known: Secrets, kind: Kind, new: Callable[[Kind], str], nodes: Iterable[str] = NODES) -> Secrets:
    """``known`` with what is lacking; ``new`` makes a secret. What is known stays, in particular."""
    found = {name: dict(keys) for name, keys in known.items()}
    for user in USERS:
        found.setdefault(of_user(user), {}).setdefault(KEYS[kind], new(kind))
    server, postgres = found.setdefault(SERVER, {}), found.setdefault(POSTGRES, {})
    cluster = server.setdefault("cluster.password", new("password"))
    password = postgres.setdefault("password", new("password"))
    server["cluster.conf"] = _cluster(cluster, nodes)
    server["users.conf"] = _users({user: found[of_user(user)][KEYS[kind]] for user in USERS}, kind)
    postgres["url"] = f"postgresql+psycopg://{DATABASE_USER}:{password}@postgres/{DATABASE_NAME}"
    return found


def _cluster(password: str, nodes: Iterable[str]) -> str:
    routes = [f"nats://cluster:{password}@{node if ':' in node else f'{node}:6222'}" for node in nodes]
    return f"CLUSTER_PASSWORD: {json.dumps(password)}\nCLUSTER_ROUTES: {json.dumps(routes)}\n"


def _users(values: Mapping[str, str], kind: Kind) -> str:
    """Passwords, or the public half of each key."""
    shown = values if kind == "password" else {user: _public(user, seed) for user, seed in values.items()}
    return "".join(f"{variable(kind, user)}: {json.dumps(value)}\n" for user, value in shown.items())


def _public(user: str, seed: str) -> str:
    try:
        return public_key(seed.strip())
    except BadSeed as error:
        what = f"{error.what}; remove the file, and another one is made"
        raise Rejected(what, where=f"{of_user(user)}/{KEYS['nkey']}") from error


def fresh(kind: Kind) -> str:
    """A password, or the seed of a user's key pair."""
    return secrets.token_urlsafe(24) if kind == "password" else new_seed()


def read(folder: Path) -> Secrets:
    """What is in ``folder``; nothing, if it is not there."""
    files = sorted(folder.glob("connectors-*/*"))
    found: Secrets = {}
    for file in files:
        found.setdefault(file.parent.name, {})[file.name] = file.read_text()
    return found


def write(folder: Path, wanted: Secrets) -> list[str]:
    """Write what is not so already; returns the files that were written, as ``NAME/KEY``."""
    known, written = read(folder), []
    folder.mkdir(mode=_FOLDER_MODE, parents=True, exist_ok=True)
    folder.chmod(_FOLDER_MODE)
    for name, keys in wanted.items():
        (folder / name).mkdir(exist_ok=True)
        for key, value in keys.items():
            if known.get(name, {}).get(key) != value:
                _replace(folder / name / key, value)
                written.append(f"{name}/{key}")
    return written


def _replace(path: Path, text: str) -> None:
    """Whole, or not at all."""
    beside = path.with_name(f".{path.name}.new")
    beside.unlink(missing_ok=True)
    with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _FILE_MODE), "w") as file:
        file.write(text)
    beside.replace(path)


def manifests(found: Secrets) -> str:
    """The Secrets for ``kubectl apply -f -``, as JSON."""
    items = [
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": name, "labels": {"app.kubernetes.io/part-of": "agentic-connectors"}},
            "type": "Opaque",
            "data": {key: base64.b64encode(value.encode()).decode() for key, value in keys.items()},
        }
        for name, keys in found.items()
    ]
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": items}, indent=1)
