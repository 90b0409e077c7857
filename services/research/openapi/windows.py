"""Parameters that hold a time: how they spell it, and which end of a window they are. Pure."""

from __future__ import annotations

import re
from typing import Literal

from services.research.openapi.endpoint import Param
from services.research.openapi.words import vocabulary

_UPPER_BOUND = vocabulary("until before to end max latest till ending le lte")
_YEAR_FIRST = re.compile(r"\^?\(?(\[0-9\]|\\d)\{4\}\)?\\?-")
"""How a regular expression for an ISO 8601 date begins."""
_MOMENT = re.compile(r"rfc ?-?3339|iso ?-?8601|date[ -]?time|date and time|hh:mm")
_DAY = re.compile(r"yyyy-mm-dd(?!.{0,3}(t|hh))")
_OTHER_SPELLING = re.compile(r"yyyymmdd|mm/dd|dd/mm|\b(unix|epoch|posix|milliseconds)\b")
_BOUND = _UPPER_BOUND | vocabulary("from since after start begin min earliest oldest gte ge")
_SAYS_DATE = re.compile(r"\bdates?\b")


def time_format(param: Param) -> Literal["date", "date-time"] | None:
    """How a parameter spells a time in ISO 8601: as declared, or as its pattern, example, text or name have it."""
    if param.format in ("date", "date-time"):
        return "date" if param.format == "date" else "date-time"
    if param.type not in ("", "string") or param.enum or _OTHER_SPELLING.search(param.text):
        return None
    if _YEAR_FIRST.match(param.pattern):
        return "date-time" if ":" in param.pattern else "date"
    if shown := re.match(r"\d{4}-\d\d-\d\d([T ]\d)?", str(param.example or "")):
        return "date-time" if shown[1] else "date"
    speaks = bool(_BOUND & set(param.words)) and _SAYS_DATE.search(param.text) is not None
    if not (speaks or {"date", "time", "datetime"} & set(param.words)) or param.pattern:
        return None
    if _DAY.search(param.text):
        return "date"
    told = _MOMENT.search(param.text) or not (speaks or {"date"} & set(param.words))
    return "date-time" if told else "date"


def until_now(param: Param) -> bool:
    """Whether it is the end of a window in time: where nobody says, the time of the read."""
    return time_format(param) is not None and bool(_UPPER_BOUND & set(param.words))
