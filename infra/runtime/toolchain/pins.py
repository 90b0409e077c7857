"""The pinned set: which packages a generated connector may depend on, in exactly which versions. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from functools import cache
from importlib.resources import files

RUNTIME = ("msgspec", "pydantic", "urllib3")
"""What a generated connector may name as a dependency (names as PEP 503 normalises them)."""

TEST = ("pytest",)
"""What its tests may use besides."""

BUILD = ("hatchling",)
"""What its ``[build-system]`` may require."""


@cache
def requirements() -> str:
    """The text of ``requirements.txt``."""
    return files(__package__).joinpath("requirements.txt").read_text(encoding="utf-8")


def parse_pins(text: str) -> Mapping[str, str]:
    """Normalised name -> exact version.

    Raises:
        ValueError: a line that is no ``name==version``.
    """
    pins: dict[str, str] = {}
    for raw in text.splitlines():
        line = raw.split("#", 1)[0].strip()
        if not line:
            continue
        name, separator, version = line.partition("==")
        if not separator or not name or not version:
            raise ValueError(f"not a pin (name==version): {line!r}")
        pins[name] = version
    return pins


@cache
def pins() -> Mapping[str, str]:
    """Normalised name -> exact version, of the whole set."""
    return parse_pins(requirements())


def toolchain_key(requirements_text: str, python_version: str, platform: str, base_python: str) -> str:
    """16 hexadecimal digits that name one prepared toolchain; anything that would make it unusable is in it."""
    parts = "\0".join((requirements_text, python_version, platform, base_python))
    return hashlib.sha256(parts.encode()).hexdigest()[:16]
