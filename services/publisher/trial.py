"""Installs the wheel as a user would, in a clean venv, and asks it for its `spec` there."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

from contracts.errors import Permanent
from infra.runtime import sandbox
from infra.runtime.toolchain import Toolchain, ToolFailed, install_offline
from services.publisher.settings import Settings


async def try_wheel(
    wheel_file: str, wheel: bytes, distribution: str, workspace: Path, toolchain: Toolchain, settings: Settings
) -> None:
    """Return if the installed console script answers `spec` with a specification.

    Raises:
        Permanent: the wheel does not install from the pinned set, or the answer is none.
    """
    path = workspace / wheel_file
    await asyncio.to_thread(path.write_bytes, wheel)
    venv = workspace / "venv"
    try:
        python = await asyncio.to_thread(install_offline, toolchain, venv, path)
    except ToolFailed as error:
        raise Permanent(f"the wheel does not install in a clean environment: {error.what}") from error
    empty = workspace / "empty"
    empty.mkdir()
    limits = sandbox.Limits(
        wall_s=settings.trial_timeout_s, cpu_s=int(settings.trial_timeout_s), memory_bytes=settings.memory_bytes
    )
    script = str(venv.absolute() / "bin" / distribution)
    report = await sandbox.run(sandbox.Request(empty, (script, "spec"), python=python, limits=limits))
    if not report.ok:
        words = report.stderr.decode(errors="replace").strip()[-500:]
        how = report.stopped or f"exit {report.exit_code}"
        raise Permanent(f"the installed {distribution} does not answer `spec` ({how}): {words}")
    check_spec(report.stdout, distribution)


def check_spec(output: bytes, distribution: str) -> None:
    """Airbyte protocol: one message a line, exactly one SPEC among them, beside it only logs.

    Raises:
        Permanent: it is not so.
    """
    specs = 0
    for line in output.splitlines():
        try:
            message = json.loads(line)
        except (ValueError, RecursionError):
            message = None
        kind = message.get("type") if isinstance(message, dict) else None
        if kind == "SPEC":
            spec = message.get("spec")
            specs += isinstance(spec, dict) and isinstance(spec.get("connectionSpecification"), dict)
        elif kind not in ("LOG", "TRACE"):
            raise Permanent(f"{distribution} spec prints a line that is no message of the protocol")
    if specs != 1:
        raise Permanent(f"{distribution} spec answers with {specs} specifications instead of one")
