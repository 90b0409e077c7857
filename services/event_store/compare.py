"""Which messages of a stream and of its copy differ: a pure comparison of two pages of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from contracts.verification import Difference, Kind, Part

Content = tuple[str, bytes]
"""Subject and payload."""

Page = Mapping[int, Content]
"""By sequence."""


def end_of_page(bus: Page, bus_goes_on: bool, copy: Page, copy_goes_on: bool) -> int | None:
    """Up to which sequence both pages can be compared; ``None``: both sides are at their end."""
    ends = [max(page) for page, goes_on in ((bus, bus_goes_on), (copy, copy_goes_on)) if goes_on]
    return min(ends) if ends else None


def differences(part: Part, bus: Page, copy: Page, last: int) -> Iterator[Difference]:
    """What differs up to sequence ``last``, oldest first; neighbours that are missing on one side are one."""
    judged = [(sequence, _judge(bus.get(sequence), copy.get(sequence))) for sequence in sorted({*bus, *copy})]
    found = [(sequence, kind) for sequence, kind in judged if kind is not None and sequence <= last]
    for kind, run in _runs(found):
        yield Difference(part=part, kind=kind, what=_told(kind, run, bus, copy), first=run[0], last=run[-1])


def _judge(bus: Content | None, copy: Content | None) -> Kind | None:
    if bus == copy:
        return None
    if copy is None:
        return Kind.MISSING_IN_COPY
    return Kind.MISSING_ON_BUS if bus is None else Kind.DIFFERENT


def _runs(found: Iterable[tuple[int, Kind]]) -> list[tuple[Kind, list[int]]]:
    """Neighbouring sequences of one kind; what is different is told one by one."""
    runs: list[tuple[Kind, list[int]]] = []
    for sequence, kind in found:
        if runs and kind is not Kind.DIFFERENT and (kind, sequence - 1) == (runs[-1][0], runs[-1][1][-1]):
            runs[-1][1].append(sequence)
        else:
            runs.append((kind, [sequence]))
    return runs


def _told(kind: Kind, run: list[int], bus: Page, copy: Page) -> str:
    match kind:
        case Kind.MISSING_IN_COPY:
            return f"only the stream has {_these(run, bus)}"
        case Kind.MISSING_ON_BUS:
            return f"only the copy has {_these(run, copy)}"
    here, there = bus[run[0]], copy[run[0]]
    if here[0] != there[0]:
        return f"the stream has {here[0]}, the copy {there[0]}"
    return f"{here[0]} has {len(here[1])} bytes in the stream and {len(there[1])} others in the copy"


def _these(run: list[int], page: Page) -> str:
    return page[run[0]][0] if len(run) == 1 else f"{len(run)} messages"
