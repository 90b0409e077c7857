"""What a sandbox is asked for, and what it answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from contracts.reports import Isolation

MIB = 1024 * 1024


@dataclass(frozen=True)
class Limits:
    """Bounds of one run.

    ``memory_bytes`` holds for all its processes together (looked at ten times a second) and for the data of each
    one (by the kernel); ``processes`` counts threads too; ``disk_bytes`` is for each of the working copy and the
    temporary folder; ``file_bytes`` for each output too; ``output_bytes`` for stdout, ``line_bytes`` for each line
    of it where it is read by lines, ``errors_bytes`` for stderr."""

    wall_s: float = 60.0
    cpu_s: int = 60
    memory_bytes: int = 1024 * MIB
    processes: int = 64
    open_files: int = 256
    file_bytes: int = 128 * MIB
    disk_bytes: int = 256 * MIB
    output_bytes: int = 32 * MIB
    line_bytes: int = 32 * MIB
    errors_bytes: int = 16 * MIB


class Stop(StrEnum):
    """Why the sandbox itself ended a run."""

    WALL_TIME = "wall_time"
    MEMORY = "memory"
    PROCESSES = "processes"
    OUTPUT = "output"


@dataclass(frozen=True)
class Report:
    """How a run ended. Exactly one of ``exit_code``, ``signal`` and ``stopped`` is set, the last when the sandbox
    killed it for a bound. stdout and stderr are cut at their limits. ``files`` holds the outputs
    asked for that exist and fit. A report is not proof of anything that the code under test could write."""

    isolation: Isolation
    exit_code: int | None = None
    signal: int | None = None
    stopped: Stop | None = None
    stdout: bytes = b""
    stderr: bytes = b""
    truncated: bool = False
    files: Mapping[str, bytes] = field(default_factory=dict)
    duration_s: float = 0.0
    cpu_s: float = 0.0
    peak_bytes: int = 0

    @property
    def ok(self) -> bool:
        return self.exit_code == 0


@dataclass(frozen=True)
class Request:
    """One run: ``argv``, with ``tree`` as its working folder.

    In ``argv`` and ``env`` the tokens ``{work}``, ``{input}``, ``{tmp}`` and ``{python}`` stand for the working
    folder, the folder of ``files``, a temporary folder and ``python``. The environment is empty but for ``env``,
    PATH, HOME, TMPDIR and LANG; stdin is empty.

    Args:
        tree: mounted read-only, or with ``writable`` as a private copy that is thrown away.
        python: an interpreter (of a virtual environment) that the sandbox can see.
        endpoints: loopback port inside -> Unix socket outside; nothing else can be reached.
        files: name -> content, put into ``{input}``; the place for secrets (never argv or env).
        readable: more paths that can be read, at their own place.
        outputs: paths below the working folder to bring back in `Report.files`.
        work: where the working folder is seen inside; only namespaces can do that, a mere process is elsewhere."""

    tree: Path
    argv: Sequence[str]
    python: Path | None = None
    endpoints: Mapping[int, Path] = field(default_factory=dict)
    limits: Limits = field(default_factory=Limits)
    env: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, bytes] = field(default_factory=dict)
    readable: Sequence[Path] = ()
    writable: bool = False
    outputs: Sequence[str] = ()
    work: str = "/sandbox/work"


@dataclass(frozen=True)
class Layout:
    """Where things are as the code under test sees them."""

    work: str
    input: str
    tmp: str
    endpoints: Mapping[int, str]
    copy_from: str | None
