from __future__ import annotations

import pytest

from services.tester.conformance.incremental import names_a_day


@pytest.mark.parametrize(
    ("sent", "day"),
    [
        ("2021-01-05", True),
        ("gte(updated,2021-01-05)", True),
        ("2021-01-05T10:00:00Z", False),
        ("2021-01-05 10:00:00", False),
        ("1609840800", False),
    ],
)
def test_a_filter_by_day_is_told_from_one_by_time(sent: str, day: bool) -> None:
    assert names_a_day(sent) is day
