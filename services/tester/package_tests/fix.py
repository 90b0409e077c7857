"""FIX: writes tests that were found to be wrong anew, and gives up what is written the same again."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from contracts.artifacts import Tree
from contracts.reports import Feedback
from services.tester.package_tests.cases import (
    CASES,
    EVERY_RECORD,
    PRIMARY_KEY,
    READ,
    Case,
    Concession,
    read_ledger,
)
from services.tester.package_tests.write import SHARED, Material, pageable, write_tests


def rewrite(tests: Tree, invalid: Iterable[Feedback], material: Material) -> Tree:
    """``tests`` with the files of the tests that ``invalid`` names written anew from the evidence. Blocks.

    Where that changes nothing, the document's evidence itself contradicts what the kit saw, and the kit is the
    referee: first the stream's answers come in one page (paging is the kit's to judge), then the test is left out,
    with a comment in its file. So a test never fails twice for the same reason, and two rounds end it.
    An item without a test means all of them. A file that is none of ours is removed.

    Raises:
        Rejected, Permanent: as `write_tests`.
    """
    named = [Case(item.test) if item.test else None for item in invalid]
    conceded = dict(read_ledger(tests).concessions)
    fresh = write_tests(material, conceded)
    given_up = _given_up(tests, fresh, named, conceded, material)
    if given_up:
        fresh = write_tests(material, {**conceded, **given_up})
    files = {*fresh} if None in named else {case.file for case in named if case}
    files |= {*SHARED, CASES}
    kept = {path: content for path, content in tests.items() if path not in files}
    return dict(sorted({**kept, **{path: content for path, content in fresh.items() if path in files}}.items()))


def _given_up(
    tests: Tree, fresh: Tree, named: list[Case | None], conceded: Mapping[str, Concession], material: Material
) -> dict[str, Concession]:
    """What has to be conceded: the named tests, if all of their files stand there just as they would be written
    again. A file that differs may have spoilt the others, too: they get another chance first."""
    files = {case.file for case in named if case} | set(SHARED)
    if any(tests.get(path) != fresh.get(path) for path in files):
        return {}
    paged, known = pageable(material), read_ledger(fresh).cases
    found: dict[str, Concession] = {}
    for case in named:
        if case is None or case.id not in known:
            continue
        stream = known[case.id].stream
        reading = f"{EVERY_RECORD}[{stream}]"
        about_pages = case.file == READ and case.function != PRIMARY_KEY
        if about_pages and stream in paged and reading not in conceded:
            found[reading] = "one_page"  # the other tests of this reading get another chance with it
        else:
            found[case.id] = "left_out"
    return found
