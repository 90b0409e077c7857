"""Numbers of paging that a document states in its own words: the largest page, and where counting starts. Pure."""

from __future__ import annotations

import re

from contracts.blueprint import PageSize
from services.research.openapi.endpoint import Param

_MARKS = re.compile(r"[`*'\"\u2018\u2019\u201c\u201d]|</?\w+/?>")
_NUMBER = r"(\d{1,3}(?:,\d{3})+|\d{1,6})(?!\d|\.\d)"
_BOUND = (
    r"max(?:imum)?\.?|upper (?:limit|bound)|up to|at most|capped at|limited to|less than or equal to|<=?|\u2264|"
    r"\b(?:no|not|never|cannot|can't|cant) (?:be )?(?:more|larger|greater|higher|bigger) than|"
    r"\b(?:cannot|can not|cant|must not|may not|should not|not to|not) exceed"
)
_FILLER = (
    r"(?:\s*[:=(]\s*|\s+(?:is|of|value|allowed|number|limit|page|size|results?|items?|records?|entries|rows|objects|per|"
    r"the|a|count|can|be|set|to|returned|response|request|default))*"
)
_MAXIMUM = re.compile(rf"(?:{_BOUND}){_FILLER}\s*[:=(]?\s*{_NUMBER}")
_RANGE = re.compile(rf"\b(\d{{1,2}})\s*(?:-|\u2013|\u2014|\.\.+|to|and|through)\s*{_NUMBER}")
_AT = r"(?:start(?:s|ing)?|begin(?:s|ning)?|count(?:s|ed|ing)?|index(?:ed)?|number(?:ed|ing)?|default(?:s|ing)?)"
_TO = r"(?:\s+(?:at|from|with|to|is|value|page|index|number|of|the))*\s*[:=(]?\s*"
_FIRST = r"\b(?:first|initial) page(?: number| index)?(?: is| has| =|:)?(?: the)?(?: page| number| index| value)?"
_ZERO_BASED = re.compile(
    rf"\b(?:zero|0)[- ](?:based|indexed|relative)|\b{_AT}{_TO}(?:0|zero)\b(?!\.\d)|"
    rf"{_FIRST} (?:0|zero)\b|"
    r"\b(?:0|zero) (?:is|being|for|means|returns) the first|value of 0|\(0\.\.n\)"
)
_ONE_BASED = re.compile(
    rf"\b(?:one|1)[- ](?:based|indexed)|\b{_AT}{_TO}(?:1|one)\b(?!\.\d)|"
    rf"{_FIRST} (?:1|one)\b|"
    r"\b(?:1|one) (?:is|being|for|means|returns) the first"
)
_USUAL_SIZE = 100
_LARGEST_SIZE = 1000
_TEXT_LENGTH = 2000
_NO_LIMIT = 1_000_000
"""A maximum of that size is the range of a type (``2147483647``), not a limit of the API."""


def page_size(param: Param | None) -> PageSize | None:
    """The largest page that the document allows, within reason; the default where it names no limit."""
    return PageSize(param=param.name, value=_size_value(param)) if param is not None else None


def _size_value(param: Param) -> int:
    numbers = [int(str(value)) for value in param.enum if str(value).isdigit()]
    if numbers:
        return max(1, min(max(numbers), _LARGEST_SIZE))
    if param.maximum is not None and 1 <= param.maximum < _NO_LIMIT:
        return int(min(param.maximum, _LARGEST_SIZE))
    said = _said_maximum(param.text)
    default = int(str(param.default)) if str(param.default or "").isdigit() else 0
    if said >= max(default, 2):
        return min(said, _LARGEST_SIZE)
    return min(default, _LARGEST_SIZE) if default > 1 else _USUAL_SIZE


def _said_maximum(text: str) -> int:
    """0 if the text names none."""
    plain = _plain(text)
    bounds = [_int(match[1]) for match in _MAXIMUM.finditer(plain)]
    ranges = [_int(match[2]) for match in _RANGE.finditer(plain) if int(match[1]) < _int(match[2])]
    return max((*bounds, *ranges), default=0)


def _plain(text: str) -> str:
    """Without marks of emphasis, spaces collapsed, cut to what a description of a number needs."""
    return " ".join(_MARKS.sub("", text[:_TEXT_LENGTH]).split())


def _int(text: str) -> int:
    return int(text.replace(",", ""))


def first_number(param: Param, usual: int) -> tuple[int, bool]:
    """Where counting starts (0 or 1), and whether the document says so: its default, its words, its minimum."""
    if param.default is not None and str(param.default) in ("0", "1"):
        return int(str(param.default)), True
    text = _plain(param.text)
    if _ZERO_BASED.search(text):
        return 0, True
    if _ONE_BASED.search(text):
        return 1, True
    if param.minimum == 1 or (param.minimum == 0 and "start" not in text):
        return int(param.minimum), True
    return (0, True) if str(param.example) == "0" else (usual, False)
