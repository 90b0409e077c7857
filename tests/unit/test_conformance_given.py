"""A config written by hand: where it points, what of it is secret, what the simulated API has to let in."""

from __future__ import annotations

from typing import Any

import pytest

from contracts.errors import Rejected
from services.tester.conformance.given import Given

SECRET = {"type": "string", "airbyte_secret": True}
SPEC: dict[str, Any] = {
    "properties": {
        "base_url": {"type": "string"},
        "start_date": {"type": "string"},
        "credentials": {
            "oneOf": [
                {"properties": {"kind": {"const": "basic"}, "user": {"type": "string"}, "password": SECRET}},
                {"$ref": "#/$defs/key"},
            ]
        },
    },
    "$defs": {"key": {"allOf": [{"properties": {"api_key": SECRET}}]}},
}


def test_placeholders_are_filled_and_the_rest_stays() -> None:
    template = {"base_url": "{base_url}/v2", "token": {"url": "{token_url}"}, "limit": 3, "fields": ["a", None]}
    filled = Given({}, template).fill("http://localhost:1", "http://localhost:1/token").values
    assert filled == {
        "base_url": "http://localhost:1/v2",
        "token": {"url": "http://localhost:1/token"},
        "limit": 3,
        "fields": ["a", None],
    }


def test_secrets_are_what_the_spec_marks_and_the_api_lets_in_what_stands_beside_them() -> None:
    given = {"kind": "basic", "user": "ann", "password": "hunter2"}
    config = Given(SPEC, {"base_url": "{base_url}", "start_date": "2024-01-01", "credentials": given}).fill(
        "u", None
    )
    assert config.secrets == {"hunter2"}
    assert config.accepted == {"hunter2", "ann", "basic"}


def test_secrets_are_found_behind_references() -> None:
    given = Given(SPEC, {"base_url": "{base_url}", "credentials": {"api_key": "k-1"}})
    assert given.has_secrets
    assert given.fill("u", None).secrets == {"k-1"}


def test_a_schema_that_refers_to_itself_ends() -> None:
    spec = {"$ref": "#"}
    assert Given(spec, {"base_url": "{base_url}"}).fill("u", None).secrets == frozenset()


def test_a_config_that_points_nowhere_is_refused() -> None:
    with pytest.raises(Rejected, match="base_url"):
        Given(SPEC, {"base_url": "https://api.example.com"})
