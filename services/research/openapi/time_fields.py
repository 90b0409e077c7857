"""Which members of a record are times, what they tell, and how they are written. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any, Literal, NamedTuple

from contracts.blueprint import JsonPath, TimeFormat
from services.research.openapi.endpoint import type_of
from services.research.openapi.words import vocabulary, words

Kind = Literal["updated", "created", "event"]

STEMS: dict[str, str | None] = {
    **dict.fromkeys(
        vocabulary("updated update updates modified modification changed change changes edited mtime revised"),
        "update",
    ),
    **dict.fromkeys(
        vocabulary("created create creation added inserted ctime joined registered initiation initiated"), "create"
    ),
    **dict.fromkeys(vocabulary("published sent received issued posted occurred started completed"), None),
}
TIME_WORDS = vocabulary("at date time on utc timestamp ts datetime iso when gmt")
_KIND_OF_STEM: dict[str, Kind] = {"update": "updated", "create": "created"}
_PLANNED = vocabulary(
    "due expire expires expired expiry expiration schedule scheduled arrival planned estimated expected next "
    "renewal renews cancel canceled cancelled close closed archived deleted resolved released declined voided "
    "completed ended paid settled starts ends effective valid until birth birthday start_at"
)
"""Times that may lie ahead, or be set long after a record was first seen: one who asks only for later ones misses
what came in between."""
_NO_TIME = vocabulary("by id count zone timezone user type format limit spent wait queue response lead duration")
_TEXT = re.compile(r"\b(date|time|timestamp|datetime|epoch|iso.?8601|rfc.?3339)\b")
_SPAN = re.compile(r"\b(milli)?seconds? (of|that|between|it)|\bminutes|\bhours\b|\bduration|\bhow long")
_MILLIS = re.compile(r"\bmilli-?seconds?\b|\bms\b")
_MS_DATE = re.compile(r"/Date\(-?\d+")
_MAIL_DATE = re.compile(r"rfc.?2822|\b[A-Z][a-z]{2}, \d{1,2} [A-Z][a-z]{2} \d{4}\b")
_RECORD_PARTS = (("attributes",), ("fields",), ("meta",), ("metadata",), ("info",), ("details",))
"""Members of a record that hold what other APIs put into the record itself."""
_NOT_TELLING = vocabulary("last filter by is the of")


class Stamp(NamedTuple):
    """A time in a record. ``stems`` is what of its name tells which; ``described``: its schema says that it is one;
    ``unit_known``: how a number counts is written somewhere."""

    path: JsonPath
    stems: frozenset[str]
    kind: Kind
    format: TimeFormat
    described: bool
    planned: bool
    unit_known: bool


def stamps_of(record: dict[str, Any], at: JsonPath = ()) -> Iterator[Stamp]:
    for name, schema in record.get("properties", {}).items():
        own = words(name)
        kind = type_of(schema)
        if not at and kind == "object" and own[-1:] in _RECORD_PARTS:
            yield from stamps_of(schema, (name,))
        elif kind in ("string", "integer", "number", "") and own and _is_time(own, schema):
            yield _stamp((*at, name), own, schema)


def _stamp(path: JsonPath, own: tuple[str, ...], schema: dict[str, Any]) -> Stamp:
    text = str(schema.get("description", "")).lower()
    stems = stems_of(own) or stems_of_text(text)
    kinds = [_KIND_OF_STEM[stem] for stem in stems if stem in _KIND_OF_STEM]
    described = str(schema.get("format", "")).startswith("date")
    planned = not kinds and (bool(set(own) & _PLANNED) or own in (("start", "at"), ("end", "at")))
    form = _format(schema)
    unit_known = not form.startswith("epoch") or bool(_MILLIS.search(text) or "second" in text)
    return Stamp(path, stems, kinds[0] if kinds else "event", form, described, planned, unit_known)


def stems_of(own: Iterable[str], besides: frozenset[str] = frozenset()) -> frozenset[str]:
    """The telling words of a time's name: ``updated_at`` and ``date_updated`` both give ``update``."""
    stems = set()
    for word in own:
        if word in STEMS:
            stems.add(STEMS[word] or word)
        elif word not in TIME_WORDS and word not in besides and word not in _NOT_TELLING:
            stems.add(word)
    return frozenset(stems)


def stems_of_text(text: str) -> frozenset[str]:
    """Whether a text speaks of changes or of the creation; of both, changes."""
    said = {STEMS[word] for word in re.findall(r"[a-z]+", text) if word in STEMS}
    return frozenset(
        {stem} if (stem := next((each for each in ("update", "create") if each in said), None)) else ()
    )


def _is_time(own: tuple[str, ...], schema: dict[str, Any]) -> bool:
    if str(schema.get("format", "")).startswith("date"):
        return True
    if set(own) & _NO_TIME:
        return False
    if own[-1] in ("created", "updated", "modified") or own[-1] in ("at", "utc", "timestamp", "ts", "datetime"):
        return type_of(schema) != "" or len(own) > 1
    if not set(own) & {"date", "time", "timestamp", "datetime"}:
        return False
    if set(own) & STEMS.keys() or own in (("date",), ("time",), ("datetime",)):
        return True
    text = str(schema.get("description", "")).lower()
    return bool(_TEXT.search(text)) and not _SPAN.search(text)


def _format(schema: dict[str, Any]) -> TimeFormat:
    if type_of(schema) in ("integer", "number"):
        return "epoch_ms" if _MILLIS.search(str(schema.get("description", "")).lower()) else "epoch_s"
    if re.search(r"(\\d|\[0-9\])\{10\}", str(schema.get("pattern", ""))):
        return "epoch_s"
    written = " ".join(map(str, (schema.get("format", ""), *schema.get("examples", ()))))
    if _MS_DATE.search(written):
        return "ms_date"
    if _MAIL_DATE.search(written):
        return "rfc2822"
    return "date" if schema.get("format") == "date" else "date-time"
