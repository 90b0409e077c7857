"""Which fields of the config supply what no list does, who shares them, and what they are called. Pure.

Such a field may be left out, and opens streams where it is set. What names a record is asked for together with all
that stands before it in the path: an id below each of the parents would be found below one of them. Of a closed set
of values (``{type}``) each means the same everywhere: the parents stay.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from typing import NamedTuple

from services.research.openapi.endpoint import Param
from services.research.openapi.names import VERSION
from services.research.openapi.places import GENERIC, Place, Template, is_vague, own_subject
from services.research.openapi.windows import time_format
from services.research.openapi.words import noun, singular, vocabulary, words

MOST = 40
"""Fields of this kind: nobody fills in a form with more."""
_TYPED = vocabulary("query q search term terms text keyword keywords phrase")
_LIKELY = 0.6
"""Confidence that an operation lists records, to be worth a field."""

Meaning = tuple[object, ...]
"""What two wishes have in common that one field fulfils."""


class Wish(NamedTuple):
    """A field, and the streams with the variable that it supplies."""

    name: str
    users: tuple[tuple[Place, str], ...]


class Openers:
    """The fields so far. ``taken`` are names that others have."""

    def __init__(self, taken: frozenset[str]) -> None:
        self._taken = taken
        self._names: dict[Meaning, str] = {}

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self._names.values())

    @property
    def refusal(self) -> str:
        """Why there is no further field; empty if there may be one."""
        return f"the config has {MOST} such fields already" if len(self._names) == MOST else ""

    def next(self, wishes: Iterable[tuple[Place, str, bool]]) -> Wish | None:
        """The wish that most streams have, rather one that no other list would fulfil if it had its own; a new
        field only while there are not too many."""
        users: dict[Meaning, list[tuple[Place, str]]] = defaultdict(list)
        hoped: dict[Meaning, bool] = {}
        for place, variable, hopes in wishes:
            meaning = _meaning(place, variable)
            if meaning in self._names or not self.refusal:
                users[meaning].append((place, variable))
                hoped[meaning] = hoped.get(meaning, False) or hopes
        if not users:
            return None
        meaning = min(users, key=lambda each: (each not in self._names, hoped[each], -len(users[each]), str(each)))
        if meaning not in self._names:
            place, variable = users[meaning][0]
            prefix = place.prefix(variable) if variable in place.variables else place.template
            self._names[meaning] = telling_name(variable, prefix, {*self._taken, *self.names})
        return Wish(self._names[meaning], tuple(users[meaning]))


def unasked(confidence: float, demanded: Iterable[Param]) -> str:
    """Why a config is not worth a field for a stream; empty if it is. ``confidence`` that it lists records.

    What answers to typed text shows records that other lists have, and nobody types in a form what they look for.
    """
    if confidence < _LIKELY:
        return "that it lists records is too unsure to ask the user for it"
    params = list(demanded)
    if typed := [param.name for param in params if param.words and param.words[-1] in _TYPED]:
        return f"it searches for what somebody types ({', '.join(typed)}): no list of all"
    if packed := [param.name for param in params if param.type == "object"]:
        return f"{', '.join(packed)} is an object: no field of a form holds it"
    return ""


def next_wish(place: Place, lacking: Sequence[str], demanded: Sequence[str]) -> str | None:
    """What the config would have to supply next. ``lacking``: the variables of the path that no list supplies;
    ``demanded``: such parameters. Where each has a list, but no list all of them, the last is nobody's."""
    chosen = next((name for name in lacking if _enumerated(place, name)), None)
    if chosen is not None:
        return chosen
    if lacking or (not demanded and place.open):
        return place.open[0]
    rest = [param.name for param in place.demanded]
    return next(iter([*demanded, *rest]), None)


def _enumerated(place: Place, variable: str) -> bool:
    param = place.parameter(variable)
    return param is not None and bool(param.enum)


def _meaning(place: Place, variable: str) -> Meaning:
    """An id and a time mean the same wherever no other variable stands before them: by their name. Anything else in
    a path does in the same place, in a query where it is described and enumerated alike."""
    param = place.parameter(variable)
    values = tuple(str(value) for value in param.enum) if param is not None else ()
    in_path = variable in place.variables
    prefix = place.prefix(variable) if in_path else ()
    named = bool(set(noun(variable)[-1:]) & GENERIC and own_subject(variable))
    dated = param is not None and time_format(param) is not None
    if (named or dated) and "{}" not in "".join(prefix):
        return ("_".join(words(variable)), values)
    if in_path or not own_subject(variable):
        return (prefix or place.template, variable, values)
    said = " ".join(param.description.split()) if param is not None else ""
    return (variable, values, said)


def telling_name(variable: str, prefix: Template, taken: Collection[str]) -> str:
    """The variable's own name, with what it is of if that alone says too little or is taken: a word of the path
    before it, the nearest first."""
    own = words(variable) or ("value",)
    names = [] if is_vague(variable) else ["_".join(own)]
    for part in reversed(prefix):
        said = tuple(singular(word) for word in words(part))
        if "{}" not in part and not VERSION.fullmatch(part) and not set(said) <= set(own):
            names.append("_".join((*said, *own)))
    names.append("_".join(own))
    free = next((name for name in names if name not in taken), None)
    number = 2
    while free is None:
        free = f"{names[0]}_{number}" if f"{names[0]}_{number}" not in taken else None
        number += 1
    return free
