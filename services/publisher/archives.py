"""Checks that wheel and sdist hold what was tested and reviewed, and nothing else that an installer would act on.

A build hook of the package may have written them: every name, and every line that installers read, is compared with
the package. Pure.
"""

from __future__ import annotations

import configparser
import io
import re
import tarfile
import tomllib
import zipfile
import zlib
from collections.abc import Iterable
from email.message import Message
from email.parser import BytesHeaderParser
from typing import Any

from contracts.artifacts import Tree
from contracts.errors import Permanent
from services.publisher.settings import MIB

_MAX_UNPACKED_BYTES = 256 * MIB
_PAPERS = frozenset({"METADATA", "WHEEL", "RECORD", "entry_points.txt"})
_DAMAGED = (zipfile.BadZipFile, tarfile.TarError, zlib.error, EOFError, KeyError, OSError, ValueError, RuntimeError)
"""What the standard library raises for an archive that is none (RFC 1951 data, names, numbers, encryption)."""


def check_wheel(wheel: bytes, tree: Tree, package: str, version: str) -> None:
    """The wheel holds the package's modules byte for byte, its own ``dist-info``, and no more.

    Raises:
        Permanent: it does not.
    """
    try:
        found = _unzipped(wheel)
        info = f"{package}-{version}.dist-info/"
        papers = {name.removeprefix(info): content for name, content in found.items() if name.startswith(info)}
        about = BytesHeaderParser().parsebytes(papers["METADATA"])
        scripts = _sections(papers.get("entry_points.txt", b""))
    except (*_DAMAGED, configparser.Error) as error:
        raise Permanent(f"the wheel is none: {type(error).__name__}: {error}") from error
    source = {path.removeprefix("src/"): content for path, content in tree.items() if path.startswith("src/")}
    _same("wheel", {name: content for name, content in found.items() if not name.startswith(info)}, source)
    licenses = {f"licenses/{path}": content for path, content in tree.items()}
    for name in sorted(papers.keys() - _PAPERS):
        if papers[name] != licenses.get(name):
            raise Permanent("the wheel's metadata holds a file that installers would act on", where=name)
    _check_metadata(about, scripts, tree, package, version)


def _check_metadata(
    about: Message, scripts: dict[str, dict[str, str]], tree: Tree, package: str, version: str
) -> None:
    """What an installer fetches and makes executable is what the package's own pyproject.toml says."""
    if about["Version"] != version or str(about["Name"]).replace("-", "_") != package:
        raise Permanent(f"the wheel calls itself {about['Name']} {about['Version']}")
    project: dict[str, Any] = tomllib.loads(tree["pyproject.toml"].decode())["project"]
    wanted, stated = about.get_all("Requires-Dist", []), project.get("dependencies", [])
    if _requirements(wanted) != _requirements(stated):
        raise Permanent(f"the wheel requires {sorted(wanted)}, the package {sorted(stated)}")
    if scripts != {"console_scripts": project.get("scripts", {})}:
        raise Permanent(f"the wheel's entry points are {scripts}, not the package's console scripts alone")


def _unzipped(wheel: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(wheel)) as archive:
        entries = archive.infolist()
        if sum(entry.file_size for entry in entries) > _MAX_UNPACKED_BYTES:
            raise Permanent("the wheel unpacks to more than a connector may hold")
        if len({entry.filename for entry in entries}) != len(entries):
            raise Permanent("the wheel holds two files of one name")
        return {entry.filename: archive.read(entry) for entry in entries}


def _sections(text: bytes) -> dict[str, dict[str, str]]:
    parser = configparser.ConfigParser(delimiters="=", interpolation=None, default_section="")
    parser.optionxform = str  # type: ignore[assignment, method-assign]
    parser.read_string(text.decode())
    return {name: dict(parser[name]) for name in parser.sections()}


def _requirements(lines: Iterable[str]) -> frozenset[tuple[str, frozenset[str]]]:
    """By name and bounds, whatever the order of the bounds and the spaces between them (PEP 508)."""
    found = set()
    for line in lines:
        name, bounds = re.fullmatch(r"([\w.-]*)(.*)", "".join(str(line).split()), re.DOTALL).groups()  # type: ignore[union-attr]
        found.add((re.sub(r"[-_.]+", "-", name).lower(), frozenset(bounds.split(","))))
    return frozenset(found)


def check_sdist(sdist: bytes, tree: Tree, package: str, version: str) -> None:
    """The sdist holds the package's files byte for byte, hatchling's ``PKG-INFO``, and no more.

    Raises:
        Permanent: it does not.
    """
    try:
        found = _untarred(sdist, f"{package}-{version}/")
    except _DAMAGED as error:
        raise Permanent(f"the sdist is none: {type(error).__name__}: {error}") from error
    found.pop("PKG-INFO", None)
    _same(
        "sdist", found, {path: content for path, content in tree.items() if path in found or path != ".gitignore"}
    )


def _untarred(sdist: bytes, root: str) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    total = 0
    with tarfile.open(fileobj=io.BytesIO(sdist), mode="r:gz") as archive:
        for member in archive:
            total += member.size
            if total > _MAX_UNPACKED_BYTES:
                raise Permanent("the sdist unpacks to more than a connector may hold")
            file = archive.extractfile(member) if member.isreg() and member.name.startswith(root) else None
            if file is None:
                raise Permanent("the sdist holds something that is no plain file", where=member.name)
            if found.setdefault(member.name.removeprefix(root), content := file.read()) is not content:
                raise Permanent("the sdist holds two files of one name", where=member.name)
    return found


def _same(what: str, found: Tree, expected: Tree) -> None:
    differing = sorted(path for path in {*found, *expected} if found.get(path) != expected.get(path))
    if differing:
        listed = ", ".join(map(repr, differing[:5]))
        raise Permanent(f"the {what} does not hold what was tested and reviewed; {len(differing)} differ: {listed}")
