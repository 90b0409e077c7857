"""A config that somebody wrote by hand, pointed at the simulated API. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from contracts.errors import Rejected
from services.tester.conformance.configuration import Config

BASE_URL = "{base_url}"
TOKEN_URL = "{token_url}"  # noqa: S105 - a placeholder
MAX_DEPTH = 20

Schema = Mapping[str, Any]


@dataclass(frozen=True)
class Given:
    """``template`` is a config in whose texts ``{base_url}`` and ``{token_url}`` stand for the simulated API's;
    ``schema`` is the connector's ``connectionSpecification``, which says what in it is a secret.

    The simulated API lets in the secrets, and the texts beside them (a user name, a client's id).
    """

    schema: Schema
    template: Mapping[str, Any]

    def __post_init__(self) -> None:
        if not any(BASE_URL in text for text in _texts(self.template)):
            raise Rejected(f"no value of the config holds {BASE_URL}, so it cannot be pointed at a simulated API")

    @property
    def variants(self) -> tuple[str, ...]:
        """The one way to give credentials that the config takes."""
        return ("",)

    @property
    def has_secrets(self) -> bool:
        return bool(self.fill("http://localhost", None).secrets)

    def without(self, fields: Iterable[str]) -> Given:
        left_out = frozenset(fields)
        return Given(self.schema, {name: value for name, value in self.template.items() if name not in left_out})

    def fill(self, base_url: str, token_url: str | None, variant: int = 0) -> Config:
        """The config for a simulated API at ``base_url``; one without a token endpoint leaves that as it was."""
        values = _filled(self.template, {BASE_URL: base_url, TOKEN_URL: token_url or base_url})
        groups = list(_groups(values, [self.schema], self.schema, 0))
        secrets = frozenset(text for found, _ in groups for text in found)
        return Config(values, secrets, secrets.union(*(beside for _, beside in groups)))


def _filled(value: Any, by_mark: Mapping[str, str]) -> Any:
    if isinstance(value, str):
        for mark, text in by_mark.items():
            value = value.replace(mark, text)
        return value
    if isinstance(value, Mapping):
        return {key: _filled(each, by_mark) for key, each in value.items()}
    return [_filled(each, by_mark) for each in value] if isinstance(value, list) else value


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping | list):
        for each in value.values() if isinstance(value, Mapping) else value:
            yield from _texts(each)


def _groups(
    value: Any, schemas: list[Schema], root: Schema, depth: int
) -> Iterator[tuple[frozenset[str], frozenset[str]]]:
    """For each object that holds secrets: these, and the other texts in it. ``schemas`` are all that may apply."""
    if depth > MAX_DEPTH:
        return
    applying = [each for schema in schemas for each in _applying(schema, root, 0)]
    if isinstance(value, list):
        items = [schema["items"] for schema in applying if isinstance(schema.get("items"), Mapping)]
        for each in value:
            yield from _groups(each, items, root, depth + 1)
    if not isinstance(value, Mapping):
        return
    secrets: set[str] = set()
    beside: set[str] = set()
    for name, each in value.items():
        parts = [part for schema in applying if (part := _part(schema, name)) is not None]
        marked = any(a.get("airbyte_secret") is True for part in parts for a in _applying(part, root, 0))
        if isinstance(each, str) and each:
            (secrets if marked else beside).add(each)
        yield from _groups(each, parts, root, depth + 1)
    if secrets:
        yield frozenset(secrets), frozenset(beside)


def _part(schema: Schema, name: str) -> Schema | None:
    properties = schema.get("properties")
    part = properties.get(name) if isinstance(properties, Mapping) else None
    return part if isinstance(part, Mapping) else None


def _applying(schema: Any, root: Schema, depth: int) -> Iterator[Schema]:
    """The schema with all that it refers to or combines (``$ref``, ``oneOf``, ``anyOf``, ``allOf``)."""
    if not isinstance(schema, Mapping) or depth > MAX_DEPTH:
        return
    yield schema
    if isinstance(schema.get("$ref"), str):
        target: Any = root
        for key in schema["$ref"].removeprefix("#/").split("/"):
            target = target.get(key) if isinstance(target, Mapping) else None
        yield from _applying(target, root, depth + 1)
    for key in ("oneOf", "anyOf", "allOf"):
        for option in schema.get(key) or ():
            yield from _applying(option, root, depth + 1)
