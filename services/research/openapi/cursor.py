"""Incremental reads: the filter parameter for "what changed since" together with the record's field. Pure.

A cursor is worth having only if nothing is lost by it. So the field must be one that later changes (or at least
later records) raise, and the filter must be about that field, or about changes while the field tells the creation:
what was created since was also changed since.
"""

from __future__ import annotations

from typing import Any, Literal

from contracts.blueprint import Candidate, Cursor, Gap, IncrementalFilter, TimeFormat
from services.research.openapi.endpoint import Endpoint
from services.research.openapi.ranking import candidate
from services.research.openapi.time_fields import Stamp, stamps_of
from services.research.openapi.time_filters import Filter, filters_of
from services.research.openapi.words import words

_SURE = 0.48
"""Below this the field that goes with a filter is a guess, and a wrong one loses records: a named gap instead."""
_NAMED = 0.88
"""From here on the filter names the field."""
_HAPPENED, _SUPPOSED = 0.82, 0.78
"""An event's own time is worth less than a record's, and is not sure unless the filter names it: what happened
earlier may be told later."""


def cursor_candidates(
    endpoint: Endpoint, record: dict[str, Any], taken: frozenset[str]
) -> tuple[list[Candidate[Cursor | None]], Gap | None]:
    """Candidates, ``None`` always among them, and a gap if the parameter is there but no field. ``taken``: names of
    parameters that the pagination uses."""
    stamps = list(stamps_of(record))
    filters = filters_of(endpoint, taken, [stamp.path[-1] for stamp in stamps])
    if not filters:
        return [candidate(None, 0.9, endpoint.evidence("no parameter filters by time"))], None
    found: list[Candidate[Cursor | None]] = []
    for entry in filters:
        scored = ((stamp, _match(entry, stamp, stamps)) for stamp in stamps)
        found.extend(_candidate(endpoint, entry, stamp, score) for stamp, score in scored if score > 0)
    nothing: Candidate[Cursor | None] = candidate(None, _SURE, endpoint.evidence("full reads instead"))
    if max((option.confidence for option in found), default=0.0) > _SURE:
        return [*found, nothing], None
    entry = filters[0]
    why = (
        "which field of the record it goes with is not said"
        if found
        else "no field of the record carries that time"
    )
    reason = f"the parameter {entry.name} filters by time, but {why}"
    return [nothing, *found], Gap(subject="cursor", reason=reason, evidence=(entry.param.evidence(),))


def _candidate(endpoint: Endpoint, entry: Filter, stamp: Stamp, score: float) -> Candidate[Cursor | None]:
    location: Literal["query", "header", "body"] = "query"
    if entry.param.location == "header" or entry.param.location == "body":
        location = "header" if entry.param.location == "header" else "body"
    cursor = Cursor(
        field=stamp.path,
        field_format=_field_format(entry, stamp),
        format=_param_format(entry, stamp),
        filter=IncrementalFilter(
            param=entry.name,
            location=location,
            template=entry.template,
            inclusive=entry.inclusive,
            required=entry.param.required,
        ),
    )
    return candidate(
        cursor, score, entry.param.evidence(), endpoint.response_evidence(stamp.path, f"{stamp.kind} time")
    )


def _field_format(entry: Filter, stamp: Stamp) -> TimeFormat:
    """A number that does not say how it counts does so as the filter's."""
    counted = stamp.format.startswith("epoch") and entry.format.startswith("epoch")
    return entry.format if counted and not stamp.unit_known else stamp.format


def _param_format(entry: Filter, stamp: Stamp) -> TimeFormat:
    """A bound that does not say how it is written is written like a field of days."""
    return (
        "date" if stamp.format == "date" and entry.format == "date-time" and not entry.form_known else entry.format
    )


def _match(entry: Filter, stamp: Stamp, stamps: list[Stamp]) -> float:
    """How well the filter and the field belong together; 0 if they do not."""
    agreed = _agreement(entry, stamp, stamps)
    if agreed <= 0:
        return 0.0
    base = agreed
    base += (0.03 if stamp.described else 0.0) + (0.03 if stamp.kind == "updated" else 0.0)
    base += (0.01 if entry.inclusive else 0.0) + (0.01 if _ends(stamp) else 0.0)
    base -= 0.03 if len(stamp.path) > 1 else 0.0
    if stamp.planned:
        return min(base, _SURE - 0.04)
    return base if stamp.kind != "event" else min(base, _HAPPENED if agreed >= _NAMED else _SUPPOSED)


def _ends(stamp: Stamp) -> bool:
    """Of two times of the same thing the later one: records change until then."""
    return stamp.path[-1].lower().startswith("end") or words(stamp.path[-1])[-1] in ("at", "date", "time")


def _agreement(entry: Filter, stamp: Stamp, stamps: list[Stamp]) -> float:
    if entry.field:
        return (0.82 if entry.told else 0.9) if words(entry.field) == words(stamp.path[-1]) else 0.0
    if entry.stems and entry.stems == stamp.stems:
        return 0.74 if entry.told else 0.88
    if entry.stems & stamp.stems:
        return 0.7 if entry.told else 0.68
    if entry.stems == {"update"} and stamp.kind == "created" and not _has(stamps, "updated"):
        return 0.65  # what was created since was changed since
    if entry.stems:
        return 0.0
    return _of_nothing_said(entry, stamp, stamps)


def _of_nothing_said(entry: Filter, stamp: Stamp, stamps: list[Stamp]) -> float:
    """``since``, ``start_date``: neither name nor text says of which time."""
    if words(entry.name) == words(stamp.path[-1]):
        return 0.66
    if not stamp.stems or stamp.stems <= {"start", "end"}:
        return 0.58 if len(stamps) > 1 else 0.68
    if stamp.kind == "created":
        return 0.5 if not _has(stamps, "updated") else 0.42
    if len(stamps) == 1 and stamp.kind == "event":
        return 0.55
    by_the_day = entry.format == "date" and stamp.format != "date"
    only = len(stamps) == 1 or entry.param.required  # what is demanded has its reason
    return 0.5 if only and stamp.kind == "updated" and not by_the_day else 0.4


def _has(stamps: list[Stamp], kind: str) -> bool:
    return any(stamp.kind == kind for stamp in stamps)
