"""Which streams can be built at all, and why the others cannot. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import TypeVar

from contracts.blueprint import ApiBlueprint, Choices, Decision, Parameter, Parent, Request, Stream, option_key

T = TypeVar("T")

_VARIABLE = re.compile(r"\{([^{}]*)\}")


def taken(decision: Decision[T], key: str, choices: Choices) -> T:
    """The option that the choices name; the last one if there are fewer."""
    return decision.chosen(min(choices.get(key, 0), len(decision.options) - 1))


def request_of(stream: Stream, choices: Choices) -> Request:
    return taken(stream.request, option_key(stream.name, "request"), choices)


def parent_of(stream: Stream, choices: Choices) -> Parent | None:
    return taken(stream.parent, option_key(stream.name, "parent"), choices)


def path_variables(path: str) -> list[str]:
    return _VARIABLE.findall(path)


def value_variable(value: str) -> str | None:
    """The variable that a value of the query or a header consists of, if it does."""
    match = _VARIABLE.fullmatch(value)
    return match[1] if match else None


def named_variables(request: Request) -> frozenset[str]:
    """Every variable that the request names in braces."""
    values = (*request.query.values(), *request.headers.values())
    in_values = (name for value in values if (name := value_variable(value)) is not None)
    return frozenset((*path_variables(request.path), *in_values))


def applies(parameter: Parameter, stream: str) -> bool:
    return not parameter.streams or stream in parameter.streams


def left_out(blueprint: ApiBlueprint, choices: Choices, degraded: frozenset[str]) -> dict[str, str]:
    """Stream -> why it cannot be in the connector, beyond what was degraded before.

    A parent that is not there takes its children along.
    """
    reasons: dict[str, str] = {}
    absent = set(degraded)
    while True:
        found = dict(_impossible(blueprint, choices, absent))
        if not found:
            return reasons
        reasons |= found
        absent |= set(found)


def _impossible(blueprint: ApiBlueprint, choices: Choices, absent: set[str]) -> Iterator[tuple[str, str]]:
    present = {stream.name: stream for stream in blueprint.streams if stream.name not in absent}
    for stream in present.values():
        given = _inherited(stream, present, choices)
        if isinstance(given, str):
            yield stream.name, given
            continue
        known = given | {item.target for item in blueprint.parameters if applies(item, stream.name)}
        if unknown := sorted(named_variables(request_of(stream, choices)) - known):
            yield stream.name, f"nothing gives a value for {', '.join(unknown)}"


def _inherited(stream: Stream, present: Mapping[str, Stream], choices: Choices) -> frozenset[str] | str:
    """The variables that the stream gets from its parents, or what is wrong with them."""
    variables: set[str] = set()
    seen = {stream.name}
    while parent := parent_of(stream, choices):
        variables |= {binding.variable for binding in parent.bindings}
        if parent.stream not in present:
            return f"its parent {parent.stream} is not in the connector"
        if parent.stream in seen:
            return f"its parents go in a circle over {parent.stream}"
        seen.add(parent.stream)
        stream = present[parent.stream]
    return frozenset(variables)
