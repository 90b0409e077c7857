"""A generated connector as its users have it: built as a wheel, installed in a venv of its own."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

from contracts.blueprint import ApiBlueprint
from infra.runtime.toolchain import install_offline, prepare
from services.generator.compiler import compile_connector
from services.research.study import study
from tests.support.connector_process import Connector


@dataclass(frozen=True)
class Installed:
    """``folder`` holds the package's sources, ``script`` is the installed command."""

    folder: Path
    script: Path


def installed(document: Path, name: str, folder: Path) -> Installed:
    """What research and generator make of ``document`` as ``source-NAME``, installed below ``folder``."""
    content = document.read_bytes()
    made = study(content, document.name, name, None, {}, None, len(content))
    blueprint = ApiBlueprint.model_validate_json(made["blueprint"])
    toolchain = prepare()
    package = folder / f"source-{name}"
    Connector(compile_connector(blueprint, {}, frozenset()), package, toolchain.python)
    build = [str(toolchain.python), "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder / "dist")]
    subprocess.run(build, cwd=package, capture_output=True, check=True)
    (wheel,) = (folder / "dist").iterdir()
    python = install_offline(toolchain, folder / "venv", wheel)
    return Installed(package, python.parent / package.name)
