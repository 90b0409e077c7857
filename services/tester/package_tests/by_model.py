"""Tests that a model wrote: which files they are, what is taken of them, and what is not. Pure.

They are known by their names and run apart from ours (`run.run_all`): whatever they do to pytest, they do to
themselves. No other file of a package's tests is taken from a model.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator

from contracts.artifacts import Tree
from contracts.reports import Outcome, TestCase
from services.tester.package_tests.cases import Case
from services.tester.package_tests.write import SHARED

MAX_FILES = 40
MAX_BYTES = 1024 * 1024

_TEST = re.compile(r"tests/test_by_model_[a-z0-9_]{1,60}\.py")
_DATA = re.compile(r"tests/data/(?:[A-Za-z0-9_-]{1,60}/)?[A-Za-z0-9_-]{1,60}\.(?:json|txt)")


def is_by_model(path: str) -> bool:
    """Whether this file of a package's tests was written by a model."""
    return _TEST.fullmatch(path) is not None


def _is_taken(path: str) -> bool:
    return is_by_model(path) or _DATA.fullmatch(path) is not None


def with_theirs(tests: Tree, workspace: Tree) -> dict[str, bytes]:
    """``tests`` with the model's files as they are in ``workspace``, and ours as they were."""
    ours = {path: content for path, content in tests.items() if not _is_taken(path)}
    return dict(sorted({**ours, **{path: data for path, data in workspace.items() if _is_taken(path)}}.items()))


def objections(start: Tree, workspace: Tree, invalid: Iterable[str]) -> Iterator[str]:
    """Why what is below ``tests/`` in ``workspace`` is not what was asked for, in words for the model.

    Args:
        start: what lay there in the beginning.
        invalid: files whose tests were found to be wrong.
    """
    for path in sorted(start.keys() | workspace.keys()):
        if path.startswith("tests/") and not _is_taken(path) and start.get(path) != workspace.get(path):
            yield (
                f"{path} is {'ours' if path in start else 'not taken'}: put it back as it was; tests go to"
                " tests/test_by_model_<name>.py (flat, lower case), data to tests/data/*.json or *.txt"
            )
    theirs = {path: content for path, content in workspace.items() if _is_taken(path)}
    if len(theirs) > MAX_FILES or sum(map(len, theirs.values())) > MAX_BYTES:
        yield f"there are more than {MAX_FILES} files or {MAX_BYTES} bytes of tests and their data"
    if not any(map(is_by_model, theirs)) and not any(map(is_by_model, start)):
        yield "there is no tests/test_by_model_<name>.py; if none is needed, answer with done: false and say why"
    for path in sorted(set(invalid)):
        if path in start and workspace.get(path) == start[path]:
            yield f"{path} was found to be wrong and is as it was: mend its tests, or delete it"


def apart(tests: Tree) -> tuple[dict[str, bytes], dict[str, bytes]]:
    """Ours, and a model's with what they stand on (empty if there are none). The ledger, which announces ours, is
    not among the others."""
    ours = {path: content for path, content in tests.items() if not is_by_model(path)}
    if len(ours) == len(tests):
        return ours, {}
    theirs = {path: content for path, content in tests.items() if path in SHARED or _is_taken(path)}
    return ours, theirs


def their_cases(
    cases: Iterable[TestCase], files: Collection[str], streams: Collection[str]
) -> tuple[TestCase, ...]:
    """The results of a model's ``files``. One under another's name is not believed; a failure without a
    name, of a run that broke off, is the first file's.

    Args:
        streams: a test whose only parameter is one of them is about that stream.
    """
    mine = sorted(filter(is_by_model, files))
    found: dict[str, TestCase] = {}
    for case in cases:
        named = Case(case.id)
        if named.file in mine:
            stream = named.parameter if named.parameter in streams else None
            found[case.id] = case.model_copy(update={"stream": stream})
        elif case.outcome is Outcome.FAILED:
            found.setdefault(mine[0], case.model_copy(update={"id": mine[0], "stream": None}))
    return tuple(found.values())
