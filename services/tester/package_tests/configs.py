"""Right and wrong configs for the package's tests, made from the ``connectionSpecification``. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from contracts.simulation import SimulatedApi
from services.tester.conformance.configuration import Config, Form

MAX_REQUIRED = 8
_MADE_UP = re.compile(r"kit[0-9a-f]{21}")
_WRONG = "wrongwrong"
SERVICE_ACCOUNT = "the JSON of a service account, with a key made for the run"
"""Stands for it in the tests' files, where no private key may be."""


@dataclass(frozen=True)
class Ways:
    """By the id of each kind of credentials: its title in the form, a right config, and a wrong one where there is
    a secret to get wrong. ``secrets`` are let in; ``hidden`` must not be shown again. ``required``: path of a field
    that has to be given -> the kind of credentials that asks for it."""

    titles: Mapping[str, str]
    right: Mapping[str, dict[str, Any]]
    wrong: Mapping[str, dict[str, Any]]
    secrets: tuple[str, ...]
    hidden: tuple[str, ...]
    required: Mapping[str, str]


def fill_in(
    spec: Mapping[str, Any], api: SimulatedApi, origin: str, token_path: str | None, also: frozenset[str]
) -> Ways:
    """``also``: fields to be set though they may be left out.

    Raises:
        Rejected: nothing in the form says where the API is.
    """
    form = Form(dict(spec), salt="package tests", also=also)
    token_url = f"{origin}{token_path}" if token_path else None
    titles: dict[str, str] = {}
    made_up: dict[str, Config] = {}
    for number, title in enumerate(form.variants):
        way = _free_id(title, titles)
        titles[way] = title
        made_up[way] = form.fill(f"{origin}{api.base_path}", token_url, number)
    names = _plain_names(frozenset().union(*(config.accepted for config in made_up.values())))
    filled = {way: _plain(config, names) for way, config in made_up.items()}
    wrong = {way: _with_wrong_secrets(config) for way, config in filled.items() if config.secrets}
    return Ways(
        titles=titles,
        right={way: config.values for way, config in filled.items()},
        wrong=wrong,
        secrets=tuple(sorted(frozenset().union(*(config.accepted for config in filled.values())))),
        hidden=tuple(sorted(frozenset().union(*(config.secrets for config in filled.values())))),
        required=_required(form, filled),
    )


def _free_id(title: str, taken: Mapping[str, str]) -> str:
    """A short name, also for pytest, that no other kind of credentials has."""
    name = re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")[:40] or "config"
    return name if name not in taken else f"{name}-{len(taken)}"


def _plain_names(accepted: frozenset[str]) -> dict[str, str]:
    """For made-up values, of all kinds of credentials together, those that nobody, and no scanner, takes for real
    ones. So what is a secret of one kind is no open value of another."""
    order = sorted(value for value in accepted if _MADE_UP.fullmatch(value))
    names = {value: f"testvalue{number:015}" for number, value in enumerate(order, 1)}
    return names | {value: SERVICE_ACCOUNT for value in accepted if '"private_key"' in value}


def _plain(config: Config, names: Mapping[str, str]) -> Config:
    values = _mapped(config.values, names)
    return Config(
        values,
        frozenset(names.get(value, value) for value in config.secrets & config.accepted),
        frozenset(names.get(value, value) for value in config.accepted),
    )


def _with_wrong_secrets(config: Config) -> dict[str, Any]:
    return _mapped(config.values, {secret: (_WRONG + secret)[: len(secret)] for secret in config.secrets})


def _mapped(values: dict[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    """``values`` with every text that ``names`` knows replaced, however deep."""

    def renamed(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: renamed(part) for key, part in value.items()}
        if isinstance(value, list):
            return [renamed(part) for part in value]
        return names.get(value, value) if isinstance(value, str) else value

    made: dict[str, Any] = renamed(values)
    return made


def _required(form: Form, filled: Mapping[str, Config]) -> dict[str, str]:
    """The fields that the form requires and a config has: of the top, and those of each kind of credentials."""
    found: dict[str, str] = {}
    for way, config in filled.items():
        for path in _required_paths(form.schema, config.values, config):
            found.setdefault(path, way)
    return dict(list(found.items())[:MAX_REQUIRED])


def _required_paths(schema: Mapping[str, Any], values: Mapping[str, Any], config: Config) -> Iterator[str]:
    for name in schema.get("required", []):
        if name in values:
            yield name
    for name, value in values.items():
        if isinstance(value, dict):
            yield from (
                f"{name}.{inner}"
                for inner, text in value.items()
                if isinstance(text, str) and text in config.secrets
            )
