"""A generated connector as its users have it: built as a wheel, installed in a venv of its own."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

from infra.runtime.toolchain import install_offline, prepare
from tests.support.compiled import generated
from tests.support.connector_process import Connector


@dataclass(frozen=True)
class Installed:
    """``folder`` holds the package's sources, ``script`` is the installed command."""

    folder: Path
    script: Path


def installed(document: Path, name: str, folder: Path) -> Installed:
    """The connector that `generated` makes of ``document``, installed below ``folder``."""
    toolchain = prepare()
    package = folder / f"source-{name}"
    Connector(generated(document.read_bytes(), document.name, name), package, toolchain.python)
    build = [str(toolchain.python), "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder / "dist")]
    subprocess.run(build, cwd=package, capture_output=True, check=True)
    (wheel,) = (folder / "dist").iterdir()
    python = install_offline(toolchain, folder / "venv", wheel)
    return Installed(package, python.parent / package.name)
