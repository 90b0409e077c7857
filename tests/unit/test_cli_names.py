"""A connector's name from where its document is."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.cli.run_alone import name_from


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("specs/petstore.yaml", "petstore"),
        ("My API.v2.YML", "my-api-v2"),
        ("https://example.com/docs/openapi.json", "openapi"),
        ("2024-report.json", "api-2024-report"),
        ("--.json", "api"),
    ],
)
def test_name_is_taken_from_the_source(source: str, name: str) -> None:
    assert name_from(source) == name


@given(st.text(max_size=200))
def test_name_is_always_a_slug(source: str) -> None:
    name = name_from(source)

    assert re.fullmatch(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", name)
    assert len(name) <= 50
