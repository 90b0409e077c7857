"""Builds sdist and wheel with hatchling, in the sandbox, and checks that they hold what was reviewed and no more.

``pyproject.toml`` is generated code: its build back end is not asked, hatchling is called, and whatever its tables
make hatchling do happens without a network and without our files.
"""

from __future__ import annotations

import asyncio
import io
import tarfile
import zipfile
from dataclasses import dataclass
from email.parser import BytesHeaderParser
from pathlib import Path

from contracts.artifacts import Tree
from contracts.errors import Permanent
from infra.runtime import sandbox
from infra.runtime.toolchain import Toolchain
from infra.runtime.trees import write_tree
from services.publisher.settings import MIB, Settings

SOURCE_DATE_EPOCH = "1580601600"
"""2020-02-02, hatchling's own constant: the same tree gives the same bytes on any day."""

_MAX_UNPACKED_BYTES = 256 * MIB

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


def check_wheel(wheel: bytes, tree: Tree, package: str, version: str) -> None:
    """The wheel holds the package's modules byte for byte, its own ``dist-info``, and no more.

    Raises:
        Permanent: it does not.
    """
    source = {path.removeprefix("src/"): content for path, content in tree.items() if path.startswith("src/")}
    with zipfile.ZipFile(io.BytesIO(wheel)) as archive:
        if sum(entry.file_size for entry in archive.infolist()) > _MAX_UNPACKED_BYTES:
            raise Permanent("the wheel unpacks to more than a connector may hold")
        info = f"{package}-{version}.dist-info/"
        found = {name: archive.read(name) for name in archive.namelist() if not name.startswith(info)}
        about = BytesHeaderParser().parsebytes(archive.read(f"{info}METADATA"))
        papers = {name.removeprefix(info) for name in archive.namelist() if name.startswith(info)}
        entry_points = archive.read(f"{info}entry_points.txt") if "entry_points.txt" in papers else b""
    _same("wheel", found, source)
    if about["Version"] != version or about["Name"].replace("-", "_") != package:
        raise Permanent(f"the wheel calls itself {about['Name']} {about['Version']}")
    extra = {name for name in papers if name not in ("METADATA", "WHEEL", "RECORD", "entry_points.txt")}
    if any(not name.startswith("licenses/") for name in extra):
        raise Permanent("the wheel's metadata holds a file that installers would act on", where=sorted(extra)[0])
    sections = [line for line in entry_points.decode(errors="replace").split() if line.startswith("[")]
    if sections != ["[console_scripts]"]:
        raise Permanent(f"the wheel's entry points are {sections}, not console scripts alone")


def check_sdist(sdist: bytes, tree: Tree, package: str, version: str) -> None:
    """The sdist holds the package's files byte for byte, hatchling's ``PKG-INFO``, and no more.

    Raises:
        Permanent: it does not.
    """
    found: dict[str, bytes] = {}
    total = 0
    with tarfile.open(fileobj=io.BytesIO(sdist), mode="r:gz") as archive:
        for member in archive:
            total += member.size
            if total > _MAX_UNPACKED_BYTES:
                raise Permanent("the sdist unpacks to more than a connector may hold")
            file = archive.extractfile(member) if member.isreg() else None
            if file is None:
                raise Permanent("the sdist holds something that is no plain file", where=member.name)
            found[member.name.removeprefix(f"{package}-{version}/")] = file.read()
    found.pop("PKG-INFO", None)
    _same(
        "sdist", found, {path: content for path, content in tree.items() if path in found or path != ".gitignore"}
    )


def _same(what: str, found: Tree, expected: Tree) -> None:
    differing = sorted(path for path in {*found, *expected} if found.get(path) != expected.get(path))
    if differing:
        listed = ", ".join(differing[:5])
        raise Permanent(f"the {what} does not hold what was tested and reviewed; {len(differing)} differ: {listed}")
