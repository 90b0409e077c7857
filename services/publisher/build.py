"""Builds sdist and wheel with hatchling, in the sandbox, and checks that they hold what was reviewed and no more.

``pyproject.toml`` is generated code: its build back end is not asked, hatchling is called, and whatever its tables
make hatchling do happens without a network and without our files.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path

from contracts.artifacts import Tree
from contracts.errors import Permanent
from infra.runtime import sandbox
from infra.runtime.toolchain import Toolchain
from infra.runtime.trees import write_tree
from services.publisher.archives import check_sdist, check_wheel
from services.publisher.settings import Settings

SOURCE_DATE_EPOCH = "1580601600"
"""2020-02-02, hatchling's own constant: the same tree gives the same bytes on any day."""

_BUILD = """
import os, shutil, sys
from hatchling import build
folder = sys.argv[1]
made = [build.build_sdist(folder), build.build_wheel(folder)]
os.mkdir(".built")
for name in made:
    shutil.copy(os.path.join(folder, name), ".built")
"""


@dataclass(frozen=True)
class Distributions:
    """The two files and their contents."""

    wheel_file: str
    wheel: bytes
    sdist_file: str
    sdist: bytes


async def build(
    tree: Tree, package: str, version: str, workspace: Path, toolchain: Toolchain, settings: Settings
) -> Distributions:
    """Build both from ``tree``.

    Raises:
        Permanent: hatchling refuses the package, or what it made differs from ``tree``.
        Transient: the sandbox did not start.
    """
    folder = workspace / "package"
    await asyncio.to_thread(write_tree, folder, tree)
    wheel_file, sdist_file = f"{package}-{version}-py3-none-any.whl", f"{package}-{version}.tar.gz"
    outputs = (f".built/{wheel_file}", f".built/{sdist_file}")
    limits = sandbox.Limits(
        wall_s=settings.build_timeout_s, cpu_s=int(settings.build_timeout_s), memory_bytes=settings.memory_bytes
    )
    request = sandbox.Request(
        folder,
        ("{python}", "-P", "-c", _BUILD, "{tmp}"),
        python=toolchain.python,
        env={"SOURCE_DATE_EPOCH": SOURCE_DATE_EPOCH, "PYTHONNOUSERSITE": "1"},
        limits=limits,
        writable=True,
        outputs=outputs,
    )
    report = await sandbox.run(request)
    if not report.ok or set(report.files) != set(outputs):
        words = report.stderr.decode(errors="replace").strip()[-500:]
        raise Permanent(f"hatchling did not make {wheel_file} and {sdist_file}: {report.stopped or words}")
    made = Distributions(wheel_file, report.files[outputs[0]], sdist_file, report.files[outputs[1]])
    await asyncio.to_thread(check_wheel, made.wheel, tree, package, version)
    await asyncio.to_thread(check_sdist, made.sdist, tree, package, version)
    return made
