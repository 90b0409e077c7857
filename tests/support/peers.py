"""Other people's tools, each in a venv of its own with exact pins: made on demand, once, below the cache folder."""

from __future__ import annotations

import platform
import shutil
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path

from contracts.errors import Transient
from infra.runtime.locks import locked
from infra.runtime.toolchain import cache_dir
from infra.runtime.toolchain.pins import toolchain_key
from infra.runtime.toolchain.process import Argument, find_uv, registry_env, run_tool

_INSTALL_TIMEOUT_S = 600.0
_READY = ".ready"

QUIET = {
    "DO_NOT_TRACK": "1",
    "AIRBYTE_DISABLE_TELEMETRY": "1",
    "AIRBYTE_OFFLINE_MODE": "1",
    "RUNTIME__DLTHUB_TELEMETRY": "false",
    "HTTP_PROXY": "http://127.0.0.1:9",
    "HTTPS_PROXY": "http://127.0.0.1:9",
    "NO_PROXY": "127.0.0.1,localhost",
}
"""Environment of a peer: no telemetry, and a proxy that is not there, so that nothing but loopback is reached."""


class Unavailable(Exception):
    """The peer cannot be installed here; the text says why, for a skip."""


@dataclass(frozen=True)
class Peer:
    """A ready venv."""

    venv: Path

    @property
    def python(self) -> Path:
        return self.venv / "bin" / "python"

    def script(self, name: str) -> Path:
        return self.venv / "bin" / name


def peer(pins: Path) -> Peer:
    """The venv with exactly the packages that the file ``pins`` names (``name==version`` a line).

    Any number of processes may call it at once: one installs, the others wait. Wheels only: building a source
    distribution would run its code.

    Raises:
        Unavailable: no registry answers, or one of the pins has no wheel for this interpreter.
    """
    text = pins.read_text(encoding="utf-8")
    base = str(Path(sys.base_prefix).resolve())
    key = toolchain_key(text, platform.python_version(), sysconfig.get_platform(), base)
    venv = cache_dir() / "peers" / f"{pins.stem}-{key}"
    venv.parent.mkdir(parents=True, exist_ok=True)
    with locked(venv.with_name(f"{venv.name}.lock")):
        if not (venv / _READY).exists():
            try:
                _install(venv, pins)
            except Transient as error:
                shutil.rmtree(venv, ignore_errors=True)
                raise Unavailable(f"{pins.stem} could not be installed: {error}") from error
    return Peer(venv)


def _install(venv: Path, pins: Path) -> None:
    shutil.rmtree(venv, ignore_errors=True)
    environment = registry_env()
    create: list[Argument] = [sys.executable, "-m", "venv", "--without-pip", venv]
    run_tool(create, env=environment, what=f"creating {venv}", timeout_s=_INSTALL_TIMEOUT_S)
    python = venv / "bin" / "python"
    options: list[Argument] = ["--quiet", "--only-binary=:all:", "-r", pins]
    command: list[Argument] = [sys.executable, "-m", "pip", "--python", python, "install", *options]
    if uv := find_uv():
        command = [uv, "pip", "install", "--python", python, "--compile-bytecode", *options]
    run_tool(command, env=environment, what=f"installing {pins.name}", timeout_s=_INSTALL_TIMEOUT_S)
    (venv / _READY).touch()
