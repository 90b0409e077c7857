"""What tests of the sandbox share: whether there is one, and what it left behind."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

import pytest

from contracts.reports import Isolation
from infra.runtime.sandbox import probe, usage


async def confined() -> Isolation:
    """How code is confined here; skips where it is not."""
    found = await probe()
    if found.kind != "bubblewrap":
        pytest.skip(found.note)
    return found


def some_time() -> str:
    """Seconds to sleep that no other process sleeps: who still does was left behind."""
    return f"{800 + secrets.randbelow(10**8) / 10**6:.6f}"


def alive(marker: str) -> list[int]:
    """Processes whose command line holds the marker."""
    found = []
    for process in usage.processes(Path("/proc")):
        try:
            if marker.encode() in Path(f"/proc/{process.pid}/cmdline").read_bytes():
                found.append(process.pid)
        except (FileNotFoundError, ProcessLookupError):
            continue
    return [pid for pid in found if pid != os.getpid()]
