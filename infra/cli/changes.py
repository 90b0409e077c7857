"""What is different between two moments of a pipeline: of its state, its blueprint, its test report. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any, NamedTuple

from contracts.blueprint import ApiBlueprint
from contracts.pipeline import PipelineState
from contracts.reports import Check, TestCase, TestReport

MOST = 10_000
"""Changes that are looked for: what is different everywhere is another thing, not a changed one."""

_BOOKKEEPING = {"position", "commands"}
_NAMES = ("name", "service", "stream", "id")
_REASONING = frozenset({"evidence", "confidence", "alternatives"})
_REFERENCE = {"sha256", "media_type", "size"}


class Change(NamedTuple):
    """``where`` are the keys that lead there; ``before`` and ``after`` are JSON values, ``None`` for nothing."""

    where: tuple[str, ...]
    before: Any
    after: Any


def state_changes(before: PipelineState, after: PipelineState) -> list[Change]:
    """What is true after and was not before, or no longer is."""
    old, new = (state.model_dump(mode="json", exclude=_BOOKKEEPING) for state in (before, after))
    return list(islice(_changes(old, new, (), frozenset()), MOST))


def blueprint_changes(before: ApiBlueprint | None, after: ApiBlueprint | None) -> list[Change]:
    """What was decided otherwise; why, and how surely, is left out."""
    old, new = (blueprint.model_dump(mode="json") if blueprint else {} for blueprint in (before, after))
    found = islice(_changes(old, new, (), _REASONING), MOST)
    return [Change(tuple(key for key in where if key != "value"), one, two) for where, one, two in found]


def report_changes(before: TestReport | None, after: TestReport | None) -> list[Change]:
    """Streams that are proven or no longer are, checks and tests that end otherwise."""
    return list(islice(_changes(_outcomes(before), _outcomes(after), (), frozenset()), MOST))


def _outcomes(report: TestReport | None) -> dict[str, Any]:
    if report is None:
        return {"stream": {}, "check": {}, "test": {}}
    streams = {proof.stream: "proven" if proof.proven else "not proven" for proof in report.streams}
    return {"stream": streams, "check": _ended(report.checks), "test": _ended(report.cases)}


def _ended(all_: tuple[Check, ...] | tuple[TestCase, ...]) -> dict[str, str]:
    return {one.id: one.outcome.value for one in all_}


def _changes(before: Any, after: Any, where: tuple[str, ...], without: frozenset[str]) -> Iterator[Change]:
    """Depth is that of the models these values were dumped from."""
    if before == after:
        return
    old, new = _members(before), _members(after)
    if old is None or new is None:
        yield Change(where, before, after)
        return
    for key in dict.fromkeys([*old, *new]):
        if key not in without:
            yield from _changes(old.get(key), new.get(key), (*where, key), without)


def _members(value: Any) -> dict[str, Any] | None:
    """The parts that are compared one by one: an object's members, the elements of a list that have names of their
    own. ``None``: it is compared as a whole."""
    if isinstance(value, dict):
        return None if value.keys() == _REFERENCE else value
    if not isinstance(value, list) or not all(isinstance(each, dict) for each in value):
        return None
    for name in _NAMES:
        named = {str(each[name]): each for each in value if each.get(name) is not None}
        if len(named) == len(value):
            return named
    return None
