"""What the doctor looks up. No key, no password, and nothing that was read from a secret file is in here."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from contracts.reports import Isolation


@dataclass(frozen=True)
class Server:
    """A program that has to answer. ``where``: its path or address; ``problem``: why it does not, in words."""

    where: str = ""
    version: str = ""
    problem: str = ""


@dataclass(frozen=True)
class Kernel:
    """The settings by which a system keeps users from making namespaces; None where it has no such setting."""

    max_user_namespaces: int | None = None
    unprivileged_userns_clone: int | None = None
    apparmor_restrict_unprivileged_userns: int | None = None


@dataclass(frozen=True)
class Confinement:
    """``allowed``: whether code of a model runs without isolation. ``bwrap``: its version, empty if it is not
    installed. ``cgroup``: whether one may be made here."""

    isolation: Isolation
    allowed: bool = False
    bwrap: str = ""
    kernel: Kernel = Kernel()
    container: bool = False
    root: bool = False
    cgroup: bool = False


@dataclass(frozen=True)
class Key:
    """``source``: the variable that names it, empty if none does. ``open_to_others``: its file's mode."""

    source: str = ""
    problem: str = ""
    open_to_others: bool = False


@dataclass(frozen=True)
class Place:
    """A folder that will be written to. ``free_bytes``: for this user, where it is or would be made."""

    name: str
    path: Path
    free_bytes: int
    writable: bool = True


@dataclass(frozen=True)
class Stack:
    """What stack.json names: the gateway's URL (empty if no stack runs), and services that are not ready."""

    url: str = ""
    ready: int = 0
    waiting: tuple[str, ...] = ()
    port: int = 8002
    port_is: Literal["free", "ours", "taken"] = "free"


@dataclass(frozen=True)
class Machine:
    """Sizes in bytes. ``newest_s``: when the newest of our own files was written, ``now_s`` the clock, both in
    seconds since 1970. ``streams_bytes``: what the bus's streams may grow to. ``bus``: set if one is configured,
    ``database`` if it is PostgreSQL."""

    python: tuple[int, int, int]
    python_path: str
    nats: Server
    confinement: Confinement
    toolchain: Path
    toolchain_ready: bool
    docker: Server
    key: Key
    places: tuple[Place, ...]
    streams_bytes: int
    stack: Stack
    cores: int
    memory_bytes: int
    now_s: float
    newest_s: float
    bus: Server | None = None
    database: Server | None = None
