"""Runs whole processes and measures them from outside: wall time, CPU time, peak memory, and what came out."""

from __future__ import annotations

import os
import signal
import statistics
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from infra.runtime.processes import die_with_parent

Count = Callable[[Path], int]
"""How many records a finished process has brought, by the file that its standard output was sent to."""

_SAMPLED_EVERY_S = 0.02
_OUTPUT, _ERRORS = "stdout", "stderr"
_ERRORS_SHOWN = 2000


class WrongOutput(Exception):
    """A process failed, or brought something else than it should: its time is worth nothing."""


@dataclass(frozen=True)
class Contender:
    """One way to do the work: a command that does all of it, from start to exit."""

    name: str
    command: Sequence[str | Path]
    count: Count
    env: Mapping[str, str] = field(default_factory=dict)
    ends: Sequence[int] = (0,)
    """Exit codes of a run that did its work."""


@dataclass(frozen=True)
class Run:
    wall_s: float
    cpu_s: float
    peak_mib: float


@dataclass(frozen=True)
class Runs:
    """All runs of one contender."""

    runs: tuple[Run, ...]

    @property
    def best_s(self) -> float:
        return min(run.wall_s for run in self.runs)

    @property
    def median_s(self) -> float:
        return statistics.median(run.wall_s for run in self.runs)

    @property
    def cpu_s(self) -> float:
        return min(run.cpu_s for run in self.runs)

    @property
    def peak_mib(self) -> float:
        return max(run.peak_mib for run in self.runs)


def race(contenders: Sequence[Contender], expected: int, rounds: int) -> dict[str, Runs]:
    """Run all in turn, ``rounds`` times: in turn, because the speed of a machine drifts.

    Raises:
        WrongOutput: one of them did not bring ``expected`` records.
    """
    taken = [[run_once(contender, expected) for contender in contenders] for _ in range(rounds)]
    return {
        contender.name: Runs(runs) for contender, runs in zip(contenders, zip(*taken, strict=True), strict=True)
    }


def run_once(contender: Contender, expected: int, timeout_s: float = 600.0) -> Run:
    """
    Raises:
        WrongOutput: it failed, did not bring ``expected`` records, or was not done after ``timeout_s``.
    """
    with tempfile.TemporaryDirectory(prefix="connectors-bench-") as name:
        folder = Path(name)
        run, code = _execute(contender, folder, timeout_s)
        if run.wall_s >= timeout_s:
            raise WrongOutput(f"{contender.name}: not done after {timeout_s:g} s")
        found = contender.count(folder / _OUTPUT) if code in contender.ends else None
        if found != expected:
            ends = ((folder / name).read_bytes()[-_ERRORS_SHOWN:] for name in (_OUTPUT, _ERRORS))
            said = b"".join(ends).decode(errors="replace")
            raise WrongOutput(f"{contender.name}: exit {code}, {found} of {expected} records\n{said}")
    return run


def _execute(contender: Contender, folder: Path, timeout_s: float) -> tuple[Run, int]:
    """What it took, and the exit code."""
    with (folder / _OUTPUT).open("wb") as stdout, (folder / _ERRORS).open("wb") as stderr:
        began = time.perf_counter()
        process = subprocess.Popen(
            [str(part) for part in contender.command],
            cwd=folder,
            env={"PATH": os.environ["PATH"], "HOME": str(folder), **contender.env},
            stdout=stdout,
            stderr=stderr,
            preexec_fn=die_with_parent,
        )
        limit = threading.Timer(timeout_s, os.kill, (process.pid, signal.SIGKILL))
        limit.start()
        with _Peak(process.pid) as peak:
            _, status, usage = os.wait4(process.pid, 0)
        limit.cancel()
        wall_s = time.perf_counter() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    return Run(wall_s, usage.ru_utime + usage.ru_stime, peak.mib), process.returncode


class _Peak:
    """The greatest resident size of a process, as the kernel keeps it (VmHWM), looked up until the process ends.

    Not ``ru_maxrss``: that of a child begins with the size of whoever started it.
    """

    def __init__(self, pid: int) -> None:
        self.mib = 0.0
        self._status = Path(f"/proc/{pid}/status")
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> _Peak:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._ended.wait(_SAMPLED_EVERY_S):
            try:
                text = self._status.read_text()
            except OSError:
                return
            found = text.partition("VmHWM:")[2].split()
            if found:
                self.mib = max(self.mib, int(found[0]) / 1024)
