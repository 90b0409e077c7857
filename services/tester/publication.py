"""The simulated API as the package holds it: what the streams read, without what only looks like a secret. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from contracts.simulation import Endpoint, SimulatedApi
from services.tester.conformance.binding import ancestors_among

_SHOWN = ("examples", "example", "default")
_NAMED = ("properties", "patternProperties", "$defs")
_UNBROKEN = re.compile(r"[^\s/]{24,}")
"""Documents show tokens and keys as examples; scanners of repositories cannot know that these open nothing."""


def for_publication(api: SimulatedApi, used: Iterable[str]) -> SimulatedApi:
    """``api`` with the endpoints ``used`` and those that they hang on."""
    keys = {key for key in used if key in api.endpoints}
    keys |= {above for key in keys for above in ancestors_among(api.endpoints[key], api.endpoints)}
    endpoints = {key: _lighter(endpoint) for key, endpoint in api.endpoints.items() if key in keys}
    return api.model_copy(update={"endpoints": endpoints, "omitted": ()})


def _lighter(endpoint: Endpoint) -> Endpoint:
    records = endpoint.records.model_copy(
        update={"json_schema": _without_tokens(endpoint.records.json_schema), "examples": ()}
    )
    accepts = tuple(
        each.model_copy(update={"json_schema": _without_tokens(each.json_schema)}) for each in endpoint.accepts
    )
    envelope = endpoint.envelope if not _telling(endpoint.envelope) else None
    return endpoint.model_copy(update={"records": records, "accepts": accepts, "envelope": envelope, "grounds": ()})


def _without_tokens(schema: Any) -> Any:
    """A JSON schema without examples and defaults that hold a long unbroken text."""
    if isinstance(schema, dict):
        kept = {key: value for key, value in schema.items() if key not in _SHOWN or not _telling(value)}
        return {key: _of_each(value) if key in _NAMED else _without_tokens(value) for key, value in kept.items()}
    return [_without_tokens(each) for each in schema] if isinstance(schema, list) else schema


def _of_each(parts: Any) -> Any:
    """The members of ``properties`` and the like: their names are the API's, not JSON Schema's."""
    return {name: _without_tokens(part) for name, part in parts.items()} if isinstance(parts, dict) else parts


def _telling(value: Any) -> bool:
    if isinstance(value, str):
        return _UNBROKEN.search(value) is not None
    if isinstance(value, dict | list):
        return any(map(_telling, value.values() if isinstance(value, dict) else value))
    return False
