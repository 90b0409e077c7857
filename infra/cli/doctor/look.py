"""Looks the machine up, all of it at once. Nothing leaves it but a call to a bus or database that is configured."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import stat
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

import httpx2

from contracts.errors import ConnectorsError, Permanent
from infra.cli.doctor.facts import Confinement, Kernel, Key, Machine, Place, Server, Stack
from infra.runtime import clock, sandbox
from infra.runtime.claude.settings import ClaudeSettings
from infra.runtime.confinement import ConfinementSettings
from infra.runtime.nats_server import NatsServer, ServerMissing, find_binary
from infra.runtime.processes import without_keys
from infra.runtime.sandbox import cgroup
from infra.runtime.settings import BusSettings
from infra.runtime.stack import StackConfig, read_processes
from infra.runtime.toolchain.place import cache_dir, locate

PATIENCE_S = 2.0
"""For each program that has to answer."""
START_S = 10.0
"""For nats-server to start, which takes 0.1 s where nothing else works."""

_OURS = Path(__file__).parents[1]
_PROC_SYS = Path("/proc/sys")
_CONTAINER_MARKS = (Path("/.dockerenv"), Path("/run/.containerenv"), Path("/var/run/secrets/kubernetes.io"))


async def look(config: StackConfig, environment: Mapping[str, str] = os.environ) -> Machine:
    """What is so on this machine, for a stack of that ``config``."""
    nats, confinement, docker, stack, bus, database = await asyncio.gather(
        _nats(), _confinement(environment), _docker(), stack_of(config), _bus(environment), _database(environment)
    )
    toolchain = locate()
    settings = BusSettings()
    return Machine(
        python=sys.version_info[:3],
        python_path=sys.executable,
        nats=nats,
        confinement=confinement,
        toolchain=toolchain.root,
        toolchain_ready=toolchain.is_ready(),
        docker=docker,
        key=key_of(environment),
        places=tuple(
            _place(name, path)
            for name, path in (
                *(("data", config.data), ("output", config.output), ("cache", cache_dir())),
                ("temporary", Path(tempfile.gettempdir())),
            )
        ),
        streams_bytes=settings.events_max_bytes + settings.turns_max_bytes + settings.artifacts_max_bytes,
        stack=stack,
        cores=len(os.sched_getaffinity(0)),
        memory_bytes=_memory_bytes(),
        now_s=clock.epoch_s(),
        newest_s=max(path.stat().st_mtime for path in _OURS.rglob("*.py")),
        bus=bus,
        database=database,
    )


# --- programs that have to answer ------------------------------------------------------------------------


async def _nats() -> Server:
    """Whether a server with a store of its own starts here."""
    try:
        binary = str(find_binary())
    except ServerMissing as error:
        return Server(problem=error.what)
    code, version = await _said(binary, "--version")
    if code != 0:
        return Server(binary, problem=version)
    try:
        with tempfile.TemporaryDirectory(prefix="doctor-") as folder:
            server = NatsServer(Path(folder))
            try:
                await server.start(timeout_s=START_S)
            finally:
                await server.stop()
    except (ConnectorsError, OSError) as error:
        return Server(binary, version, str(error))
    return Server(binary, version.rpartition(" ")[2])


async def _docker() -> Server:
    """The engine, as Docker's own client finds it."""
    client = shutil.which("docker")
    if client is None:
        return Server(problem="docker is not installed")
    code, said = await _said(client, "version", "--format", "{{.Server.Version}}")
    return Server(client, version=said) if code == 0 and said else Server(client, problem="no engine answers")


async def _said(*argv: str) -> tuple[int | None, str]:
    """The exit code and the last line of what a program says; None if it did not end in time."""
    process = await asyncio.create_subprocess_exec(
        *argv,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env=without_keys(),
    )
    try:
        async with asyncio.timeout(PATIENCE_S):
            output, _ = await process.communicate()
    except TimeoutError:
        process.kill()
        await process.wait()
        return None, f"no answer within {PATIENCE_S:g} s"
    return process.returncode, (output.decode(errors="replace").strip().splitlines() or [""])[-1]


async def _bus(environment: Mapping[str, str]) -> Server | None:
    """One that is configured: does any of its servers take a connection?"""
    if not environment.get("CONNECTORS_NATS_URL"):
        return None
    answers = [await _connects(url, 4222) for url in BusSettings().servers]
    return next((answer for answer in answers if not answer.problem), answers[0])


async def _database(environment: Mapping[str, str]) -> Server | None:
    url = environment.get("CONNECTORS_EVENT_STORE_URL", "")
    return await _connects(url, 5432) if url.startswith("postgres") else None


async def _connects(url: str, usual_port: int) -> Server:
    """Only host and port of the URL are shown: it may hold a password."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "localhost", parts.port or usual_port
        async with asyncio.timeout(PATIENCE_S):
            _, writer = await asyncio.open_connection(host, port)
    except ValueError:
        return Server("its URL", problem="that is no URL")
    except (OSError, TimeoutError) as error:
        return Server(f"{host}:{port}", problem=getattr(error, "strerror", None) or "it took too long")
    writer.close()
    return Server(f"{host}:{port}")


# --- how code is confined --------------------------------------------------------------------------------


async def _confinement(environment: Mapping[str, str]) -> Confinement:
    bwrap = shutil.which("bwrap")
    code, version = await _said(bwrap, "--version") if bwrap else (None, "")
    made = cgroup.group(1)
    if made is not None:
        await made.remove()
    return Confinement(
        isolation=await sandbox.probe(),
        allowed=ConfinementSettings().allow_unconfined_code,
        bwrap=version.rpartition(" ")[2] if code == 0 else "",
        kernel=Kernel(
            _number("user/max_user_namespaces"),
            _number("kernel/unprivileged_userns_clone"),
            _number("kernel/apparmor_restrict_unprivileged_userns"),
        ),
        container="KUBERNETES_SERVICE_HOST" in environment or any(mark.exists() for mark in _CONTAINER_MARKS),
        root=os.getuid() == 0,
        cgroup=made is not None,
    )


def _number(name: str) -> int | None:
    try:
        return int((_PROC_SYS / name).read_text())
    except (OSError, ValueError):
        return None


# --- what is here ----------------------------------------------------------------------------------------


def key_of(environment: Mapping[str, str]) -> Key:
    """Read, and forgotten: only that it is there."""
    settings = ClaudeSettings()
    source = next((n for n in ("ANTHROPIC_API_KEY_FILE", "ANTHROPIC_API_KEY") if environment.get(n)), "")
    try:
        settings.key()
    except Permanent as error:
        return Key(source, problem=str(error))
    file = settings.api_key_file
    shared = file is not None and bool(stat.S_IMODE(file.stat().st_mode) & 0o077)
    return Key(source, open_to_others=shared)


def _place(name: str, path: Path) -> Place:
    """Of a folder that is not there yet, the one that it would be made in counts."""
    there = next(each for each in (path, *path.parents) if each.exists())
    try:
        free = shutil.disk_usage(there).free
    except OSError:
        return Place(name, path, 0, writable=False)
    return Place(name, path, free, writable=there.is_dir() and os.access(there, os.W_OK | os.X_OK))


def _memory_bytes() -> int:
    """What this machine has, or what its container may take (cgroups 2 and 1), whichever is less."""
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    limits = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))
    found = (path.read_text().strip() for path in limits if path.is_file())
    return min((pages, *(int(text) for text in found if text.isdigit())))


async def stack_of(config: StackConfig) -> Stack:
    """What runs on this data folder, and who has the port."""
    try:
        url, processes = read_processes(config.state_file)
    except (OSError, ValueError, KeyError, TypeError):  # somebody else's file, or cut off: no stack of ours
        url, processes = None, []
    waiting = tuple(process.service for process in processes if process.state != "ready")
    if url is not None and len(waiting) == len(processes):  # left behind by one that was killed
        url, waiting = None, ()
    stack = Stack(url or "", len(processes) - len(waiting), waiting, config.port)
    if not await asyncio.to_thread(_taken, config.host, config.port):
        return stack
    ours = stack.url.endswith(f":{config.port}") or await _is_gateway(f"http://{config.host}:{config.port}")
    return Stack(stack.url, stack.ready, stack.waiting, config.port, "ours" if ours else "taken")


def _taken(host: str, port: int) -> bool:
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((host, port))
        except OSError:
            return True
    return False


async def _is_gateway(url: str) -> bool:
    """A stack on another data folder."""
    try:
        async with httpx2.AsyncClient(timeout=PATIENCE_S, trust_env=False) as client:
            return (await client.get(f"{url}/pipelines")).status_code == 200
    except httpx2.HTTPError:
        return False
