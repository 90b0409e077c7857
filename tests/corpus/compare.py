"""A blueprint beside the truth: which answers are right, which differ, and which are missing. Pure.

Every stream of the truth whose operation the document has is asked for. A stream that we do not have leaves all of
its facts missing, so leaving out what is hard does not help.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Literal

from contracts.blueprint import (
    ApiBlueprint,
    CursorPagination,
    NextUrlPagination,
    NoPagination,
    Pagination,
    Stream,
    option_key,
)
from tests.corpus.truth import Place, TruePagination, TrueStream, Truth, place

Verdict = Literal["right", "wrong", "gap"]


class Fact(StrEnum):
    """What is asked about a stream. ``PARAMETERS`` is how pages are asked for: the parameter that moves, the place
    of the next one, the parameter of the size. ``ORPHAN``: the truth knows no parent, and so should we."""

    STREAM = "stream found"
    PAGINATION = "pagination kind"
    PARAMETERS = "pagination parameters"
    KEY = "primary key"
    CURSOR = "cursor and filter"
    RECORDS = "record path"
    PARENT = "parent"
    ORPHAN = "no parent"


_KINDS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("link_header", ("link_header",)),
    ("header", ("cursor", "link_header")),
    ("last_record", ("last_record",)),
    ("next_url", ("next_url",)),
    ("offset", ("offset",)),
    ("page", ("page",)),
    ("cursor", ("cursor",)),
    ("none", ("none",)),
)
"""What the truth's kinds have in their names, and our words for it; the first that fits. A token in a Link header
is one in a header."""


def kinds(name: str) -> tuple[str, ...]:
    """Our kinds that are what the truth calls ``name`` (``offset_increment``, ``cursor_body``, ...)."""
    return next((ours for part, ours in _KINDS if part in name), (name,))


@dataclass(frozen=True)
class Answer:
    """One fact about one stream of the truth. ``confidence`` is the blueprint's; ``None`` where it answers nothing.
    ``wanted`` and ``got`` are for people. ``contradicted``: the truth names a parameter that the document's
    operation does not have; ours it has."""

    document: str
    stream: str
    operation: str
    fact: Fact
    verdict: Verdict
    declared: bool
    confidence: float | None
    wanted: str
    got: str
    contradicted: bool = False


@dataclass(frozen=True)
class _Finding:
    """An answer without its labels."""

    fact: Fact
    verdict: Verdict
    declared: bool
    wanted: object
    got: object
    confidence: float | None = None
    contradicted: bool = False


Offered = Mapping[Place, frozenset[str]]
"""The names of the parameters of each operation of a document."""


def compare(truth: Truth, blueprint: ApiBlueprint | None, offered: Offered | None = None) -> list[Answer]:
    """Every fact that the truth states about operations of the document. ``None``: research failed."""
    streams = blueprint.streams if blueprint is not None else ()
    ours: dict[Place, Stream] = {}
    for stream in streams:
        ours.setdefault(_place(stream), stream)
    named = frozenset(gap.subject for gap in blueprint.gaps) if blueprint is not None else frozenset()
    theirs = {stream.name: stream for stream in truth.streams}
    world = _World({stream.name: stream for stream in streams}, theirs, named, offered or {})
    asked = ((one, one.place) for one in truth.streams)
    return [
        Answer(
            document=truth.name,
            stream=one.name,
            operation=f"{one.method} {one.spec_path}",
            fact=found.fact,
            verdict=found.verdict,
            declared=found.declared,
            confidence=found.confidence if found.verdict != "gap" else None,
            wanted=str(found.wanted),
            got=str(found.got),
            contradicted=found.contradicted,
        )
        for one, where in asked
        if where is not None
        for found in _findings(one, ours.get(where), world)
    ]


@dataclass(frozen=True)
class _World:
    """Our streams and theirs by name, the subjects of the gaps that we name, and the document's parameters."""

    ours: dict[str, Stream]
    theirs: dict[str, TrueStream]
    gaps: frozenset[str]
    offered: Offered


def _place(stream: Stream) -> Place:
    return place(stream.request.value.method, stream.request.value.path)


def _findings(truth: TrueStream, ours: Stream | None, world: _World) -> Iterator[_Finding]:
    yield _Finding(Fact.STREAM, "gap" if ours is None else "right", True, truth.name, ours and ours.name)
    yield from _pagination(truth, ours, world)
    if truth.primary_key:
        yield _primary_key(truth, ours)
    if truth.cursor_field and truth.incremental_request and truth.incremental_request.param:
        yield _cursor(truth, truth.cursor_field, truth.incremental_request.param, ours)
    if truth.record_path is not None:
        yield _records(truth, truth.record_path, ours)
    yield from _parent(truth, ours, world)


# --- pagination -----------------------------------------------------------------------------------


def _pagination(truth: TrueStream, ours: Stream | None, world: _World) -> Iterator[_Finding]:
    wanted = truth.pagination
    flags = [truth.declared.get(name, False) for name in ("page_param", "next_in_body")]
    declared = wanted.type == "none" or any(flags)
    decision = ours.pagination if ours is not None else None
    got = decision.value if decision is not None else None
    kind: Verdict = "gap"
    if got is not None:
        kind = "right" if got.kind in kinds(wanted.type) else "wrong"
    if ours is not None and kind == "wrong" and isinstance(got, NoPagination):
        # "everything comes at once" is an answer, and a dangerous one, unless it is named as a guess
        kind = "gap" if option_key(ours.name, "pagination") in world.gaps else "wrong"
    confidence = decision.confidence if decision is not None else None
    yield _Finding(Fact.PAGINATION, kind, declared, wanted.type, got.kind if got else None, confidence)
    asked = _asked(wanted)
    if asked:
        needed = [flag for flag, part in (("page_param", "param"), ("next_in_body", "next")) if part in asked]
        stated = declared and all(truth.declared.get(flag, True) for flag in needed)
        answered = _answered(got) if got is not None and kind == "right" else {}
        verdict = _worst(_part(asked[part], answered.get(part)) for part in asked) if kind == "right" else kind
        against = truth.place is not None and _against_document(asked, answered, world.offered.get(truth.place))
        yield _Finding(Fact.PARAMETERS, verdict, stated, asked, answered or got, confidence, against)


def _against_document(
    asked: Mapping[str, str], answered: Mapping[str, str], offered: frozenset[str] | None
) -> bool:
    """Whether all that differs is a name that the document does not have, where ours it has."""
    differing = [part for part in asked if asked[part] != answered.get(part)]
    return (
        offered is not None
        and bool(differing)
        and all(
            part != "next" and asked[part] not in offered and answered.get(part) in offered for part in differing
        )
    )


def _asked(truth: TruePagination) -> dict[str, str]:
    """A Link header's URL says itself which parameter moves, and where counting goes on is no place in a body."""
    ours = kinds(truth.type)
    parts = {"size": truth.size_param}
    if "link_header" not in ours:
        parts["param"] = truth.request_param
    if {"cursor", "next_url"} & {*ours} and "link_header" not in ours:
        parts["next"] = truth.next_path
    return {part: value for part, value in parts.items() if value} if truth.type != "none" else {}


def _answered(ours: Pagination) -> dict[str, str]:
    size = getattr(ours, "size", None)
    next_path = ours.path if isinstance(ours, CursorPagination | NextUrlPagination) else ()
    parts = {"param": getattr(ours, "param", None), "next": ".".join(next_path), "size": size and size.param}
    return {part: value for part, value in parts.items() if value}


def _part(wanted: str, got: str | None) -> Verdict:
    return "gap" if got is None else "right" if wanted == got else "wrong"


def _worst(verdicts: Iterable[Verdict]) -> Verdict:
    return max(verdicts, key=("right", "gap", "wrong").index)


# --- the rest -------------------------------------------------------------------------------------


def _primary_key(truth: TrueStream, ours: Stream | None) -> _Finding:
    value = ours.primary_key.value if ours is not None else None
    got = sorted(".".join(path) for path in value) if value else None
    wanted = sorted(truth.primary_key)
    verdict: Verdict = "gap" if got is None else "right" if got == wanted else "wrong"
    return _Finding(
        Fact.KEY, verdict, truth.flags("primary_key"), wanted, got, ours.primary_key.confidence if ours else None
    )


def _cursor(truth: TrueStream, field: str, param: str, ours: Stream | None) -> _Finding:
    """A field further down counts as the one of its name: connectors copy it up."""
    value = ours.cursor.value if ours is not None else None
    got = (".".join(value.field), value.filter.param) if value is not None else None
    verdict: Verdict = "gap"
    if value is not None:
        same_field = field in (".".join(value.field), value.field[-1])
        same_param = param in (value.filter.param, value.filter.param.rpartition(".")[2])
        verdict = "right" if same_field and same_param else "wrong"
    declared = truth.flags("cursor_field", "incremental_param")
    return _Finding(Fact.CURSOR, verdict, declared, (field, param), got, ours.cursor.confidence if ours else None)


def _records(truth: TrueStream, wanted: tuple[str, ...], ours: Stream | None) -> _Finding:
    got = ours.selector.value.path if ours is not None else None
    verdict: Verdict = "gap" if got is None else "right" if got == wanted else "wrong"
    declared = truth.flags("record_path")
    return _Finding(Fact.RECORDS, verdict, declared, wanted, got, ours.selector.confidence if ours else None)


def _parent(truth: TrueStream, ours: Stream | None, world: _World) -> Iterator[_Finding]:
    """The stream that the values come from, and the field. Nothing declares parents."""
    value = ours.parent.value if ours is not None else None
    confidence = ours.parent.confidence if ours is not None and value is not None else None
    above = world.ours.get(value.stream) if value is not None else None
    fields: list[Any] = [binding.field for binding in value.bindings] if value is not None else []
    got = (" ".join(_place(above)), fields) if above is not None else None
    if truth.parent is None:
        if ours is not None:
            yield _Finding(Fact.ORPHAN, "wrong" if got else "right", False, None, got, confidence)
        return
    theirs = world.theirs.get(truth.parent.stream or "")
    if theirs is None or theirs.place is None:
        return  # the parent is not in the document: there is nothing to be right about
    key = truth.parent.parent_key
    verdict: Verdict = "gap"
    if above is not None:
        same_key = key is None or any(key in (field[-1], ".".join(field)) for field in fields)
        verdict = "right" if _place(above) == theirs.place and same_key else "wrong"
    yield _Finding(Fact.PARENT, verdict, False, (" ".join(theirs.place), key), got, confidence)
