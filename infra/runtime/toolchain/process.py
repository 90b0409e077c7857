"""Runs an installer as a child process: no shell, a stripped environment, bounded time."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from contracts.errors import Transient

_ALWAYS = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR")
_NETWORK = (
    *("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "no_proxy", "all_proxy"),
    *("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "XDG_CONFIG_HOME"),
)
_OUTPUT_KEPT = 2_000


class ToolFailed(Transient):
    """An installer came to its end and said no. Where nothing but its input can be the reason, that is final."""


Argument = str | Path


def offline_env(**extra: str) -> dict[str, str]:
    """What an installer needs when it stays offline: no credential, no index, no configuration file."""
    env = {name: os.environ[name] for name in _ALWAYS if name in os.environ}
    return {**env, "PIP_CONFIG_FILE": os.devnull, "PYTHONNOUSERSITE": "1", **extra}


def registry_env() -> dict[str, str]:
    """What it needs to reach the registry that this machine is set up for: proxies, certificates, settings."""
    names = [name for name in os.environ if name in _NETWORK or name.startswith(("PIP_", "UV_"))]
    env = {name: os.environ[name] for name in (*_ALWAYS, *names) if name in os.environ}
    return {**env, "PYTHONNOUSERSITE": "1"}


def find_uv() -> str | None:
    """uv beside our interpreter, else on PATH; None where there is none."""
    beside = Path(sys.executable).parent / "uv"
    return str(beside) if beside.is_file() else shutil.which("uv")


def run_tool(argv: Sequence[Argument], *, env: Mapping[str, str], what: str, timeout_s: float) -> str:
    """Run ``argv`` to its end and return its output. ``what`` names the step in the error.

    Raises:
        ToolFailed: it failed.
        Transient: it took longer than ``timeout_s``.
    """
    command = [str(part) for part in argv]
    try:
        done = subprocess.run(  # noqa: S603 - our own arguments, no shell
            command,
            env=dict(env),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=timeout_s,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise Transient(f"{what} took longer than {timeout_s:g} s and was stopped") from error
    output = done.stdout.decode(errors="replace")
    if done.returncode != 0:
        raise ToolFailed(f"{what} failed (exit {done.returncode}): {output.strip()[-_OUTPUT_KEPT:]}")
    return output
