"""Whether an API lets anybody in, as its answers show."""

from __future__ import annotations

import pytest

from infra.runtime.simulator import Seen
from infra.runtime.simulator.site import TOKEN
from services.tester.conformance.commands import turned_away


@pytest.mark.parametrize(
    ("endpoint", "status", "refused"),
    [
        ("GET /things", 401, True),
        (TOKEN, 400, True),
        ("GET /things", 400, False),
        ("GET /things", 200, False),
    ],
)
def test_a_refusal_of_what_was_asked_is_none_of_who_asks(endpoint: str, status: int, refused: bool) -> None:
    answers = [Seen(1, "GET", "/", "GET /things", 200), Seen(2, "GET", "/", endpoint, status)]
    assert turned_away(answers) is refused
