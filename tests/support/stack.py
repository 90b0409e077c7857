"""`connectors up` as a process, for tests of the whole."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

CONNECTORS = (sys.executable, "-m", "infra.cli.main")
REPO = Path(__file__).parents[2]


def connectors(*argv: str | Path, timeout_s: float = 110) -> subprocess.CompletedProcess[str]:
    """Run the command line to its end."""
    return subprocess.run(
        [*CONNECTORS, *map(str, argv)], cwd=REPO, capture_output=True, text=True, timeout=timeout_s, check=False
    )


def processes(data: Path) -> list[dict[str, Any]]:
    """What ``connectors ps --json`` says."""
    rows: list[dict[str, Any]] = json.loads(connectors("ps", "--data", data, "--json").stdout)
    return rows


def alive(pid: int) -> bool:
    """Running, and no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def eventually(holds: Callable[[], bool], timeout_s: float = 15) -> bool:
    """Whether ``holds`` becomes true in time."""
    end = time.monotonic() + timeout_s
    while time.monotonic() < end:
        if holds():
            return True
        time.sleep(0.05)
    return holds()


@contextlib.contextmanager
def running_up(data: Path, output: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """``connectors up`` on a free port; yields the process and the gateway's URL once it says that it is ready."""
    argv = [*CONNECTORS, "up", "--data", str(data), "--output", str(output), "--port", "0"]
    process = subprocess.Popen(
        argv, cwd=REPO, stdout=subprocess.PIPE, text=True, env={**os.environ, "COLUMNS": "200"}
    )
    try:
        assert process.stdout is not None
        line = ""
        while "ready in" not in line:
            line = process.stdout.readline()
            assert line, "`connectors up` ended before it was ready"
        yield process, line.split(": ", 1)[1].split()[0]
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
        try:
            process.wait(timeout=30)
        finally:
            process.kill()
