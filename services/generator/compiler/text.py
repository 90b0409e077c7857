"""What comes from documents is hostile: it enters the code as literals, identifiers or tamed prose only. Pure."""

from __future__ import annotations

import hashlib
import json
import keyword
import re
from collections.abc import Mapping
from typing import Any

import msgspec

_MAX_NAME_CHARS = 60
_LONE_SURROGATE = re.compile("[\ud800-\udfff]")


def literal(value: Any) -> str:
    """A Python expression for a JSON value, tuple or set of names, in ASCII."""
    if isinstance(value, tuple):
        inside = ", ".join(literal(item) for item in value)
        return f"({inside},)" if len(value) == 1 else f"({inside})"
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{literal(key)}: {literal(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(literal(item) for item in value) + "]"
    if isinstance(value, float) and value in (float("inf"), float("-inf")):
        return f"float({str(value)!r})"
    return ascii(value)


def call(function: str, **arguments: Any) -> str:
    """A call with keyword arguments; those that are None are left out."""
    given = (f"{name}={literal(value)}" for name, value in arguments.items() if value is not None)
    return f"{function}({', '.join(given)})"


def prose(text: str, limit: int = 200) -> str:
    """One line of plain ASCII that is safe in a docstring and in a TOML or YAML string."""
    line = " ".join(text.encode("ascii", "replace").decode().split())
    line = re.sub(r"[^\x20-\x7e]|[\\{}]", "", line).replace('"', "'").strip()
    return f"{line[: limit - 3]}..." if len(line) > limit else line


def markdown(text: str, limit: int = 300) -> str:
    """One line that shows as it stands, also in a table's cell."""
    line = " ".join(text.encode("utf-8", "replace").decode().split())
    line = f"{line[: limit - 3]}..." if len(line) > limit else line
    return re.sub(r"([\\`*_{}\[\]<>|#~$!])", r"\\\1", line)


def code_span(text: str, limit: int = 200) -> str:
    """Markdown code on one line, also in a table's cell."""
    line = " ".join(text.encode("utf-8", "replace").decode().split()).replace("`", "'").replace("|", "\\|")
    return f"`{line[: limit - 3]}...`" if len(line) > limit else f"`{line or ' '}`"


def json_text(value: Any, *, indent: int | None = None) -> str:
    """JSON, also valid as a YAML scalar. Halves of surrogate pairs, which are no characters, are replaced."""
    text = _LONE_SURROGATE.sub("\ufffd", json.dumps(value, ensure_ascii=False, allow_nan=False))
    return text if indent is None else msgspec.json.format(text, indent=indent)


class Names:
    """Hands out names that are safe and were not given before; ``reserved`` ones never."""

    def __init__(self, reserved: frozenset[str] = frozenset()) -> None:
        self._taken = {name.lower() for name in reserved}

    def attribute(self, text: str) -> str:
        """A Python identifier in lower case with underscores."""
        words = re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+", _shortened(text)) if not _plain(text) else [text]
        name = "_".join(word.lower() for word in words) or "value"
        return self._free(_no_keyword(name if not name[0].isdigit() else f"n_{name}"), "_")

    def class_name(self, text: str, suffix: str) -> str:
        """A Python class name that ends with ``suffix``."""
        words = re.findall(r"[A-Za-z]+|[0-9]+", _shortened(text))
        name = "".join(word[0].upper() + word[1:] for word in words)
        name = f"{name if name and not name[0].isdigit() else f'Auth{name}'}"
        return self._free(name if name.endswith(suffix) else name + suffix, "")

    def file_stem(self, text: str) -> str:
        """A file name without its extension, also for file systems that ignore case."""
        return self._free(re.sub(r"[^a-z0-9]+", "_", _shortened(text).lower()).strip("_") or "stream", "_")

    def _free(self, wanted: str, joint: str) -> str:
        name, number = wanted, 1
        while name.lower() in self._taken:
            number += 1
            name = f"{wanted}{joint}{number}"
        self._taken.add(name.lower())
        return name


def _plain(text: str) -> bool:
    return len(text) <= _MAX_NAME_CHARS and re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", text) is not None


def _shortened(text: str) -> str:
    if len(text) <= _MAX_NAME_CHARS:
        return text
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    return f"{text[: _MAX_NAME_CHARS - 9]}_{digest}"


def _no_keyword(name: str) -> str:
    return f"{name}_" if keyword.iskeyword(name) or keyword.issoftkeyword(name) else name
