"""Finds out once whether isolation works here: not that a program is there, but that a run really is confined."""

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
from infra.runtime.sandbox import bubblewrap, usage
from infra.runtime.sandbox.launch import start
from infra.runtime.sandbox.models import Limits, Request

TIMEOUT_S = 15.0

_BREAK_OUT = """
import json, os, socket, sys, time
secret, port, pids = sys.argv[1], int(sys.argv[2]), sys.argv[3]
found = []
def attempt(what, action):
    try:
        if action():
            found.append(what)
    except OSError:
        pass
def processes():
    return os.readlink("/proc/self/ns/pid") == pids or b"supervisor" not in open("/proc/1/cmdline", "rb").read()
attempt("read a file outside", lambda: open(secret).read())
attempt("reach a port outside", lambda: socket.create_connection(("127.0.0.1", port), 2))
attempt("see another process", processes)
attempt("write to the system", lambda: open("/usr/probe", "w"))
attempt("change the kernel's settings", lambda: open("/proc/sys/kernel/core_pattern", "w"))
attempt("write to the tree", lambda: open("probe", "w"))
attempt("see the environment outside", lambda: "CONNECTORS_PROBE" in os.environ)
print(json.dumps(found), flush=True)
time.sleep(60)
"""

_cached: Isolation | None = None


async def probe() -> Isolation:
    """How code can be confined on this machine; looked up once per process."""
    global _cached
    if _cached is None:
        reason = await _why_not()
        _cached = Isolation(kind="process", note=reason) if reason else Isolation(kind="bubblewrap")
    return _cached


async def _why_not() -> str:
    """Why bubblewrap cannot be relied on; empty if it can."""
    if shutil.which("bwrap") is None:
        return "bubblewrap is not installed: limits only, no isolation"
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
            async with asyncio.timeout(TIMEOUT_S), start(request, Isolation(kind="bubblewrap")) as session:
                answer = await anext(session.lines(), b"")
                watched = bool(usage.inside(session.init))
        except (Transient, TimeoutError, OSError) as error:
            return f"bubblewrap does not work here ({error}): limits only, no isolation"
    if not answer:
        return "bubblewrap does not work here: the probe inside it failed; limits only, no isolation"
    if broken := json.loads(answer):
        return f"bubblewrap does not isolate here (could {', '.join(broken)}): limits only"
    return "" if watched else "bubblewrap's processes cannot be watched here: limits only, no isolation"
