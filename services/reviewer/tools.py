"""Runs ruff and mypy over the tree, in the sandbox: they parse code that nobody vouches for.

Both come from our own environment, with ``-I`` from there alone, and are given our own rules; the package's
configuration, plugins and ``noqa`` comments have no say.
"""

from __future__ import annotations

import json
import secrets
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from contracts.errors import Transient
from contracts.reports import Finding, Severity
from infra.runtime import sandbox
from infra.runtime.toolchain import Toolchain
from services.reviewer.settings import Settings

RULES = Path(__file__).parent / "rules"
_PYTHON = Path(sys.executable)
_MYPY = "import sys; sys.modules['psutil'] = None; from mypy.__main__ import console_entry; console_entry()"
"""Where somebody has installed psutil mypy counts cores by it, which fails where a sandbox has no /proc."""

_SECURITY = ("S1", "S2", "S3", "S4", "S5", "S6", "S7")
_BROKEN_CODE = ("E9", "F8", "invalid-syntax")
_HARMLESS = ("S324",)


async def ruff_findings(tree: Path, settings: Settings) -> list[Finding]:
    """ruff with `RULES` over ``src`` and ``tests`` below ``tree``."""
    rules = RULES / "ruff.toml"
    options = ("--config", str(rules), "--ignore-noqa", "--no-cache", "--exit-zero", "--output-format", "json")
    folders = tuple(name for name in ("src", "tests") if (tree / name).is_dir())
    argv = ("{python}", "-I", "-m", "ruff", "check", *options, *folders)
    request = sandbox.Request(tree, argv, python=_PYTHON, readable=(RULES,), limits=_limits(settings))
    report = await sandbox.run(request)
    if not report.ok:
        return [_unfinished("ruff", report)]
    return list(parse_ruff(report.stdout))


def parse_ruff(output: bytes) -> Iterator[Finding]:
    """Findings from ruff's JSON."""
    for item in json.loads(output or b"[]"):
        code = item.get("code") or "invalid-syntax"
        yield Finding(
            severity=_ruff_severity(code),
            rule=f"ruff {code}",
            message=str(item["message"])[:300],
            file=_relative(item["filename"]),
            line=(item.get("location") or {}).get("row"),
        )


def _ruff_severity(code: str) -> Severity:
    if code.startswith(_BROKEN_CODE):
        return Severity.HIGH
    if code.startswith(_SECURITY) and code[1:].isdigit() and code not in _HARMLESS:
        return Severity.HIGH
    return Severity.LOW


async def mypy_findings(tree: Path, toolchain: Toolchain, warm_cache: Path, settings: Settings) -> list[Finding]:
    """mypy --strict with `RULES` over ``src`` below ``tree``. ``warm_cache`` is copied, never written: no package
    can leave anything in it for the next."""
    cache = f".types-{secrets.token_hex(8)}"  # a name that the package cannot have put anything at
    shutil.copytree(warm_cache, tree / cache)
    options = ("--config-file", str(RULES / "mypy.ini"), "--cache-dir", cache, "--no-error-summary", "-O", "json")
    argv = ("{python}", "-I", "-c", _MYPY, *options, "--python-executable", str(toolchain.python), "src")
    readable = (RULES, toolchain.root)
    request = sandbox.Request(
        tree, argv, python=_PYTHON, readable=readable, writable=True, limits=_limits(settings)
    )
    report = await sandbox.run(request)
    if report.exit_code not in (0, 1):
        return [_unfinished("mypy", report)]
    return list(parse_mypy(report.stdout))


def parse_mypy(output: bytes) -> Iterator[Finding]:
    """Findings from mypy's JSON lines; notes belong to the error before them and are left out."""
    for line in output.splitlines():
        if not line.startswith(b"{"):
            continue
        item: dict[str, Any] = json.loads(line)
        if item.get("severity") == "error":
            yield Finding(
                severity=Severity.MEDIUM,
                rule=f"mypy {item.get('code') or 'error'}",
                message=str(item["message"])[:300],
                file=_relative(item["file"]),
                line=item["line"] if item.get("line", 0) > 0 else None,
            )


def _limits(settings: Settings) -> sandbox.Limits:
    return sandbox.Limits(
        wall_s=settings.tool_timeout_s,
        cpu_s=int(settings.tool_timeout_s) * 2,
        memory_bytes=settings.tool_memory_bytes,
    )


def _unfinished(tool: str, report: sandbox.Report) -> Finding:
    """A tool that did not come to its end over this code: the code's fault if it broke a bound or the tool.

    Raises:
        Transient: the tool could not be started at all.
    """
    if report.exit_code == 127:
        raise Transient(f"{tool} cannot be started: {report.stderr[-300:].decode(errors='replace')}")
    how = report.stopped or (f"signal {report.signal}" if report.signal else f"exit {report.exit_code}")
    words = report.stderr.decode(errors="replace").strip()[-200:]
    return Finding(
        severity=Severity.HIGH, rule=f"{tool} unfinished", message=f"{tool} gave up on it ({how}) {words}"
    )


def _relative(path: str) -> str:
    """Inside the sandbox the tree is the working folder, wherever that lies."""
    for folder in ("src/", "tests/"):
        before, found, after = path.partition(folder)
        if found and (not before or before.endswith("/")):
            return folder + after
    return path
