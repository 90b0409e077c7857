"""What the maintainers of an existing connector decided by hand about an API, stream by stream.

``declared`` says of each fact whether the API's document states it at all; what a flag is missing for (parents, the
members of request bodies) was not looked up.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from pydantic import field_validator

from contracts.base import Frozen

_VARIABLE = re.compile(r"\{[^{}]*\}")
_FIRST_WORD = re.compile(r"[^\s:;(]+")

Place = tuple[str, str]
"""Method and path of an operation; variables are ``{}``, whatever they are called."""


def place(method: str, path: str) -> Place:
    return method.upper(), _VARIABLE.sub("{}", path).rstrip("/")


def _keys(path: str | list[str]) -> str:
    return path if isinstance(path, str) else ".".join(path)


class TruePagination(Frozen):
    """``next`` is where the response tells of the next page, with remarks behind a semicolon."""

    type: str
    request_param: str | None = None
    size_param: str | None = None
    next: str | None = None

    @property
    def next_path(self) -> str | None:
        return self.next.partition(";")[0].strip() if self.next else None


class TrueFilter(Frozen):
    """``start`` names the parameter that carries the cursor, with remarks behind it; without one the API cannot be
    asked for what changed."""

    start: str | None = None

    @property
    def param(self) -> str | None:
        found = _FIRST_WORD.search(self.start or "")
        return found.group() if found else None


class TrueParent(Frozen):
    stream: str | None = None
    parent_key: str | None = None


class TrueStream(Frozen):
    """One stream of the connector. ``spec_path`` is its path in the document, ``None`` where that lacks it."""

    name: str
    method: str = "GET"
    spec_path: str | None = None
    spec_has_method: bool = False
    pagination: TruePagination
    primary_key: tuple[str, ...] = ()
    cursor_field: str | None = None
    incremental_request: TrueFilter | None = None
    record_path: tuple[str, ...] | None = None
    parent: TrueParent | None = None
    declared: dict[str, bool] = {}

    @field_validator("primary_key", mode="before")
    @classmethod
    def _dotted(cls, value: Any) -> Any:
        return (
            tuple(_keys(path) for path in [value] if path)
            if isinstance(value, str)
            else tuple(_keys(path) for path in value or ())
        )

    @field_validator("cursor_field", mode="before")
    @classmethod
    def _cursor(cls, value: Any) -> Any:
        return _keys(value) if value else None

    @field_validator("record_path", mode="before")
    @classmethod
    def _path(cls, value: Any) -> Any:
        """``*`` stands for each item of what the rest leads to."""
        return value if value is None else tuple(key for key in value if key != "*")

    @property
    def place(self) -> Place | None:
        """``None``: the document does not have this operation."""
        return place(self.method, self.spec_path) if self.spec_path is not None and self.spec_has_method else None

    def flags(self, *names: str) -> bool:
        """Whether the document states a fact: one of these flags says so, and none denies it."""
        said = [self.declared[name] for name in names if name in self.declared]
        return any(said) and all(said)


class Truth(Frozen):
    """The content of ``truth/NAME.json``."""

    name: str
    streams: tuple[TrueStream, ...]


def read(path: Path) -> Truth:
    """The truth in a file.

    Raises:
        ValidationError: it is none.
    """
    return Truth.model_validate_json(path.read_bytes())
