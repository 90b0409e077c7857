"""What a request must carry besides paging and authentication: fixed values, or fields of the config. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, Literal, NamedTuple

from contracts.blueprint import Evidence, Parameter
from services.research.openapi.endpoint import Endpoint, Param
from services.research.openapi.parents import Constant
from services.research.openapi.places import is_vague
from services.research.openapi.windows import time_format, until_now
from services.research.openapi.words import snake, vocabulary

_IGNORED_HEADERS = vocabulary("accept content-type authorization user-agent host content-length")
"""OpenAPI 3.1, section 4.8.12.1: these are not parameters; the client sets them."""
_RESERVED = frozenset({"credentials", "start_date", "base_url"})
"""Fields that every generated config has of its own."""
_WIDE = 0.5
_SMALL_API = 3
_TYPES: Mapping[str, Literal["string", "integer", "number", "boolean"]] = {
    "integer": "integer",
    "number": "number",
    "boolean": "boolean",
}


class Demands(NamedTuple):
    """What one endpoint insists on. ``open`` has no value yet; ``impossible`` says why it cannot be read at all;
    ``evidence`` is for the values that stand for all others."""

    query: dict[str, str]
    headers: dict[str, str]
    body: dict[str, Any]
    open: tuple[Param, ...]
    impossible: str = ""
    evidence: tuple[Evidence, ...] = ()


def demands(endpoint: Endpoint, handled: frozenset[tuple[str, str]], switches: Iterable[str] = ()) -> Demands:
    """``handled`` are (location, lower-case name) that paging, cursor and authentication take care of; ``switches``
    are boolean parameters to turn on."""
    query: dict[str, str] = dict.fromkeys(switches, "true")
    headers: dict[str, str] = {}
    body: dict[str, Any] = {}
    missing: list[Param] = []
    whole = [param for param in endpoint.params if param.required and everything(param) is not None]
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
    evidence = tuple(
        param.evidence(f"{param.name} is {everything(param)}: the others are parts") for param in whole
    )
    return Demands(query, headers, body, tuple(missing), evidence=evidence)


def _fixed_value(param: Param) -> str | None:
    """A value that the document itself gives: a default, the only or (of versions) the last enumerated one, or a
    header's example."""
    if isinstance(param.default, (str, int, float)) and _is_usable(param.default):
        return _text(param.default)
    if len(param.enum) == 1:
        return _text(param.enum[0])
    if param.required and param.enum:
        return _of_several(param)
    if param.location == "header" and "version" in {
        *param.words,
        *({"version"} if "revision" in param.words else ()),
    }:
        usable = isinstance(param.example, (str, int, float)) and _is_usable(param.example)
        return _text(param.example) if usable else None
    return None


def _of_several(param: Param) -> str | None:
    """Of enumerated values the one that holds all others, or the latest version; of a header the first. Of any
    others each is a part of the records: the user's to choose."""
    values = _texts(param.enum)
    if all(re.match(r"v?\d", value) for value in values):
        return max(values)
    return everything(param) or (values[0] if param.location == "header" else None)


def everything(param: Param) -> str | None:
    """The enumerated value that means all of them."""
    return next((value for value in _texts(param.enum) if value.lower() == "all"), None)


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


def asked_at_once(param: Param, users: int, streams: int) -> bool:
    """Whether it is the config's to say, before a parent is looked for: what most of the API needs, and what has a
    value to begin with (one of a closed set, the end of a window in time)."""
    return param.location == "header" or _is_wide(users, streams) or bool(param.enum) or until_now(param)


def _is_wide(users: int, streams: int) -> bool:
    return users >= _WIDE * streams or streams <= _SMALL_API


def config_parameters(
    wanted: Mapping[str, tuple[Param, ...]], constants: Iterable[Constant], streams: int, taken: Iterable[str]
) -> tuple[Parameter, ...]:
    """Fields of the config: what paths and parents leave open first, then what streams (``wanted``, by name) are
    asked for besides. What few streams need may be left out."""
    names = {*_RESERVED, *taken}
    made = []
    for constant in constants:
        users = () if constant.required and len(constant.users) == streams else constant.users
        made.append(_constant(constant, _free(constant.name, "request", names), users))
    users_of: dict[tuple[str, str, tuple[str, ...]], list[str]] = {}
    first: dict[tuple[str, str, tuple[str, ...]], Param] = {}
    for stream, params in wanted.items():
        for param in params:
            key = (param.location, param.name, _texts(param.enum))
            users_of.setdefault(key, []).append(stream)
            first.setdefault(key, param)
    for key, param in first.items():
        found = users_of[key]
        name = snake(param.name) or "value"
        stream = found[0] if len(found) < streams else "request"
        if len(found) == 1 < streams and is_vague(name):
            name = f"{stream}_{name}"
        name = _free(name, stream, names)
        made.append(_parameter(param, name, found, streams))
    return tuple(made)


def _constant(constant: Constant, name: str, streams: tuple[str, ...]) -> Parameter:
    """What all that need it say alike of the variable holds; one value will have to do for all of them."""
    params = constant.params
    types = {param.type for param in params}
    enums = {_texts(param.enum) for param in params}
    enum = enums.pop() if len(enums) == 1 else ()
    told = next((text for param in params if (text := " ".join(param.description.split()))), "")
    forms = {time_format(param) for param in params}
    return Parameter(
        name=name,
        location="path",
        target=constant.variable,
        description=told[:300] or f"The {constant.variable} in the API's requests",
        type="integer" if types == {"integer"} and not enum else "string",
        format=forms.pop() if len(forms) == 1 else None,
        enum=enum,
        default=enum[0] if enum and not constant.required else None,
        required=constant.required,
        streams=streams,
    )


def _free(name: str, before: str, names: set[str]) -> str:
    """The name, with what it is for if that is taken."""
    name = name.removeprefix("x_") or name
    while name in names:
        name = f"{before}_{name}"
    names.add(name)
    return name


def _parameter(param: Param, name: str, users: list[str], streams: int) -> Parameter:
    enum = _texts(param.enum)
    ends = until_now(param)
    return Parameter(
        name=name,
        location="header" if param.location == "header" else "query",
        target=param.name,
        description=" ".join(param.description.split())[:300],
        type="string" if enum else _TYPES.get(param.type, "string"),
        format=time_format(param),
        enum=enum,
        default=enum[0] if enum else None,
        required=_is_wide(len(users), streams) and not ends and not enum,
        until_now=ends,
        streams=() if len(users) == streams else tuple(users),
    )


def _texts(values: Iterable[Any]) -> tuple[str, ...]:
    return tuple(_text(value) for value in values)
