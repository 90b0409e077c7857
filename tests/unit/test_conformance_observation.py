"""Which endpoint a stream reads, told by its records."""

from __future__ import annotations

from services.tester.conformance.observation import likeliest

KNOWN = {
    "GET /users": [{"id": 1, "name": "a", "age": 3}, {"id": 2, "name": "b", "age": 4}],
    "GET /teams": [{"id": 1, "name": "x", "size": 3}, {"id": 2, "name": "y", "size": 4}],
}


def test_equal_records_tell_the_endpoint() -> None:
    assert likeliest([{"id": 2, "name": "y", "size": 4}], KNOWN) == "GET /teams"


def test_a_field_more_and_an_id_as_text_change_nothing() -> None:
    assert likeliest([{"id": "1", "name": "a", "age": 3, "read_at": "now"}], KNOWN) == "GET /users"


def test_records_that_are_nobodys_and_none_at_all_tell_nothing() -> None:
    assert likeliest([{"id": 9, "name": "z"}], KNOWN) is None
    assert likeliest([], KNOWN) is None
    assert likeliest([{"id": 1}], {}) is None
