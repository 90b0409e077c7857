"""Pages of a stream and of its copy, compared."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from contracts.verification import Kind, Part
from services.event_store.compare import Page, differences, end_of_page

PAGES = st.dictionaries(st.integers(1, 30), st.tuples(st.sampled_from("ab"), st.sampled_from([b"x", b"yy"])))


def page(*sequences: int, payload: bytes = b"x") -> Page:
    return dict.fromkeys(sequences, ("pipelines.p.tests.passed", payload))


def told(bus: Page, copy: Page, last: int = 99) -> list[tuple[Kind, int, int]]:
    return [(found.kind, found.first, found.last) for found in differences(Part.EVENTS, bus, copy, last)]


def test_equal_pages_have_no_differences() -> None:
    assert told(page(1, 2, 3), page(1, 2, 3)) == []


def test_neighbours_that_are_missing_on_one_side_are_one_difference() -> None:
    assert told(page(1, 2, 3, 4, 7), page(1, 5, 6, 7)) == [
        (Kind.MISSING_IN_COPY, 2, 4),
        (Kind.MISSING_ON_BUS, 5, 6),
    ]


def test_what_is_different_is_told_one_by_one_and_says_how() -> None:
    found = list(differences(Part.EVENTS, page(1, 2), page(1, 2, payload=b"other"), 99))
    assert [(one.kind, one.first, one.last) for one in found] == [(Kind.DIFFERENT, 1, 1), (Kind.DIFFERENT, 2, 2)]
    assert found[0].what == "pipelines.p.tests.passed has 1 bytes in the stream and 5 others in the copy"
    subject = next(differences(Part.EVENTS, page(1), {1: ("pipelines.q.tests.passed", b"x")}, 99))
    assert subject.what == "the stream has pipelines.p.tests.passed, the copy pipelines.q.tests.passed"


def test_what_the_next_page_will_show_is_not_judged_yet() -> None:
    bus, copy = page(1, 2, 3), page(1, 2)
    assert end_of_page(bus, True, copy, True) == 2
    assert told(bus, copy, 2) == []
    assert end_of_page(bus, True, copy, False) == 3
    assert end_of_page(bus, False, copy, False) is None


@given(bus=PAGES, copy=PAGES)
def test_every_sequence_is_judged_once_and_rightly(bus: Page, copy: Page) -> None:
    found = list(differences(Part.EVENTS, bus, copy, 99))
    covered = [sequence for one in found for sequence in range(one.first, one.last + 1)]
    assert sorted(covered) == sorted(n for n in {*bus, *copy} if bus.get(n) != copy.get(n))
    for one in found:
        has = {
            Kind.MISSING_IN_COPY: (True, False),
            Kind.MISSING_ON_BUS: (False, True),
            Kind.DIFFERENT: (True, True),
        }
        for sequence in range(one.first, one.last + 1):
            assert (sequence in bus, sequence in copy) == has[one.kind]
