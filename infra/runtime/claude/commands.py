"""``bash`` and ``grep`` for a model, in the sandbox: no network, no secrets, no home, and only files come back."""

from __future__ import annotations

import io
import json
import re
import tarfile
import tempfile
from pathlib import Path
from typing import Any

from pydantic import BaseModel, Field, ValidationError

from contracts.errors import Rejected
from infra.runtime import sandbox
from infra.runtime.claude.workspace import MAX_BYTES, MAX_FILES, ROOT, Workspace
from infra.runtime.confinement import OPT_IN, may_run
from infra.runtime.sandbox import Limits, Report
from infra.runtime.sandbox.bubblewrap import SUPERVISOR_PYTHON
from infra.runtime.toolchain import prepare_async
from infra.runtime.trees import BY_PRODUCTS, is_by_product

MAX_COMMAND_S = 120
OUTPUT_BYTES = 12_000
"""Of the beginning of what a command wrote, and of its end."""

_INSIDE = Path(__file__).parent / "inside"
_TAR = ".workspace.tar"
_GRACE_S = 15.0
_MIB = 1024 * 1024


class BashInput(BaseModel):
    command: str = Field(min_length=1, max_length=100_000, description="run by bash in /workspace")
    timeout_s: int = Field(default=MAX_COMMAND_S, ge=1, le=MAX_COMMAND_S, description="seconds until it is stopped")


class GrepInput(BaseModel):
    pattern: str = Field(min_length=1, max_length=1000, description="a regular expression of Python's re module")
    path: str = Field(default=ROOT, description="a file or folder to search")
    glob: str = Field(default="", max_length=200, description="only files whose name matches, like *.py")


class _Told(BaseModel):
    """What ``inside/bash.py`` prints."""

    exit: int | None
    head: str
    omitted: int
    tail: str


async def bash(asked: BashInput, workspace: Workspace, *, unconfined: bool) -> str:
    """Run a command on a private copy of the workspace and take over the files that it leaves.

    The toolchain's ``python`` is on PATH. The result begins with how the command ended.

    Raises:
        Rejected: there is no isolation here; it took too long or broke a bound (nothing of it is taken over).
        Transient: the sandbox did not start.
    """
    isolation = await sandbox.probe()
    if not may_run(isolation, allowed=unconfined):
        raise Rejected(
            "bash is not available on this machine: bubblewrap is not installed or does not work, and code that a"
            f" model wrote runs without it only where the operator sets {OPT_IN}=true. Work with the other tools"
        )
    python = (await prepare_async()).python
    request = sandbox.Request(
        workspace.folder,
        (
            *(str(SUPERVISOR_PYTHON), "-I", "-S", "{input}/bash.py", "{input}/command"),
            *(str(asked.timeout_s), str(OUTPUT_BYTES), ",".join(sorted(BY_PRODUCTS))),
        ),
        python=python,
        limits=Limits(
            wall_s=asked.timeout_s + _GRACE_S,
            cpu_s=asked.timeout_s + int(_GRACE_S),
            memory_bytes=2048 * _MIB,
            processes=128,
            file_bytes=2 * MAX_BYTES,
            output_bytes=_MIB,
        ),
        env={"PATH": f"{python.parent}:/usr/bin:/bin", "PYTHONDONTWRITEBYTECODE": "1", "PYTHONHASHSEED": "0"},
        files={"bash.py": (_INSIDE / "bash.py").read_bytes(), "command": asked.command.encode()},
        writable=True,
        outputs=(_TAR,),
        work=ROOT,
    )
    report = await sandbox.run(request, isolation)
    told = _told(report)
    text = _as_seen(told.head + (f"\n[{told.omitted} bytes left out]\n" if told.omitted else "") + told.tail)
    if told.exit is None:
        raise Rejected(f"stopped after {asked.timeout_s} s; no file was changed. Until then it wrote:\n{text}")
    await workspace.replace(unpacked(report.files.get(_TAR)))
    return f"exit code {told.exit}\n{text}"


def _told(report: Report) -> _Told:
    """
    Raises:
        Rejected: the sandbox ended it for a bound, or it broke its own frame.
    """
    if report.stopped is not None:
        raise Rejected(f"stopped: the command broke a bound ({report.stopped.value}); no file was changed")
    try:
        return _Told.model_validate_json(report.stdout.splitlines()[-1] if report.stdout else b"")
    except ValidationError as error:
        raise Rejected("the command broke off what runs it; no file was changed") from error


def unpacked(content: bytes | None) -> dict[str, bytes]:
    """The regular files in a tar that a sandbox made, which may hold anything. Nothing is extracted to a disk.

    Raises:
        Rejected: there is none, it is damaged, or it holds too much.
    """
    if content is None:
        raise Rejected(f"the command left more than fits into {ROOT}; no file was changed")
    tree: dict[str, bytes] = {}
    try:
        with tarfile.open(fileobj=io.BytesIO(content), mode="r:") as tar:
            for member in tar:
                if not member.isreg() or any(is_by_product(part) for part in Path(member.name).parts[:-1]):
                    continue
                if member.size > MAX_BYTES or len(tree) >= MAX_FILES:
                    raise Rejected(f"the command left more than fits into {ROOT}; no file was changed")
                file = tar.extractfile(member)
                tree[member.name] = file.read() if file else b""
    except (tarfile.TarError, EOFError, ValueError, OSError) as error:
        raise Rejected("what the command left cannot be read; no file was changed") from error
    return tree


async def grep(asked: GrepInput, workspace: Workspace, relative: str) -> str:
    """Search below ``relative`` to the workspace. In the sandbox, for a pattern may take for ever.

    Raises:
        Rejected: it took too long, or is no regular expression.
        Transient: the sandbox did not start.
    """
    wanted: dict[str, Any] = {"pattern": asked.pattern, "path": relative, "glob": asked.glob}
    request = sandbox.Request(
        workspace.folder,
        (str(SUPERVISOR_PYTHON), "-I", "-S", "{input}/grep.py", "{input}/wanted.json"),
        limits=Limits(wall_s=20, cpu_s=20, memory_bytes=512 * _MIB, output_bytes=_MIB),
        files={
            "grep.py": (_INSIDE / "grep.py").read_bytes(),
            "wanted.json": json.dumps({**wanted, "most_bytes": 2 * OUTPUT_BYTES}).encode(),
        },
        work=ROOT,
    )
    report = await sandbox.run(request)
    text = report.stdout.decode(errors="replace").strip()
    if not report.ok:
        raise Rejected(text or "the search took too long or too much memory: use a simpler pattern")
    return text or "no matches"


def _as_seen(text: str) -> str:
    """Without namespaces a command sees the folder of its private copy: to the model that is `ROOT`."""
    return re.sub(re.escape(tempfile.gettempdir()) + r"/sandbox-[^/\s]+/work", ROOT, text)
