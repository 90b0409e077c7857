"""Looks at the processes of a sandbox from outside, where nothing inside can interfere."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

MARK = "sandbox/supervisor.py"
"""What only a sandbox's root has."""

PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True)
class Process:
    pid: int
    parent: int
    group: int
    threads: int
    resident_bytes: int


def processes(proc: Path) -> Iterator[Process]:
    """Every process that ``proc``, a mounted /proc, shows."""
    for name in os.listdir(proc):
        if name.isdigit() and (process := _read(proc / name / "stat")):
            yield process


def _read(stat: Path) -> Process | None:
    """proc_pid_stat(5); the command's name in parentheses may hold anything, so count from the last one."""
    try:
        head, _, tail = stat.read_bytes().rpartition(b") ")
    except (FileNotFoundError, ProcessLookupError):
        return None
    fields = tail.split()
    pid = int(head.split(b" ", 1)[0])
    return Process(pid, int(fields[1]), int(fields[2]), int(fields[17]), int(fields[21]) * PAGE_BYTES)


def inside(init: int) -> list[Process]:
    """The processes of the sandbox whose first process is ``init``; pids as inside. None while it is still being
    set up: until then its root is ours, and so is the /proc below it."""
    root = Path(f"/proc/{init}/root")
    return list(processes(root / "proc")) if (root / MARK).exists() else []


def descendants(root: int) -> list[Process]:
    """``root`` and everything below it, by parenthood."""
    children: dict[int, list[Process]] = {}
    found: list[Process] = []
    for process in processes(Path("/proc")):
        children.setdefault(process.parent, []).append(process)
        if process.pid == root:
            found.append(process)
    for process in found:
        found.extend(children.get(process.pid, ()))
    return found
