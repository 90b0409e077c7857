"""Finds out once whether isolation works here: not that a program is there, but that a run really is confined.

What works is taken: all of it, else what works in a container, else none.
"""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import shutil
import socket
import tempfile
from pathlib import Path

from contracts.errors import Transient
from contracts.reports import Isolation
from infra.runtime.sandbox import bubblewrap
from infra.runtime.sandbox.launch import start
from infra.runtime.sandbox.models import Limits, Request

TIMEOUT_S = 15.0
WITHOUT_PROC = "as in a container: confined, but without a /proc of its own"

_BREAK_OUT = """
import _ctypes, json, os, socket, sys, time
secret, port, pids = sys.argv[1], int(sys.argv[2]), sys.argv[3]
proc = os.path.exists("/proc")
found = []
def attempt(what, action):
    try:
        if action():
            found.append(what)
    except OSError:
        pass
def processes():
    if os.getppid() != 1:  # the supervisor is the first process of a namespace of its own
        return True
    if not proc:
        return False
    return os.readlink("/proc/self/ns/pid") == pids or b"supervisor" not in open("/proc/1/cmdline", "rb").read()
def namespace():
    unshare = _ctypes.dlsym(_ctypes.dlopen(None, 0), "unshare")
    return _ctypes.call_function(unshare, (0x10000000,)) == 0
attempt("read a file outside", lambda: open(secret).read())
attempt("reach a port outside", lambda: socket.create_connection(("127.0.0.1", port), 2))
attempt("see another process", processes)
attempt("write to the system", lambda: open("/usr/probe", "w"))
attempt("change the kernel's settings", lambda: open("/proc/sys/kernel/core_pattern", "w"))
attempt("write to the tree", lambda: open("probe", "w"))
attempt("write to the memory of what watches it", lambda: open("/proc/1/mem", "r+b"))
attempt("make a user namespace", namespace)
attempt("see the environment outside", lambda: "CONNECTORS_PROBE" in os.environ)
print(json.dumps(found), flush=True)
time.sleep(60)
"""

_cached: Isolation | None = None


async def probe() -> Isolation:
    """How code can be confined on this machine; looked up once per process."""
    global _cached
    if _cached is None:
        _cached = await look()
    return _cached


async def look() -> Isolation:
    """As `probe`, looked up anew."""
    if shutil.which("bwrap") is None:
        return Isolation(kind="process", note="bubblewrap is not installed: limits only, no isolation")
    reason = await _why_not(Isolation(kind="bubblewrap"))
    if not reason:
        return Isolation(kind="bubblewrap")
    inner = Isolation(kind="bubblewrap", proc=False, note=WITHOUT_PROC)
    return inner if not await _why_not(inner) else Isolation(kind="process", note=reason)


async def _why_not(isolation: Isolation) -> str:
    """Why this isolation cannot be relied on; empty if it can."""
    with tempfile.TemporaryDirectory(prefix="probe-") as folder, socket.create_server(("127.0.0.1", 0)) as listener:
        secret = Path(folder) / "secret"
        secret.write_text(secrets.token_hex())
        tree = Path(folder) / "tree"
        tree.mkdir()
        pids = os.readlink("/proc/self/ns/pid")
        port = str(listener.getsockname()[1])
        argv = (str(bubblewrap.SUPERVISOR_PYTHON), "-I", "-S", "-c", _BREAK_OUT, str(secret), port, pids)
        request = Request(tree, argv, limits=Limits(wall_s=TIMEOUT_S))
        try:
            async with asyncio.timeout(TIMEOUT_S), start(request, isolation) as session:
                answer = await anext(session.lines(), b"")
                watched = bool(session.look())
                if not answer:
                    await session.finish()  # raises what bwrap says of it
        except (Transient, TimeoutError, OSError) as error:
            return f"bubblewrap does not work here ({error}): limits only, no isolation"
    if not answer:
        return "bubblewrap does not work here: the probe inside it failed; limits only, no isolation"
    if broken := json.loads(answer):
        return f"bubblewrap does not isolate here (could {', '.join(broken)}): limits only"
    return "" if watched else "bubblewrap's processes cannot be watched here: limits only, no isolation"
