"""Which parameters of a request set a lower bound in time, and for what. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from contracts.blueprint import TimeFormat
from services.research.openapi.endpoint import Endpoint, Param
from services.research.openapi.time_fields import STEMS, TIME_WORDS, stems_of, stems_of_text
from services.research.openapi.words import phrases, vocabulary, words

_LOWER = vocabulary(
    "since after min from gte gt start begin ge minimum starting startdate greater newer oldest lower"
)
_UPPER = vocabulary("until before max to lte lt end le maximum ending till latest newest upper")
_OPERATORS = vocabulary("gt gte ge")
_COMPARING = _OPERATORS | {"lt", "lte", "le"}
_GENERIC = frozenset(
    tuple(phrase.split())
    for phrase in phrases(
        "since|start date|from date|begin date|start time|begin time|from|oldest|date from|from time|date min|"
        "min date|after|start|date gte|time min|starting at|start datetime|from datetime|date start|time from|"
        "time start|since date|min time|begin|start timestamp|from timestamp|after date|date after|since time|"
        "start at|min timestamp|datetime start|date gt|since timestamp|timestamp gte|timestamp from|"
        "timestamp since|timestamp start|date begin|ts from|ts start|date since"
    )
)
"""Bounds that do not say of which time."""
_TIMELY = TIME_WORDS - {"at", "on", "when"}
_EXCLUSIVE = frozenset({"gt", "after", "greater"})
_SAID_INCLUSIVE = re.compile(
    r"\b(at|on|equal to|equals) or (after|later|since|greater|newer)|"
    r"\b(after|later than|greater than|since) (or|and) (at|on|equal)|or equal|equal or|\binclusive|\bsince\b"
)
_SAID_EXCLUSIVE = re.compile(r"\bexclusive\b|\bstrictly|\b(later|newer|greater|more recent) than\b(?! or)")
_EPOCH = re.compile(r"\b(unix|epoch|seconds since|posix)\b")
_MILLIS = re.compile(r"\bmilli-?seconds?\b|\bms\b")
_DATED = re.compile(r"\b(date|time|timestamp|datetime|iso ?-?8601|rfc ?-?3339|unix|epoch|yyyy|when|since|day)\b")
_COUNTED = re.compile(r"\b(offset|index|page|rows?|position|cursor|token)\b")
_BREAK = re.compile(r"<br\s*/?>")
_OPERATOR = re.compile(r"`?([A-Za-z_][\w.]*)`?\s*(?:\([^)]*\)|<[^>]*>)?\s*[:\-]\s*([^\n]*)")
_GREATER = re.compile(r"`?(greater-or-equal|greater-than)`?")


class Filter(NamedTuple):
    """A parameter that sets a lower bound in time. ``stems`` is what of the field's name it tells, ``told``: its
    text tells it, not its name; ``field``: the field itself, where it is named. ``form_known``: the document says
    how the value is written."""

    param: Param
    name: str
    stems: frozenset[str]
    told: bool
    inclusive: bool
    format: TimeFormat
    form_known: bool
    template: str = "{value}"
    field: str = ""


def filters_of(endpoint: Endpoint, taken: frozenset[str], fields: Iterable[str]) -> list[Filter]:
    """``taken`` are names that the pagination uses; ``fields`` those of the record's times."""
    params = [param for param in endpoint.params if param.name not in taken and param.location != "path"]
    compared = {param.words[:-1] for param in params if param.words and param.words[-1] in _COMPARING}
    excluding = any(param.words == ("inclusive",) and param.default is not True for param in params)
    names = tuple(fields)
    return [
        found._replace(inclusive=found.inclusive and not (excluding and found.param.location == "query"))
        for param in params
        if param.words not in compared
        for found in _filters(param, names)
    ]


def _filters(param: Param, fields: tuple[str, ...]) -> Iterator[Filter]:
    if param.location == "header":
        if param.words == ("if", "modified", "since"):  # RFC 9110, section 13.1.3
            yield Filter(param, param.name, frozenset({"update"}), False, True, "date-time", form_known=True)
    elif param.words in (("filter",), ("filters",), ("where",)):
        yield from _expressions(param)
    elif param.location in ("query", "body"):
        yield from _plain(param, fields)


def _plain(param: Param, fields: tuple[str, ...]) -> Iterator[Filter]:
    own, text = param.words, " ".join(param.text.split())
    compares = own[-1:] != () and own[-1] in _OPERATORS
    if param.type in ("boolean", "array", "object") or not set(own) & _LOWER:
        return
    if set(own) & (_UPPER - {"to"}) and not compares:
        return
    generic = own in _GENERIC
    if not _is_dated(param, own, text, generic=generic):
        return
    stems = frozenset[str]() if generic else stems_of(own, _LOWER)
    told = not stems
    exclusive = bool(set(own) & _EXCLUSIVE or _SAID_EXCLUSIVE.search(text))
    named = sorted((name for name in fields if re.search(rf"\b{re.escape(name.lower())}\b", text)), key=len)
    field = named[-1] if told and named and len(words(named[-1])) > 1 else ""
    yield Filter(
        param=param,
        name=param.name,
        stems=stems or stems_of_text(text),
        told=told,
        inclusive=not exclusive or _SAID_INCLUSIVE.search(text) is not None,
        format=_format(param, text),
        form_known=_form_known(param, text),
        field=field,
    )


def _is_dated(param: Param, own: tuple[str, ...], text: str, *, generic: bool) -> bool:
    """Whether the bound is one in time, not in amount or id, nor a place in the list (``startAt``)."""
    declared = param.format in ("date", "date-time")
    if declared or _EPOCH.search(text):
        return not set(own) & {"id", "amount", "price", "count"}
    if param.is_integer and (param.default in (0, 1) or _COUNTED.search(text)):
        return False
    if generic:
        return bool(set(own) & _TIMELY) or bool(_DATED.search(text) and not _COUNTED.search(text))
    return bool(set(own) & TIME_WORDS or set(own) & STEMS.keys()) and not set(own) & {
        "id",
        "amount",
        "price",
        "count",
    }


def _expressions(param: Param) -> Iterator[Filter]:
    """``filter=greater-than(updated,<time>)``: the description lists fields and their operators."""
    for name, operators in _OPERATOR.findall(_BREAK.sub("\n", param.description)):
        known = _GREATER.findall(operators)
        if not known:
            continue
        operator = "greater-or-equal" if "greater-or-equal" in known else known[0]
        yield Filter(
            param=param,
            name=param.name,
            stems=frozenset(),
            told=False,
            inclusive=operator == "greater-or-equal",
            format="date-time",
            form_known=True,
            template=f"{operator}({name},{{value}})",
            field=name,
        )


def _form_known(param: Param, text: str) -> bool:
    return (
        param.format in ("date", "date-time") or bool(_EPOCH.search(text)) or bool(param.example or param.default)
    )


def _format(param: Param, text: str) -> TimeFormat:
    if param.format == "date":
        return "date"
    if param.is_integer or (_EPOCH.search(text) and param.format != "date-time"):
        return "epoch_ms" if _MILLIS.search(text) else "epoch_s"
    if param.format == "date-time":
        return "date-time"
    example = str(param.example or param.default or "")
    if re.fullmatch(r"\d{4}-\d{2}-\d{2}", example):
        return "date"
    if re.search(r"yyyy-?mm-?dd(?!.{0,3}(t|hh|'t'))", text) and "time" not in param.words:
        return "date"
    return "date-time"
