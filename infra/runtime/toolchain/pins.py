"""The pinned set: which packages a generated connector may depend on, in exactly which versions. Pure."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from functools import cache
from importlib.resources import files

RUNTIME = ("cryptography", "msgspec", "pydantic", "pyjwt", "urllib3")
"""What a generated connector may name as a dependency (names as PEP 503 normalises them)."""

TEST = ("pytest",)
"""What its tests may use besides."""

BUILD = ("hatchling",)
"""What its ``[build-system]`` may require."""


_HASH = re.compile(r"--hash=sha256:[0-9a-f]{64}")


@cache
def requirements() -> str:
    """The text of ``requirements.txt``."""
    return files(__package__).joinpath("requirements.txt").read_text(encoding="utf-8")


def requirement(name: str) -> str:
    """The line of one package, its hashes with it.

    Raises:
        KeyError: it is not pinned.
    """
    for line in joined_lines(requirements()):
        if line.startswith(f"{name}=="):
            return line
    raise KeyError(name)


def parse_pins(text: str) -> Mapping[str, str]:
    """Normalised name -> exact version, of pip's requirements with hashes (its ``--require-hashes`` mode).

    Raises:
        ValueError: a requirement that is no ``name==version`` with at least one hash.
    """
    pins: dict[str, str] = {}
    for line in joined_lines(text):
        pin, *hashes = line.split()
        name, separator, version = pin.partition("==")
        if not separator or not name or not version:
            raise ValueError(f"not a pin (name==version): {line!r}")
        if not hashes or not all(_HASH.fullmatch(option) for option in hashes):
            raise ValueError(f"not a pin with hashes (name==version --hash=sha256:...): {pin!r}")
        pins[name] = version
    return pins


def joined_lines(text: str) -> list[str]:
    """One line per requirement of a pip requirements file, without comments."""
    lines = (line.split("#", 1)[0].rstrip() for line in text.splitlines())
    joined = "\n".join(lines).replace("\\\n", " ").splitlines()
    return [line.strip() for line in joined if line.strip()]


@cache
def pins() -> Mapping[str, str]:
    """Normalised name -> exact version, of the whole set."""
    return parse_pins(requirements())


def toolchain_key(requirements_text: str, python_version: str, platform: str, base_python: str) -> str:
    """16 hexadecimal digits that name one prepared toolchain; anything that would make it unusable is in it."""
    parts = "\0".join((requirements_text, python_version, platform, base_python))
    return hashlib.sha256(parts.encode()).hexdigest()[:16]
