"""What a document says of itself where a model wrote it, or a part of it: its member ``x-researched``. Pure.

So whoever gets the document alone (a fork, another machine, a second research) knows what of it an API's own
document states, and what a model took from web pages.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pydantic import Field, ValidationError

from contracts.base import Frozen
from contracts.blueprint import Gap, Source
from infra.runtime.documents.document import Document

MEMBER = "x-researched"
MAX_WRITTEN_BYTES = 64 * 1024
"""Of what a model writes: its tools can edit no larger file."""
MAX_SOURCES = 30
MAX_GAPS = 50


class Researched(Frozen):
    """``text`` is the model's file as it wrote it; ``added`` are JSON pointers to what of the document is from
    there, all of it if ``whole``. ``gaps``: what it looked for and did not find."""

    text: str = Field(default="", max_length=MAX_WRITTEN_BYTES)
    whole: bool = False
    added: tuple[str, ...] = ()
    sources: tuple[Source, ...] = Field(default=(), max_length=MAX_SOURCES)
    gaps: tuple[Gap, ...] = Field(default=(), max_length=MAX_GAPS)


def researched(document: Document) -> Researched | None:
    """What ``document`` says of itself; None where no model had a part in it (or what it says is no such mark)."""
    try:
        return Researched.model_validate(document.raw[MEMBER]) if MEMBER in document.raw else None
    except ValidationError:
        return None


def original(document: Document, mark: Researched) -> Document | None:
    """The document as it was before a model added to it, without members that were empty and were filled; None
    where it wrote all of it."""
    if mark.whole:
        return None
    parts = [_parts(at) for at in (*mark.added, f"/{MEMBER}")]
    raw: dict[str, Any] = _without(document.raw, parts)
    return Document(raw, where=document.where, declared_version=document.declared_version)


def _parts(at: str) -> tuple[str, ...]:
    return tuple(part.replace("~1", "/").replace("~0", "~") for part in at.split("/")[1:])


def _without(node: Any, paths: Iterable[tuple[str, ...]]) -> Any:
    """A copy of what is on the way; the rest is shared."""
    below: dict[str, list[tuple[str, ...]]] = {}
    for head, *tail in (path for path in paths if path):
        below.setdefault(head, []).append(tuple(tail))
    if isinstance(node, dict):
        members = ((key, value) for key, value in node.items() if () not in below.get(key, ()))
        return {key: _without(value, below[key]) if key in below else value for key, value in members}
    if isinstance(node, list):
        items = ((str(n), item) for n, item in enumerate(node) if () not in below.get(str(n), ()))
        return [_without(item, below[n]) if n in below else item for n, item in items]
    return node
