"""Starts a sandbox: its folders, its process, and the job that its supervisor is given."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import json
import marshal
import os
import resource
import shutil
import socket
import tempfile
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path

from contracts.errors import Transient
from contracts.reports import Isolation
from infra.runtime.sandbox import bubblewrap, cgroup, syscalls, usage
from infra.runtime.sandbox.models import Layout, Report, Request
from infra.runtime.sandbox.session import CHUNK, Session

FIRST_PID_NAMESPACE = 0xEFFFFFFC
"""The inode of the machine's own (PROC_PID_INIT_INO of Linux)."""

STACK_BYTES = 8 * 1024 * 1024
OWN_PROCESSES = 4
"""Of the sandbox itself: bwrap twice, the supervisor, and one by which who looks sees that there are too many."""


def free_port() -> int:
    """A loopback port that is free now: right for an endpoint in either kind of sandbox."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


@contextlib.asynccontextmanager
async def start(request: Request, isolation: Isolation | None = None) -> AsyncIterator[Session]:
    """Start it; all that it started is dead when the block is left.

    Args:
        isolation: how to confine it; by default what `probe` found to work.

    Raises:
        Transient: the sandbox itself did not start.
    """
    if isolation is None:
        from infra.runtime.sandbox.probe import probe

        isolation = await probe()
    python = request.python.absolute() if request.python else None
    request = replace(request, tree=request.tree.absolute(), python=python)
    with _scratch(request, isolation) as layout:
        session = await _launch_or_end(request, layout, isolation)
        try:
            yield session
        finally:
            await session.end()


async def run(request: Request, isolation: Isolation | None = None) -> Report:
    """Run it to its end, or to the first bound that it breaks. Arguments and errors as of `start`."""
    async with start(request, isolation) as session:
        return await session.finish()


@contextlib.contextmanager
def _scratch(request: Request, isolation: Isolation) -> Iterator[Layout]:
    """The layout; for a process without namespaces also real folders, removed at the end."""
    if isolation.kind == "bubblewrap":
        yield bubblewrap.layout(request)
        return
    root = Path(tempfile.mkdtemp(prefix="sandbox-"))
    try:
        for name in ("work", "input", "tmp"):
            (root / name).mkdir(mode=0o700)
        yield Layout(
            work=str(root / "work"),
            input=str(root / "input"),
            tmp=str(root / "tmp"),
            endpoints={port: str(path) for port, path in request.endpoints.items()},
            copy_from=str(request.tree),
        )
    finally:
        shutil.rmtree(root, ignore_errors=True)


async def _launch_or_end(request: Request, layout: Layout, isolation: Isolation) -> Session:
    """Start it; whoever is cancelled meanwhile still waits until there is something that can be ended."""
    launching = asyncio.create_task(_launch(request, layout, isolation))
    try:
        return await asyncio.shield(launching)
    except asyncio.CancelledError:
        await (await launching).end()
        raise


async def _launch(request: Request, layout: Layout, isolation: Isolation) -> Session:
    ours, theirs = socket.socketpair()
    info, info_writer = os.pipe()
    refused = _filter() if isolation.kind == "bubblewrap" else None
    try:
        argv, cwd = _command(request, isolation, info_writer, refused)
        process = await asyncio.create_subprocess_exec(
            *argv,
            stdin=theirs.fileno(),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            limit=CHUNK,
            env={},
            cwd=cwd,
            pass_fds=(info_writer, *(() if refused is None else (refused,))),
            start_new_session=True,
        )
    except OSError as error:
        ours.close()
        os.close(info)
        raise Transient(f"the sandbox cannot start a process: {error.strerror}") from error
    finally:
        theirs.close()
        os.close(info_writer)
        if refused is not None:
            os.close(refused)
    try:
        handle = os.pidfd_open(process.pid)
    except ProcessLookupError:  # over already, and collected by asyncio
        ours.close()
        os.close(info)
        _, errors = await process.communicate()
        raise Transient(f"the sandbox did not work: {errors[-500:].decode(errors='replace').strip()}") from None
    reader, writer = await asyncio.open_connection(sock=ours)
    init = await asyncio.to_thread(_init_pid, info) if isolation.kind == "bubblewrap" else process.pid
    if isolation.kind == "process":
        os.close(info)
    # What was not vouched for begins with the job; until then nothing in there forks but what we know.
    group = cgroup.group(request.limits.processes + OWN_PROCESSES)
    if group is not None:
        group.take(process.pid)
    session = Session(request, isolation, process, (reader, writer), handle, init, _handle_of(init, handle), group)
    writer.write(_job(request, layout, isolation))
    for content in request.files.values():
        writer.write(content)
    return session


def _filter() -> int | None:
    """A pipe from which the filter of system calls can be read; None where there is none."""
    program = syscalls.filter_program()
    if program is None:
        return None
    reader, writer = os.pipe()
    os.write(writer, program)  # it fits into the pipe
    os.close(writer)
    return reader


def _command(request: Request, isolation: Isolation, info_fd: int, filter_fd: int | None) -> tuple[list[str], str]:
    if isolation.kind == "process":
        return [str(bubblewrap.SUPERVISOR_PYTHON), "-I", "-S", str(bubblewrap.SUPERVISOR)], "/"
    bwrap = shutil.which("bwrap")
    if bwrap is None:
        raise FileNotFoundError(errno.ENOENT, "bwrap is not installed")
    return bubblewrap.command(bwrap, request, info_fd, filter_fd, proc=isolation.proc), "/"


def _init_pid(info: int) -> int:
    """The pid, seen from outside, of the sandbox's process 1; 0 if bwrap ended before it had one.

    Reads up to the end of the JSON, not of the pipe: process 1 holds it open until it begins."""
    with os.fdopen(info, "rb", buffering=0) as stream:
        text = b""
        while b"}" not in text and (chunk := stream.read(CHUNK)):
            text += chunk
    return int(json.loads(text)["child-pid"]) if text else 0


def _handle_of(init: int, otherwise: int) -> int:
    """A handle of process ``init``; ``otherwise`` where it is gone, or is the same process."""
    try:
        return os.pidfd_open(init) if init else otherwise
    except ProcessLookupError:
        return otherwise


def _job(request: Request, layout: Layout, isolation: Isolation) -> bytes:
    limits = request.limits
    tokens = {"{work}": layout.work, "{input}": layout.input, "{tmp}": layout.tmp, "{python}": str(request.python)}

    def fill(text: str) -> str:
        for token, value in tokens.items():
            text = text.replace(token, value)
        return text

    env = {"PATH": "/usr/bin:/bin", "HOME": "{tmp}", "TMPDIR": "{tmp}", "LANG": "C.UTF-8", **request.env}
    job = {
        "argv": [fill(each) for each in request.argv],
        "env": {name: fill(value) for name, value in env.items()},
        "work": layout.work,
        "input": layout.input,
        "files": [[name, len(content)] for name, content in request.files.items()],
        "endpoints": {str(port): path for port, path in layout.endpoints.items()},
        "copy_from": layout.copy_from,
        "outputs": list(request.outputs),
        "output_bytes": limits.file_bytes,
        "subreaper": isolation.kind == "process",
        "rlimits": {
            "RLIMIT_CPU": limits.cpu_s,
            "RLIMIT_DATA": limits.memory_bytes,
            "RLIMIT_AS": 4 * limits.memory_bytes + 1024**3,
            "RLIMIT_FSIZE": limits.file_bytes,
            "RLIMIT_NOFILE": limits.open_files,
            "RLIMIT_STACK": STACK_BYTES,
            "RLIMIT_CORE": 0,
            "RLIMIT_NPROC": _user_threads(limits.processes)
            if isolation.kind == "process"
            else limits.processes + 2,
        },
    }
    encoded = marshal.dumps(job)
    return b"%d\n%b" % (len(encoded), encoded)


def _user_threads(more: int) -> int:
    """How many threads this user may have for ``more`` to be possible: without a user namespace the kernel counts
    all that it has on this machine. A container shows its own alone, and others often run as the same user: there
    the limit stays as it is, and only the look from outside (`session`) bounds them."""
    if os.stat("/proc/self/ns/pid").st_ino != FIRST_PID_NAMESPACE:
        return resource.getrlimit(resource.RLIMIT_NPROC)[0]
    user = os.getuid()
    for process in usage.processes(Path("/proc")):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            more += process.threads if os.stat(f"/proc/{process.pid}").st_uid == user else 0
    return more
