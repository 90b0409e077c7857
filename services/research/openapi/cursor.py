"""Incremental reads: the filter parameter for "what changed since" together with the record's field. Pure."""

from __future__ import annotations

import re
from typing import Any, Literal, NamedTuple

from contracts.blueprint import Candidate, Cursor, Gap, IncrementalFilter, JsonPath
from services.research.openapi.endpoint import Endpoint, Param, type_of
from services.research.openapi.ranking import candidate
from services.research.openapi.words import vocabulary, words

Format = Literal["date-time", "date", "epoch_s", "epoch_ms"]
Kind = Literal["updated", "created", "event"]

_STEMS = {
    **dict.fromkeys(
        ("updated", "update", "modified", "modification", "changed", "change", "edited", "mtime"), "update"
    ),
    **dict.fromkeys(("created", "create", "creation", "added", "inserted", "ctime"), "create"),
    **dict.fromkeys(
        ("published", "sent", "received", "issued", "posted", "occurred", "started", "completed"), None
    ),
}
_KIND_OF_STEM: dict[str, Kind] = {"update": "updated", "create": "created"}
_TIME_WORDS = vocabulary("at date time on utc timestamp ts datetime iso when gmt")
_LOWER = vocabulary(
    "since after min from gte gt start begin ge minimum starting startdate greater newer oldest lower"
)
_UPPER = vocabulary("until before max to lte lt end le maximum ending till latest newest upper")
_GENERIC = frozenset(
    [
        *(("since",), ("start", "date"), ("from", "date"), ("begin", "date"), ("start", "time"), ("begin", "time")),
        *(("from",), ("oldest",), ("date", "from"), ("from", "time"), ("date", "min"), ("min", "date"), ("after",)),
        *(
            ("start",),
            ("date", "gte"),
            ("time", "min"),
            ("starting", "at"),
            ("start", "datetime"),
            ("from", "datetime"),
        ),
        *(("date", "start"), ("time", "from"), ("time", "start"), ("since", "date"), ("min", "time"), ("begin",)),
        *(("start", "timestamp"), ("from", "timestamp"), ("after", "date"), ("date", "after"), ("since", "time")),
        *(("start", "at"), ("min", "timestamp"), ("datetime", "start"), ("date", "gt"), ("since", "timestamp")),
        *(
            ("timestamp", "gte"),
            ("timestamp", "from"),
            ("timestamp", "since"),
            ("timestamp", "start"),
            ("date", "begin"),
        ),
    ]
)
_RECORD_PARTS = (("attributes",), ("fields",), ("meta",), ("metadata",), ("info",), ("details",))
"""Members of a record that hold what other APIs put into the record itself."""
_SURE = 0.48
"""Below this the field that goes with a filter is a guess, and a wrong one loses records: a named gap instead."""
_EXCLUSIVE = frozenset({"gt", "after", "greater"})
_INCLUSIVE = re.compile(r"\b(at|on) or (after|later|since)|or equal|equal or|\binclusive|greater than or|\bsince\b")
_EPOCH = re.compile(r"\b(unix|epoch|seconds since|posix)\b")
_MILLIS = re.compile(r"\bmilli-?seconds?\b|\bms\b")
_DATED = re.compile(r"\b(date|time|timestamp|datetime|iso ?-?8601|rfc ?-?3339|unix|epoch|yyyy|when|since|day)\b")
_COUNTED = re.compile(r"\b(offset|index|page|rows?|position)\b")
_BREAK = re.compile(r"<br\s*/?>")
_OPERATOR = re.compile(r"`?([A-Za-z_][\w.]*)`?\s*(?:\([^)]*\)|<[^>]*>)?\s*[:\-]\s*([^\n]*)")
_GREATER = re.compile(r"`?(greater-or-equal|greater-than)`?")


class _Filter(NamedTuple):
    """A parameter that sets a lower bound in time. ``stems`` is what of the field's name it tells."""

    param: Param
    name: str
    stems: frozenset[str]
    generic: bool
    inclusive: bool
    format: Format
    template: str = "{value}"
    field: str = ""


class _Stamp(NamedTuple):
    path: JsonPath
    stems: frozenset[str]
    kind: Kind
    format: Format
    described: bool


def cursor_candidates(
    endpoint: Endpoint, record: dict[str, Any], taken: frozenset[str]
) -> tuple[list[Candidate[Cursor | None]], Gap | None]:
    """Candidates, ``None`` always among them, and a gap if the parameter is there but no field. ``taken``: names of
    parameters that the pagination uses."""
    filters = [found for param in endpoint.params if param.name not in taken for found in _filters(param, endpoint)]
    stamps = list(_stamps(record))
    found: list[Candidate[Cursor | None]] = []
    for entry in filters:
        scored = ((stamp, _match(entry, stamp, len(stamps))) for stamp in stamps)
        found.extend(_candidate(endpoint, entry, stamp, score) for stamp, score in scored if score > 0)
    if not filters:
        return [candidate(None, 0.9, endpoint.evidence("no parameter filters by time"))], None
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


def _candidate(endpoint: Endpoint, entry: _Filter, stamp: _Stamp, score: float) -> Candidate[Cursor | None]:
    location: Literal["query", "header", "body"] = "query"
    if entry.param.location == "header" or entry.param.location == "body":
        location = "header" if entry.param.location == "header" else "body"
    cursor = Cursor(
        field=stamp.path,
        field_format=stamp.format,
        format=entry.format,
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


# --- parameters -----------------------------------------------------------------------------------


def _filters(param: Param, endpoint: Endpoint) -> list[_Filter]:
    if param.location not in ("query", "header", "body"):
        return []
    if param.location == "header":
        return _header_filter(param)
    if param.words in (("filter",), ("filters",), ("where",)):
        return _expression_filters(param)
    return _plain_filter(param)


def _header_filter(param: Param) -> list[_Filter]:
    if param.words != ("if", "modified", "since"):
        return []
    return [_Filter(param, param.name, frozenset({"update"}), False, True, "date-time")]


def _plain_filter(param: Param) -> list[_Filter]:
    own = param.words
    if param.type in ("boolean", "array", "object") or not set(own) & _LOWER or set(own) & (_UPPER - {"to"}):
        return []
    generic = own in _GENERIC
    stems = _stems(word for word in own if word not in _LOWER)
    if not _is_dated(param, own, generic=generic):
        return []
    if generic:
        stems = _stems_of_text(param.text)
    inclusive = not set(own) & _EXCLUSIVE or _INCLUSIVE.search(param.text) is not None
    return [_Filter(param, param.name, stems, generic, inclusive, _param_format(param))]


def _is_dated(param: Param, own: tuple[str, ...], *, generic: bool) -> bool:
    """Whether the bound is one in time, not in amount or id, nor a place in the list (``startAt``)."""
    if (
        param.is_integer
        and not _EPOCH.search(param.text)
        and (param.default in (0, 1) or _COUNTED.search(param.text))
    ):
        return False
    if param.format in ("date", "date-time") or set(own) & _TIME_WORDS or set(own) & _STEMS.keys():
        return not set(own) & {"id", "amount", "price", "count"}
    if not generic:
        return False
    return bool(_DATED.search(param.text)) and not re.search(r"\b(cursor|token|offset|index|page)\b", param.text)


def _expression_filters(param: Param) -> list[_Filter]:
    """``filter=greater-than(updated,<time>)``: the description lists fields and their operators."""
    found = []
    for name, operators in _OPERATOR.findall(_BREAK.sub("\n", param.description)):
        known = _GREATER.findall(operators)
        if not known:
            continue
        operator = "greater-or-equal" if "greater-or-equal" in known else known[0]
        inclusive = operator == "greater-or-equal"
        template = f"{operator}({name},{{value}})"
        found.append(_Filter(param, param.name, frozenset(), False, inclusive, "date-time", template, field=name))
    return found


def _param_format(param: Param) -> Format:
    if param.format == "date":
        return "date"
    if param.is_integer or (_EPOCH.search(param.text) and param.format != "date-time"):
        return "epoch_ms" if _MILLIS.search(param.text) else "epoch_s"
    if param.format == "date-time":
        return "date-time"
    example = str(param.example or param.default or "")
    if re.fullmatch(r"\d{4}-\d{2}-\d{2}", example):
        return "date"
    if re.search(r"yyyy-?mm-?dd(?!.{0,3}(t|hh|'t'))", param.text) and "time" not in param.words:
        return "date"
    return "date-time"


def _stems(own: Any) -> frozenset[str]:
    """The telling words of a time's name: ``updated_at`` and ``date_updated`` both give ``update``."""
    stems = set()
    for word in own:
        if word in _STEMS:
            stems.add(_STEMS[word] or word)
        elif word not in _TIME_WORDS and word not in _LOWER and word not in ("last", "filter", "by", "is", "the"):
            stems.add(word)
    return frozenset(stems)


def _stems_of_text(text: str) -> frozenset[str]:
    for word in ("updated", "modified", "changed", "created", "added"):
        if re.search(rf"\b{word}", text):
            return frozenset({_STEMS[word] or word})
    return frozenset()


# --- fields ---------------------------------------------------------------------------------------


def _stamps(record: dict[str, Any], at: JsonPath = ()) -> list[_Stamp]:
    found = []
    for name, schema in record.get("properties", {}).items():
        own = words(name)
        kind_of = type_of(schema)
        if not at and kind_of == "object" and own[-1:] in _RECORD_PARTS:
            found.extend(_stamps(schema, (name,)))
        elif kind_of in ("string", "integer", "number", "") and own and _is_time(own, schema):
            stems = _stems(own)
            kinds = [_KIND_OF_STEM[stem] for stem in stems if stem in _KIND_OF_STEM]
            described = schema.get("format") in ("date", "date-time")
            found.append(
                _Stamp((*at, name), stems, kinds[0] if kinds else "event", _field_format(schema), described)
            )
    return found


def _is_time(own: tuple[str, ...], schema: dict[str, Any]) -> bool:
    if schema.get("format") in ("date", "date-time"):
        return True
    if set(own) & {"by", "id", "count", "zone", "timezone", "user", "type", "format"}:
        return False
    if own[-1] in ("created", "updated", "modified") or own[-1] in ("at", "utc", "timestamp", "ts", "datetime"):
        return type_of(schema) != "" or len(own) > 1
    return bool(set(own) & {"date", "time", "timestamp", "datetime"}) and bool(
        set(own) & _STEMS.keys() or own in (("date",), ("time",), ("datetime",))
    )


def _field_format(schema: dict[str, Any]) -> Format:
    if type_of(schema) in ("integer", "number"):
        return "epoch_ms" if _MILLIS.search(str(schema.get("description", "")).lower()) else "epoch_s"
    if re.search(r"(\\d|\[0-9\])\{10\}", str(schema.get("pattern", ""))):
        return "epoch_s"
    return "date" if schema.get("format") == "date" else "date-time"


# --- together -------------------------------------------------------------------------------------


def _match(entry: _Filter, stamp: _Stamp, stamps: int) -> float:
    """How well the filter and the field belong together; 0 if they do not."""
    base = (0.05 if stamp.described else 0.0) + (0.03 if stamp.kind == "updated" else 0.0)
    if len(stamp.path) > 1:
        base -= 0.05
    if entry.field:
        return 0.85 + base if words(entry.field) == words(stamp.path[-1]) else 0.0
    if entry.stems and not entry.generic:
        if entry.stems == stamp.stems:
            return 0.85 + base
        if entry.stems & stamp.stems:
            return 0.65 + base
        return 0.0
    if entry.stems:
        return 0.75 + base if entry.stems & stamp.stems else 0.0
    if entry.generic:
        rank = 0.55 if not stamp.stems else 0.4
        return rank + base + (0.15 if stamps == 1 else 0.0)
    return 0.6 + base if not stamp.stems else 0.0
