"""Prepares the toolchain once per machine: fills the wheelhouse from the registry, installs the venv from it."""

from __future__ import annotations

import asyncio
import importlib.util
import shutil
import sys
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path

from contracts.errors import Permanent
from infra.runtime.locks import locked
from infra.runtime.toolchain.install import create_venv, install_into
from infra.runtime.toolchain.pins import pins, requirement, requirements
from infra.runtime.toolchain.place import Toolchain, locate
from infra.runtime.toolchain.process import Argument, find_uv, registry_env, run_tool

Say = Callable[[str], None]

_DOWNLOAD_TIMEOUT_S = 600.0


def prepare(progress: Say | None = None, *, cache: Path | None = None) -> Toolchain:
    """The toolchain for this interpreter; made if it is missing, made anew if it is damaged. Blocks.

    Any number of processes may call it at once: one builds, the others wait for it. Ready, it takes a millisecond.

    Args:
        progress: told of each step, one short line.
        cache: the cache folder; by default that of ``CONNECTORS_CACHE_DIR``.

    Raises:
        Transient: the registry did not answer, or an installer failed.
        Permanent: there is neither pip nor uv to fetch with.
    """
    toolchain = locate(cache)
    if toolchain.is_ready():
        return toolchain
    say: Say = progress or (lambda _: None)
    toolchain.root.parent.mkdir(parents=True, exist_ok=True)
    with locked(toolchain.root.with_name(f"{toolchain.root.name}.lock")):
        if not toolchain.is_ready():
            _build(toolchain, say)
    return toolchain


async def prepare_async(progress: Say | None = None, *, cache: Path | None = None) -> Toolchain:
    """`prepare` in a thread. ``progress`` is called from that thread."""
    return await asyncio.to_thread(prepare, progress, cache=cache)


def _build(toolchain: Toolchain, say: Say) -> None:
    """Build beside the final place and rename: nobody ever sees a half-made toolchain."""
    with tempfile.TemporaryDirectory(prefix=f"{toolchain.root.name}.", dir=toolchain.root.parent) as folder:
        made = Toolchain(Path(folder) / "toolchain")
        made.wheelhouse.mkdir(parents=True)
        say(f"downloading {len(pins())} wheels (once per machine)")
        _fill_wheelhouse(made, Path(folder))
        _unpack_pip(made)
        say("installing them")
        venv = made.root / "venv"
        create_venv(venv)
        install_into(made, venv, ["--require-hashes", "-r", _requirements_file(made)], compile_bytecode=True)
        _remove_scripts(venv)
        made.mark_ready()
        if toolchain.root.exists():
            say("replacing a damaged one")
            toolchain.root.rename(Path(folder) / "damaged")
        made.root.rename(toolchain.root)
    say("ready")


def _requirements_file(toolchain: Toolchain) -> Path:
    path = toolchain.root / "requirements.txt"
    path.write_text(requirements(), encoding="utf-8")
    return path


def _fill_wheelhouse(toolchain: Toolchain, scratch: Path) -> None:
    """``--no-deps``: the pins are complete, and the offline installation that follows proves it. Wheels only:
    building a source distribution would run its code. A file whose hash is not pinned is refused."""
    env = registry_env()
    options: list[Argument] = ["--quiet", "--only-binary=:all:", "--require-hashes", "--no-deps"]
    command: list[Argument] = [
        *_registry_pip(scratch, env),
        "download",
        *options,
        "--dest",
        toolchain.wheelhouse,
        "-r",
        _requirements_file(toolchain),
    ]
    run_tool(command, env=env, what="downloading the pinned wheels", timeout_s=_DOWNLOAD_TIMEOUT_S)


def _registry_pip(scratch: Path, env: dict[str, str]) -> list[Argument]:
    """A pip to download with: that of our venv, else one that uv fetches (uv itself cannot download wheels)."""
    if importlib.util.find_spec("pip") is not None:
        return [sys.executable, "-m", "pip"]
    uv = find_uv()
    if uv is None:
        raise Permanent("neither pip nor uv was found to fetch the pinned packages; install pip into this venv")
    wanted = scratch / "bootstrap.txt"
    wanted.write_text(requirement("pip"), encoding="utf-8")
    target = scratch / "bootstrap"
    into: list[Argument] = ["--python", sys.executable, "--target", target]
    fetch: list[Argument] = [uv, "pip", "install", "--quiet", "--require-hashes", *into, "-r", wanted]
    run_tool(fetch, env=env, what="fetching pip with uv", timeout_s=_DOWNLOAD_TIMEOUT_S)
    env["PYTHONPATH"] = str(target)
    return [sys.executable, "-m", "pip"]


def _unpack_pip(toolchain: Toolchain) -> None:
    """A wheel of pure Python is a zip file of what goes to site-packages."""
    wheel = next(toolchain.wheelhouse.glob("pip-*.whl"))
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(toolchain.pip)


def _remove_scripts(venv: Path) -> None:
    """Console scripts carry the path they were installed under, which the rename makes wrong."""
    for entry in (venv / "bin").iterdir():
        if entry.name.startswith("python"):
            continue
        shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
