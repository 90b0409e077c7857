"""Lists that a document offers twice: by GET and POST, under an old and a new path. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import orjson

from services.research.openapi.endpoint import Endpoint

_TELLING = 80
"""Characters of text that two operations do not share by chance, or by a slip of the author."""


class _Face(NamedTuple):
    """What two operations must have in common to be the same list."""

    method: str
    variables: tuple[str, ...]
    params: frozenset[str]
    response: bytes


def doubles(endpoints: Sequence[Endpoint]) -> dict[str, str]:
    """The key of each operation that repeats another one -> why it is left out."""
    by_get = {endpoint.path for endpoint in endpoints if endpoint.method == "get"}
    found = {
        endpoint.key: "the same list is read by GET"
        for endpoint in endpoints
        if endpoint.method == "post" and endpoint.path in by_get
    }
    alike: dict[_Face, list[Endpoint]] = {}
    for endpoint in endpoints:
        if endpoint.response:
            alike.setdefault(_face(endpoint), []).append(endpoint)
    for group in alike.values():
        first, *others = sorted(group, key=_age)
        for other in others:
            if _is_deprecated(other) and not _is_deprecated(first):
                found[other.key] = f"deprecated: the same list is read by {first.key}"
            elif len(other.text.strip()) >= _TELLING and other.text == first.text:
                found[other.key] = f"the same list is read by {first.key}"
    return found


def _face(endpoint: Endpoint) -> _Face:
    params = frozenset(param.name for param in endpoint.params)
    response = orjson.dumps(endpoint.response, option=orjson.OPT_SORT_KEYS, default=str)
    return _Face(endpoint.method, endpoint.variables, params, response)


def _age(endpoint: Endpoint) -> tuple[bool, bool]:
    """What is in force goes before what is deprecated, or is told of as a former path."""
    return _is_deprecated(endpoint), endpoint.path in endpoint.text


def _is_deprecated(endpoint: Endpoint) -> bool:
    return endpoint.operation.raw.get("deprecated") is True
