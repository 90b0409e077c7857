"""What was emitted against what the simulated API holds: every record, exactly once. Pure."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from contracts.blueprint import JsonPath

Record = dict[str, Any]


@dataclass(frozen=True)
class Comparison:
    """Counts of records. ``first_missing`` is the place (from 0) of the first missing one in the API's order."""

    expected: int
    emitted: int
    missing: int = 0
    repeated: int = 0
    strange: int = 0
    first_missing: int | None = None

    @property
    def complete(self) -> bool:
        return self.missing == 0 and self.strange == 0

    @property
    def exact(self) -> bool:
        return self.complete and self.repeated == 0

    @property
    def words(self) -> str:
        parts = [f"{self.emitted} of {self.expected} records"]
        for count, what in (
            (self.missing, "missing"),
            (self.repeated, "repeated"),
            (self.strange, "not the API's"),
        ):
            if count:
                parts.append(f"{count} {what}")
        if self.missing and self.first_missing:
            parts.append(f"the first {self.first_missing} are there")
        return ", ".join(parts)


def compare(expected: Iterable[Record], emitted: Iterable[Record], identity: JsonPath | None) -> Comparison:
    """Match by the value at ``identity``; without one by the whole content."""
    wanted = [key_of(record, identity) for record in expected]
    got = Counter(key_of(record, identity) for record in emitted)
    known = set(wanted)
    absent = [place for place, key in enumerate(wanted) if key not in got]
    surplus = Counter(wanted)
    return Comparison(
        expected=len(wanted),
        emitted=sum(got.values()),
        missing=sum(max(0, count - got[key]) for key, count in surplus.items()),
        repeated=sum(max(0, got[key] - count) for key, count in surplus.items()),
        strange=sum(count for key, count in got.items() if key not in known),
        first_missing=absent[0] if absent else None,
    )


def covered(expected: Iterable[Record], emitted: Iterable[Record], identity: JsonPath | None) -> Comparison:
    """The same for several reads together: what came more than once counts once."""
    wanted = {key_of(record, identity): record for record in expected}
    got = {key_of(record, identity): record for record in emitted}
    return compare(wanted.values(), got.values(), identity)


def key_of(record: Record, identity: JsonPath | None) -> str:
    """A number and its text are the same identity: connectors may turn one into the other."""
    if identity is not None:
        value = dig(record, identity)
        if isinstance(value, str | int) and not isinstance(value, bool):
            return str(value)
    return json.dumps(record, sort_keys=True)


def dig(record: Any, path: Iterable[str]) -> Any:
    """The member at ``path``; ``None`` where there is none."""
    for key in path:
        record = record.get(key) if isinstance(record, dict) else None
    return record
