"""Adds to a document what it lacks. What it states stays as it is, whatever a web page says. Pure."""

from __future__ import annotations

from typing import Any, NamedTuple
from urllib.parse import urlsplit

from contracts.blueprint import Gap
from infra.runtime.documents import pointer
from infra.runtime.documents.researched import MEMBER

_GROWING = frozenset({"parameters", "servers", "security", "tags"})
"""Lists that may get further items; others (``enum``, ``required``) mean another thing with one more."""
_MAX_SHOWN = 80
Json = dict[str, Any]


class Added(NamedTuple):
    """``pointers`` name what was added, ``refused`` what was not, because the document says otherwise."""

    raw: Json
    pointers: tuple[str, ...]
    refused: tuple[Gap, ...]


def added(document: Json, additions: Json) -> Added:
    """``document`` with the members of ``additions`` that it lacks, or has empty. Parameters are the same if
    ``name`` and ``in`` are. Where it says to which servers requests go, and with what right, no other is added:
    that would lead credentials elsewhere."""
    work = _Adding(_settled(document))
    raw = work.into(document, {key: value for key, value in additions.items() if key != MEMBER}, ())
    return Added(raw, tuple(work.pointers), tuple(work.refused))


def _settled(document: Json) -> frozenset[str]:
    servers = document.get("servers")
    urls = (
        [server.get("url") for server in servers if isinstance(server, dict)] if isinstance(servers, list) else []
    )
    is_known = any(isinstance(url, str) and _is_absolute(url) for url in urls)
    return frozenset({"servers"} if is_known else ()) | frozenset({"security"} if document.get("security") else ())


def _is_absolute(url: str) -> bool:
    try:
        return bool(urlsplit(url).netloc)
    except ValueError:
        return False


class _Adding:
    def __init__(self, settled: frozenset[str]) -> None:
        self.pointers: list[str] = []
        self.refused: list[Gap] = []
        self._settled = settled

    def into(self, base: Any, more: Any, at: tuple[str | int, ...]) -> Any:
        """``base`` with ``more``, as a copy; ``at`` is its place."""
        if base == more:
            return base
        if isinstance(base, dict) and isinstance(more, dict):
            return self._members(base, more, at)
        if isinstance(base, list) and isinstance(more, list) and at[-1] in _GROWING:
            return self._items(base, more, at)
        self._refuse(at, f"the document stands: it says {_shown(base)}, what was to be added {_shown(more)}")
        return base

    def _members(self, base: Json, more: Json, at: tuple[str | int, ...]) -> Json:
        if isinstance(base.get("$ref"), str) and "$ref" not in more:
            self._refuse(at, f"here is a reference to {_shown(base['$ref'])}: what is added belongs there")
            return base
        made = dict(base)
        for key, value in more.items():
            here = (*at, key)
            if key in self._settled and _is_access(here):
                self._refuse(here, "the document says where requests go and with what right: that stands")
            elif key == "$ref" and base:
                self._refuse(here, "a reference would take the place of what the document says here")
            elif key in base and base[key] not in (None, "", {}, []):
                made[key] = self.into(base[key], value, here)
            else:
                made[key] = value
                self.pointers.append(pointer(*here))
        return made

    def _items(self, base: list[Any], more: list[Any], at: tuple[str | int, ...]) -> list[Any]:
        made = list(base)
        places = {_name(item): n for n, item in enumerate(base) if _name(item) is not None}
        for item in more:
            if (known := places.get(_name(item))) is not None:
                made[known] = self.into(made[known], item, (*at, known))
            elif item not in made:
                self.pointers.append(pointer(*at, len(made)))
                made.append(item)
        return made

    def _refuse(self, at: tuple[str | int, ...], reason: str) -> None:
        self.refused.append(Gap(subject=pointer(*at) or "document", reason=reason))


def _is_access(at: tuple[str | int, ...]) -> bool:
    """A member of the root, of a path or of an operation; a schema may call a property so."""
    return len(at) == 1 or (at[0] == "paths" and len(at) in (3, 4))


def _name(item: Any) -> tuple[str, str] | None:
    name, place = (item.get("name"), item.get("in")) if isinstance(item, dict) else (None, None)
    return (name, place) if isinstance(name, str) and isinstance(place, str) else None


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= _MAX_SHOWN else f"{text[:_MAX_SHOWN]}..."
