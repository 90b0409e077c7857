from __future__ import annotations

import pytest

from services.tester.conformance.comparison import Comparison, compare, covered

ID = ("id",)


def rows(*ids: object) -> list[dict[str, object]]:
    return [{"id": id, "kind": "x"} for id in ids]


@pytest.mark.parametrize(
    ("emitted", "comparison"),
    [
        (rows(1, 2, 3), Comparison(3, 3)),
        (rows(3, "2", 1), Comparison(3, 3)),
        (rows(1, 2), Comparison(3, 2, missing=1, first_missing=2)),
        (rows(2, 3), Comparison(3, 2, missing=1, first_missing=0)),
        (rows(1, 2, 2, 3), Comparison(3, 4, repeated=1)),
        (rows(1, 2, 3, 9), Comparison(3, 4, strange=1)),
        ([], Comparison(3, 0, missing=3, first_missing=0)),
    ],
)
def test_records_are_matched_by_identity(emitted, comparison):
    assert compare(rows(1, 2, 3), emitted, ID) == comparison
    assert comparison.exact == (comparison == Comparison(3, 3))


def test_records_without_identity_are_matched_by_content():
    same = [{"a": 1}, {"a": 1}, {"a": 2}]
    assert compare(same, [{"a": 2}, {"a": 1}, {"a": 1}], None).exact
    assert compare(same, [{"a": 2}, {"a": 1}], None).missing == 1


def test_several_reads_together_may_repeat():
    assert covered(rows(1, 2), rows(1, 2, 2, 1), ID) == Comparison(2, 2)
    assert covered(rows(1, 2), rows(1, 1), ID).missing == 1


def test_words_say_what_is_wrong():
    words = compare(rows(1, 2, 3), rows(1, 2, 2), ID).words
    assert words == "3 of 3 records, 1 missing, 1 repeated, the first 2 are there"
