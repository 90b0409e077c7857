"""Which stream supplies the variables of a nested path. Pure.

Streams without variables come first; then, round by round, those whose variables a known stream supplies. Where
nothing goes on, the variable that most of the rest wait for becomes part of the config: an account's own key, such
as ``{projectKey}``.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from contracts.blueprint import Binding, Candidate, Evidence, Parent
from services.research.openapi.endpoint import VARIABLE
from services.research.openapi.names import VERSION
from services.research.openapi.places import (
    GENERIC,
    Place,
    Template,
    bind,
    exact_field,
    field_for,
    subject_of,
)
from services.research.openapi.ranking import candidate
from services.research.openapi.words import noun, singular, words

_MAX_CONSTANTS = 5
_SMALL_API = 5
_SHARE = 0.2
"""Of the streams that need a path variable, for it to be worth a field of the config."""
_SHORT = 3
"""Letters of an abbreviation, at least: ``org`` for ``organization``."""


class Constant(NamedTuple):
    """A path variable that the config supplies. ``users`` are the streams."""

    name: str
    variable: str
    users: tuple[str, ...]


@dataclass(frozen=True)
class Tree:
    constants: tuple[Constant, ...]
    unresolved: Mapping[str, str]
    """Name of a stream -> why nothing supplies its variables."""


def grow(places: list[Place]) -> Tree:
    """Find parents in place; what is left over is in the result."""
    forest = _Forest(places)
    constants: dict[tuple[Template, str], str] = {}
    while True:
        forest.grow()
        waiting = forest.waiting
        choice = _next_constant(forest, constants, len(places)) if len(constants) < _MAX_CONSTANTS else None
        if choice is None:
            break
        constants[choice] = _constant_name(choice, set(constants.values()))
        for place in waiting:
            if choice[1] in place.variables and place.prefix(choice[1]) == choice[0]:
                place.constants.add(choice[1])
    reasons = {place.name: _why(place, forest) for place in forest.waiting}
    made = [_constant(places, key, name) for key, name in constants.items()]
    return Tree(tuple(constant for constant in made if constant.users), reasons)


def _why(place: Place, forest: _Forest) -> str:
    needed = [name for name in place.variables if name not in place.constants]
    missing = [name for name in needed if not forest.could_supply(place, name)] or needed
    if place.wanted:
        missing = [*(name for name in missing if name not in needed), *(param.name for param in place.wanted)]
    return f"no list in the document supplies {', '.join(missing)}"


def _next_constant(
    forest: _Forest, known: Mapping[tuple[Template, str], str], streams: int
) -> tuple[Template, str] | None:
    """The variable that most waiting streams need next and that no list supplies. Only what could belong to an
    account: it comes first in the path, or directly behind another constant (``{owner}/{repo}``), and a good part
    of the API waits for it."""
    users: dict[tuple[Template, str], int] = defaultdict(int)
    for place in forest.waiting:
        missing = (name for name in place.variables if name not in place.constants)
        variable = next((name for name in missing if not forest.could_supply(place, name)), None)
        if variable is None:
            continue
        prefix = place.prefix(variable)
        if (prefix, variable) not in known and ("{}" not in "".join(prefix) or "{}" in prefix[-1]):
            users[prefix, variable] += 1
    enough = {key: count for key, count in users.items() if count >= _SHARE * streams or streams <= _SMALL_API}
    return min(enough, key=lambda key: (-enough[key], len(key[0]), key)) if enough else None


def _constant_name(key: tuple[Template, str], taken: set[str]) -> str:
    """The variable's own name, with what it is of if that alone says too little or is taken."""
    prefix, variable = key
    name = "_".join(words(variable)) or "value"
    before = next((part for part in reversed(prefix) if "{}" not in part and not VERSION.fullmatch(part)), "")
    longer = "_".join([*(singular(word) for word in words(before)), name])
    if set(words(variable)) <= GENERIC or name in taken:
        name = longer
    number = 2
    while name in taken:
        name = f"{longer}_{number}"
        number += 1
    return name


def _constant(places: list[Place], key: tuple[Template, str], name: str) -> Constant:
    """Who uses the variable, under the config's name for it."""
    prefix, variable = key
    users = tuple(
        place.name
        for place in places
        if variable in place.constants and variable in place.variables and place.prefix(variable) == prefix
    )
    return Constant(name, variable, users)


class _Forest:
    """The streams that have their place, indexed by what they list."""

    def __init__(self, places: list[Place]) -> None:
        self._places = places
        self._done: dict[str, Place] = {}
        self._by_template: dict[Template, list[Place]] = defaultdict(list)
        self._by_noun: dict[str, list[Place]] = defaultdict(list)

    @property
    def waiting(self) -> list[Place]:
        return [place for place in self._places if place.name not in self._done]

    def grow(self) -> None:
        while True:
            ready = [place for place in self.waiting if self._settle(place)]
            for place in ready:
                self._done[place.name] = place
                self._by_template[place.template].append(place)
                for noun_ in {place.noun[-1:], place.also[-1:]} - {()}:
                    self._by_noun[noun_[0]].append(place)
            if not ready:
                return

    def _settle(self, place: Place) -> bool:
        """Whether all that the stream needs is supplied now."""
        open_variables = [name for name in place.variables if name not in place.constants]
        if not open_variables:
            return self._settle_query(place)
        options = self._options(place, open_variables)
        if not options:
            return False
        options.sort(key=lambda option: -option[0])
        best = options[0]
        place.parents = [candidate(parent, score, evidence) for score, parent, evidence, _ in options[:3]]
        renames = best[3]
        place.constants |= self._done[best[1].stream].constants & set(open_variables[:-1])
        place.path = VARIABLE.sub(lambda match: f"{{{renames.get(match[1], match[1])}}}", place.path)
        place.parents = [option for option in place.parents if _covers(place, option.value, best[1], self._done)]
        return not place.wanted or self._wanted_by(place, best[1])

    def _wanted_by(self, place: Place, parent: Parent) -> bool:
        """Required query parameters of a nested stream: only from the same parent."""
        record = self._done[parent.stream].record.get("properties", {})
        names = {words(name): name for name in record}
        if any(param.words not in names for param in place.wanted):
            return False
        bindings = [Binding(variable=param.name, field=(names[param.words],)) for param in place.wanted]
        grown = parent.model_copy(update={"bindings": (*parent.bindings, *bindings)})
        place.parents = [place.parents[0].model_copy(update={"value": grown})]
        place.queried = {param.name: param.name for param in place.wanted}
        return True

    def _settle_query(self, place: Place) -> bool:
        """A list for each record of another one, asked for by a required query parameter (``?channel=``)."""
        if not place.wanted:
            return True
        if len(place.wanted) > 1:
            return False
        param = place.wanted[0]
        subject = tuple(word for word in noun(param.name) if word not in GENERIC)
        options: list[Candidate[Parent | None]] = []
        for score, parent in self._alike(subject):
            found = field_for(param.name, parent)
            if found is not None and parent is not place:
                made = Parent(stream=parent.name, bindings=(Binding(variable=param.name, field=found[0]),))
                options.append(candidate(made, score, param.evidence()))
        if not options:
            return False
        place.parents = sorted(options, key=lambda option: -option.confidence)[:3]
        place.queried = {param.name: param.name}
        return True

    def could_supply(self, place: Place, variable: str) -> bool:
        """Whether some list gives what the variable names, whatever else may be missing."""
        prefix = place.prefix(variable)
        subject = subject_of(variable, prefix)
        near = [*self._by_template.get(prefix, ()), *(parent for _, parent in self._alike(subject))]
        return any(parent is not place and field_for(variable, parent) is not None for parent in near)

    def _alike(self, subject: tuple[str, ...]) -> list[tuple[float, Place]]:
        """Streams whose records are called ``subject``, or like its end; short paths first."""
        if not subject:
            return []
        found = []
        for word, parents in self._by_noun.items():
            if not _same(word, subject[-1]):
                continue
            for parent in parents:
                whole = subject in (parent.noun, parent.also)
                tail = any(name and subject[-len(name) :] == name for name in (parent.noun, parent.also))
                score = 0.75 if whole else 0.6 if tail else 0.65 if len(subject) == len(parent.noun) == 1 else 0.0
                if score:
                    score -= 0.06 * len(parent.variables) + 0.01 * len(parent.segments)
                    found.append((max(score, 0.1), parent))
        return found

    def _options(
        self, place: Place, open_variables: list[str]
    ) -> list[tuple[float, Parent, Evidence, dict[str, str]]]:
        variable = open_variables[-1]
        prefix = place.prefix(variable)
        subject = subject_of(variable, prefix)
        near = [(0.95, parent) for parent in self._by_template.get(prefix, ())]
        near += [entry for entry in self._alike(subject) if entry[1].template != prefix]
        before = noun(prefix[-1]) if prefix and "{}" not in prefix[-1] else ()
        if before != subject:
            near += [
                (0.9 * score, parent) for score, parent in self._alike(before) if exact_field(variable, parent)
            ]
        found = []
        for score, parent in near:
            if parent is place:
                continue
            made = bind(place, open_variables, parent)
            if made is not None:
                quality, bound, renames = made
                note = Evidence(pointer=parent.pointer, note=f"lists what {{{variable}}} names")
                found.append((score * quality, bound, note, renames))
        return found


def _same(one: str, two: str) -> bool:
    """The same word, or one the abbreviation of the other (``repo``, ``repository``)."""
    short, long = sorted((one, two), key=len)
    return one == two or (len(short) >= _SHORT and len(long) >= len(short) + 3 and long.startswith(short))


def _covers(place: Place, option: Parent | None, best: Parent, done: Mapping[str, Place]) -> bool:
    """Whether an alternative supplies the same variables under the names that the path has now."""
    if option is None or option is best:
        return option is not None
    supplied = {binding.variable for binding in option.bindings}
    ancestor = done.get(option.stream)
    while ancestor is not None:
        supplied |= set(ancestor.variables)
        parent = ancestor.parents[0].value if ancestor.parents else None
        ancestor = done.get(parent.stream) if parent else None
    return all(name in supplied or name in place.constants for name in place.variables)
