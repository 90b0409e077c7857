"""What a request must carry besides paging and authentication: fixed values, or fields of the config. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal, NamedTuple

from contracts.blueprint import Parameter
from services.research.openapi.endpoint import Endpoint, Param
from services.research.openapi.parents import Constant
from services.research.openapi.words import snake, vocabulary

_IGNORED_HEADERS = vocabulary("accept content-type authorization user-agent host content-length")
"""OpenAPI 3.1, section 4.8.12.1: these are not parameters; the client sets them."""
_RESERVED = frozenset({"credentials", "start_date", "base_url"})
"""Fields that every generated config has of its own."""
_WIDE = 0.5
_SMALL_API = 3
_UPPER_BOUND = vocabulary("until before to end max latest till ending le lte")
_YEAR_FIRST = re.compile(r"\^?\(?(\[0-9\]|\\d)\{4\}\)?\\?-")
"""How a regular expression for an ISO 8601 date begins."""
_MOMENT = re.compile(r"rfc ?-?3339|iso ?-?8601|date[ -]?time|date and time|hh:mm")
_DAY = re.compile(r"yyyy-mm-dd(?!.{0,3}(t|hh))")
_OTHER_SPELLING = re.compile(r"yyyymmdd|mm/dd|dd/mm|\b(unix|epoch|posix|milliseconds)\b")
_TYPES: Mapping[str, Literal["string", "integer", "number", "boolean"]] = {
    "integer": "integer",
    "number": "number",
    "boolean": "boolean",
}


class Demands(NamedTuple):
    """What one endpoint insists on. ``open`` has no value yet; ``impossible`` says why it cannot be read at all."""

    query: dict[str, str]
    headers: dict[str, str]
    body: dict[str, Any]
    open: tuple[Param, ...]
    impossible: str = ""


def demands(endpoint: Endpoint, handled: frozenset[tuple[str, str]], switches: Iterable[str] = ()) -> Demands:
    """``handled`` are (location, lower-case name) that paging, cursor and authentication take care of; ``switches``
    are boolean parameters to turn on."""
    query: dict[str, str] = dict.fromkeys(switches, "true")
    headers: dict[str, str] = {}
    body: dict[str, Any] = {}
    missing: list[Param] = []
    for param in endpoint.params:
        if (param.location, param.name.lower()) in handled or param.location in ("path", "cookie"):
            continue
        if param.location == "header" and param.name.lower() in _IGNORED_HEADERS:
            continue
        if param.location == "body":
            if param.required and (value := _body_value(param)) is not None:
                body[param.name] = value
            elif param.required:
                return Demands({}, {}, {}, (), f"its body must hold {param.name!r}, which nothing supplies")
            continue
        value = _fixed_value(param)
        if value is not None and (param.required or param.location == "header"):
            (query if param.location == "query" else headers)[param.name] = value
        elif param.required:
            missing.append(param)
    return Demands(query, headers, body, tuple(missing))


def _fixed_value(param: Param) -> str | None:
    """A value that the document itself gives: a default, the only or (of versions) the last enumerated one, or a
    header's example."""
    if isinstance(param.default, (str, int, float)) and _is_usable(param.default):
        return _text(param.default)
    if len(param.enum) == 1:
        return _text(param.enum[0])
    if param.required and param.enum:
        versions = [str(value) for value in param.enum]
        return max(versions) if all(re.match(r"v?\d", value) for value in versions) else versions[0]
    if param.location == "header" and "version" in {
        *param.words,
        *({"version"} if "revision" in param.words else ()),
    }:
        usable = isinstance(param.example, (str, int, float)) and _is_usable(param.example)
        return _text(param.example) if usable else None
    return None


def _is_usable(value: Any) -> bool:
    """Not the placeholder of a collection's variable (``{{version}}``, ``<version>``, ``$VERSION``)."""
    return value != "" and not re.match(r"\s*(\{|<|\$|%7B)", str(value))


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _body_value(param: Param) -> Any:
    if param.default is not None:
        return param.default
    if param.enum:
        return list(param.enum) if param.type == "array" else param.enum[0]
    if param.type == "array" or param.type == "object":
        return param.example if isinstance(param.example, (list, dict)) and param.example else None
    return None


def can_be_asked_for(param: Param, users: int, streams: int) -> bool:
    """Whether a config should ask for it: if it is for most of the API, if the API is small, or if it is a window
    in time. A config with a field for every odd endpoint would be of no use."""
    dated = time_format(param) is not None or bool({"date", "time"} & set(param.words))
    return users >= _WIDE * streams or streams <= _SMALL_API or dated


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
    if not {"date", "time", "datetime"} & set(param.words) or param.pattern:
        return None
    if _DAY.search(param.text):
        return "date"
    told = _MOMENT.search(param.text) or not {"date"} & set(param.words)
    return "date-time" if told else "date"


def config_parameters(
    wanted: Mapping[str, tuple[Param, ...]],
    constants: Iterable[Constant],
    streams: int,
    taken: Iterable[str],
    variables: Iterable[Param] = (),
) -> tuple[Parameter, ...]:
    """Fields of the config: path constants first, then what streams (``wanted``, by name) still miss.
    ``variables`` are the path variables of all streams, as each declares them."""
    names = {*_RESERVED, *taken}
    declared: dict[str, list[Param]] = {}
    for param in variables:
        declared.setdefault(param.name, []).append(param)
    made = []
    for constant in constants:
        name = _free(constant.name, names)
        everywhere = len(constant.users) == streams
        users_of = () if everywhere else constant.users
        made.append(_path_parameter(constant.variable, name, declared.get(constant.variable, ()), users_of))
    users: dict[tuple[str, str], list[str]] = {}
    first: dict[tuple[str, str], Param] = {}
    for stream, params in wanted.items():
        for param in params:
            users.setdefault((param.location, param.name), []).append(stream)
            first.setdefault((param.location, param.name), param)
    for key, param in first.items():
        made.append(_parameter(param, _free(snake(param.name) or "value", names), users[key], streams))
    return tuple(made)


def _path_parameter(variable: str, name: str, declared: Sequence[Param], streams: tuple[str, ...]) -> Parameter:
    """What all paths say alike of the variable holds; one value will have to do for all of them."""
    types = {param.type for param in declared}
    enums = {tuple(str(value) for value in param.enum) for param in declared}
    enum = enums.pop() if len(enums) == 1 else ()
    told = next((text for param in declared if (text := " ".join(param.description.split()))), "")
    return Parameter(
        name=name,
        location="path",
        target=variable,
        description=told[:300] or f"The {variable} in the API's paths",
        type="integer" if types == {"integer"} else "string",
        enum=enum,
        streams=streams,
    )


def _free(name: str, names: set[str]) -> str:
    name = name.removeprefix("x_") or name
    while name in names:
        name = f"request_{name}"
    names.add(name)
    return name


def _parameter(param: Param, name: str, users: list[str], streams: int) -> Parameter:
    form = time_format(param)
    until_now = form is not None and bool(_UPPER_BOUND & set(param.words))
    return Parameter(
        name=name,
        location="header" if param.location == "header" else "query",
        target=param.name,
        description=" ".join(param.description.split())[:300],
        type=_TYPES.get(param.type, "string"),
        format=form,
        enum=tuple(str(value) for value in param.enum),
        required=not until_now,
        until_now=until_now,
        streams=() if len(users) == streams else tuple(users),
    )
