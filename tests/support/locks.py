"""What a lock of ``infra/deploy/locks`` pins, and what pyproject.toml asks for. Pure but for reading files."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import NormalizedName, canonicalize_name
from packaging.version import Version

from infra.deploy.lock import ROOT
from infra.runtime.toolchain.pins import joined_lines

_HASHES = re.compile(r"(?: --hash=sha256:[0-9a-f]{64})+")


def read_lock(path: Path) -> dict[NormalizedName, Version]:
    """The version that every line of a lock pins.

    Raises:
        ValueError: a line that is no ``name==version [; marker] --hash=sha256:...``.
    """
    pins: dict[NormalizedName, Version] = {}
    for line in joined_lines(path.read_text(encoding="utf-8")):
        text, _, hashes = re.sub(r"\s+", " ", line).partition(" --hash")
        requirement = Requirement(text)
        (specifier,) = requirement.specifier or (None,)
        if specifier is None or specifier.operator != "==" or "*" in specifier.version:
            raise ValueError(f"{path.name}: not a pin: {text!r}")
        if requirement.url or not _HASHES.fullmatch(f" --hash{hashes}"):
            raise ValueError(f"{path.name}: not a pin with hashes: {text!r}")
        pins[canonicalize_name(requirement.name)] = Version(specifier.version)
    return pins


def pyproject() -> dict[str, list[str]]:
    """What is asked for: of all under ``""``, of each extra under its name, of the build under ``build``."""
    content = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    project = content["project"]
    return {
        "": project["dependencies"],
        **project["optional-dependencies"],
        "build": content["build-system"]["requires"],
    }


def unmet(lock: Mapping[NormalizedName, Version], wanted: Iterator[Requirement]) -> Iterator[str]:
    """What ``wanted`` and, as far as installed packages tell, what that depends on in turn lacks in ``lock``."""
    queue, seen = list(wanted), set[tuple[NormalizedName, str]]()
    while queue:
        requirement = queue.pop()
        name = canonicalize_name(requirement.name)
        version = lock.get(name)
        if version is None or not requirement.specifier.contains(version, prereleases=True):
            yield f"{requirement} is {version or 'missing'}"
            continue
        for extra in ("", *requirement.extras):
            if (name, extra) not in seen:
                seen.add((name, extra))
                queue.extend(_depends(name, version, extra))


def _depends(name: NormalizedName, version: Version, extra: str) -> Iterator[Requirement]:
    """What a package says that it needs on this machine; nothing if this version of it is not installed here."""
    try:
        installed = distribution(name)
    except PackageNotFoundError:
        return
    if Version(installed.version) != version:
        return
    for line in installed.requires or ():
        requirement = Requirement(line)
        if requirement.marker is None or requirement.marker.evaluate({"extra": extra}):
            yield requirement
