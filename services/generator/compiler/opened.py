"""Streams that are there only once the user has set a field: which fields these are, and what each opens. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from contracts.blueprint import Parameter
from services.generator.compiler.streams import Chosen

_SHOWN = 12
"""Streams that a field's description names."""


@dataclass(frozen=True)
class Openings:
    """``parameters`` as the connector has them. ``opened``: parameter -> the streams that cannot be read without
    it: those whose requests carry it, and those below them."""

    parameters: tuple[Parameter, ...]
    opened: Mapping[Parameter, tuple[str, ...]]

    def needs(self, stream: str) -> frozenset[Parameter]:
        """Those without which a stream cannot be read."""
        return frozenset(item for item, streams in self.opened.items() if stream in streams)

    def told(self, parameter: Parameter) -> str:
        """A sentence for the parameter's description; empty if it opens nothing."""
        streams = self.opened.get(parameter, ())
        if not streams:
            return ""
        more = f" and {len(streams) - _SHOWN} more" if len(streams) > _SHOWN else ""
        return f"Opens the stream{'s' * (len(streams) > 1)} {', '.join(streams[:_SHOWN])}{more}."


def openings(parameters: Iterable[Parameter], chosen: tuple[Chosen, ...]) -> Openings:
    """Where no stream at all could be read without such a field, those are required by which the most can: a config
    by which nothing is read is none."""
    parameters = tuple(parameters)
    found = _found(parameters, chosen)
    needs = [found.needs(one.name) for one in chosen]
    if not all(needs):
        return found
    wanted = max(needs, key=lambda some: sum(each <= some for each in needs) / len(some))
    decided = (item.model_copy(update={"required": True}) if item in wanted else item for item in parameters)
    return _found(tuple(decided), chosen)


def _found(parameters: tuple[Parameter, ...], chosen: tuple[Chosen, ...]) -> Openings:
    opened = {item: _opened(item, chosen) for item in parameters if item.opens}
    return Openings(parameters, {item: streams for item, streams in opened.items() if streams})


def _opened(parameter: Parameter, chosen: tuple[Chosen, ...]) -> tuple[str, ...]:
    found = dict.fromkeys(one.name for one in chosen if one.name in parameter.streams)
    for one in chosen:  # parents come before their children
        if one.parent is not None and one.parent.stream in found:
            found[one.name] = None
    return tuple(found)
