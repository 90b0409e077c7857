"""Which stream supplies the variables of a nested path, or of a required query parameter. Pure.

Streams without variables come first; then, round by round, those whose variables a known stream supplies. One waits
as long as a likelier parent than those that have their place is still waiting itself. Where nothing goes on, the
variable that most of the rest wait for becomes part of the config: an account's own key, such as ``{projectKey}``.
What the few that are left then wait for, the config may supply: see `openers`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from contracts.blueprint import Evidence
from services.research.openapi.bindings import Bound, bind
from services.research.openapi.endpoint import VARIABLE, Param
from services.research.openapi.kinship import Kin, Kinship
from services.research.openapi.openers import Openers, next_wish, telling_name
from services.research.openapi.places import Place, Template
from services.research.openapi.ranking import candidate

_MAX_CONSTANTS = 5
_SMALL_API = 5
_SHARE = 0.2
"""Of the streams, that a path variable must lead to for it to be an account's own."""
_WIDE = 0.5
"""Of the streams, that must hang on a field of the config for everybody to have to set it."""
_LEAST = 0.2
"""Below this no parent is taken: the variable is a named gap, or of the config. A wrong parent asks the API for
what does not exist, once for each of its records."""
_OPTIONS = 3
_CONCESSIONS = 20
"""How often one stream alone takes less than it hoped for. After that all do: rings of streams are seldom."""


class Constant(NamedTuple):
    """A variable of paths, or a parameter, that the config supplies. ``users`` are the streams; ``params`` is what
    they say of it. ``required``: most of the API hangs on it."""

    name: str
    variable: str
    users: tuple[str, ...]
    params: tuple[Param, ...]
    required: bool


@dataclass(frozen=True)
class Tree:
    constants: tuple[Constant, ...]
    unresolved: Mapping[str, str]
    """Name of a stream -> why nothing supplies its variables."""


def grow(places: list[Place]) -> Tree:
    """Find parents in place; what is left over is in the result."""
    forest = _Forest(places)
    required: set[str] = set()
    chosen: dict[tuple[Template, str], str] = {}
    while True:
        forest.grow()
        choice = _next_constant(forest, chosen, len(places)) if len(chosen) < _MAX_CONSTANTS else None
        if choice is None:
            break
        key, users = choice
        chosen[key] = telling_name(key[1], key[0], set(chosen.values()))
        if forest.reached_from(users) >= _WIDE * len(places):
            required.add(chosen[key])
        for place in forest.waiting:
            if key[1] in place.variables and place.prefix(key[1]) == key[0]:
                place.constants[key[1]] = chosen[key]
    forest.renounce()
    openers = Openers(frozenset(chosen.values()))
    while (wish := openers.next(forest.wishes())) is not None:
        for place, variable in wish.users:
            place.constants[variable] = wish.name
        forest.grow()
        forest.renounce()
    reasons = {place.name: _why(place, forest, openers) for place in forest.waiting}
    settled = [place for place in places if place.name not in reasons]
    made = (_constant(settled, name, name in required) for name in (*chosen.values(), *openers.names))
    return Tree(tuple(constant for constant in made if constant is not None), reasons)


def _why(place: Place, forest: _Forest, openers: Openers) -> str:
    missing = [name for name in place.open if not forest.could_supply(place, name)]
    demanded = [param.name for param in place.demanded]
    told = f"no list in the document supplies {', '.join([*missing, *demanded] or place.open)}"
    why_not = place.unasked or ("" if place.leaf else openers.refusal)
    return f"{told}; {why_not}" if why_not else told


def _next_constant(
    forest: _Forest, known: Mapping[tuple[Template, str], str], streams: int
) -> tuple[tuple[Template, str], list[Place]] | None:
    """The variable that most waiting streams need next and that no list supplies, rather one that no waiting list
    would supply either; and these streams. Only what could belong to an account: it comes first in the path, or
    directly behind another constant (``{owner}/{repo}``), and a good part of the API waits for it, or for what it
    leads to."""
    users: dict[tuple[Template, str], list[Place]] = defaultdict(list)
    for place in forest.waiting:
        variable = next((name for name in place.open if not forest.could_supply(place, name)), None)
        if variable is None:
            continue
        prefix = place.prefix(variable)
        if (prefix, variable) not in known and ("{}" not in "".join(prefix) or "{}" in prefix[-1]):
            users[prefix, variable].append(place)
    hoped = {key: any(forest.could_supply(place, key[1], now=False) for place in users[key]) for key in users}
    for key in sorted(users, key=lambda key: (hoped[key], -len(users[key]), len(key[0]), key)):
        if streams <= _SMALL_API or forest.reached_from(users[key]) >= _SHARE * streams:
            return key, users[key]
    return None


def _constant(places: list[Place], name: str, required: bool) -> Constant | None:
    """Who uses the field, and for what; nothing if nobody does."""
    pairs = [(place, variable) for place in places for variable, field in place.constants.items() if field == name]
    if not pairs:
        return None
    params = tuple(param for place, variable in pairs if (param := place.parameter(variable)) is not None)
    return Constant(name, pairs[0][1], tuple(place.name for place, _ in pairs), params, required)


class _Option(NamedTuple):
    score: float
    kin: Kin
    bound: Bound


class _Forest:
    """The streams that have their place, and those that wait for one."""

    def __init__(self, places: list[Place]) -> None:
        self._places = places
        self._kinship = Kinship(places)
        self._done: dict[str, Place] = {}
        self._concessions = 0

    @property
    def waiting(self) -> list[Place]:
        return [place for place in self._places if place.name not in self._done]

    def grow(self) -> None:
        """Settle all that can be; only where everybody waits for somebody the likeliest takes what there is."""
        while True:
            settled = [place for place in self.waiting if self._settle(place, self._best(place))]
            if not settled:
                settled = self._concede()
            if not settled:
                return
            self._done |= {place.name: place for place in settled}

    def _concede(self) -> list[Place]:
        options = ((place, self._best(place, patient=False)) for place in self.waiting)
        possible = [(place, option) for place, option in options if option is not None]
        possible.sort(key=lambda entry: -entry[1].score)
        self._concessions += 1
        chosen = possible[: 1 if self._concessions < _CONCESSIONS else None]
        return [place for place, option in chosen if self._settle(place, option)]

    def renounce(self) -> None:
        """What still waits only for parameters that it may leave out does without."""
        for place in self.waiting:
            if not place.open and not place.demanded:
                self._done[place.name] = place
        self.grow()

    def wishes(self) -> Iterator[tuple[Place, str, bool]]:
        """What the config would have to supply next for each waiting stream that may ask it, and whether a list
        that waits itself would."""
        for place in self.waiting:
            if not place.unasked and not place.leaf:
                lacking = [name for name in place.open if not self.could_supply(place, name)]
                demanded = [p.name for p in place.demanded if not self.could_supply(place, p.name)]
                if (variable := next_wish(place, lacking, demanded)) is not None:
                    yield place, variable, self.could_supply(place, variable, now=False)

    def could_supply(self, place: Place, variable: str, *, now: bool = True) -> bool:
        """Whether a list (``now``: one that has its place) gives what the variable names, whatever else misses."""
        kin = (each for each in self._kinship.of(place, variable) if not now or each.place.name in self._done)
        return any(bind(place, variable, [variable], each.place, frozenset()) for each in kin)

    def reached_from(self, places: list[Place]) -> int:
        """How many waiting streams could have their place if these had theirs."""
        reached = {place.name for place in places}
        while True:
            more = {
                place.name for place in self.waiting if place.name not in reached and self._leads(reached, place)
            }
            if not more:
                return len(reached)
            reached |= more

    def _leads(self, reached: set[str], place: Place) -> bool:
        return any(
            kin.place.name in reached for target in _targets(place) for kin in self._kinship.of(place, target)
        )

    def known(self, place: Place) -> frozenset[str]:
        """The variables that the requests of a stream and of those above it carry."""
        found = set(place.given)
        while place.parents and (parent := place.parents[0].value) is not None:
            place = self._done[parent.stream]
            found |= place.given
        return frozenset(found)

    def _settle(self, place: Place, option: _Option | None) -> bool:
        """Give the place its parent, if it needs one."""
        if option is None:
            return not place.open and not place.demanded and not place.offered
        names = _asked(place)
        above = self._done[option.bound.parent.stream].constants
        place.constants |= {name: above[name] for name in place.open[:-1] if name in above}
        place.parents = [
            candidate(each.bound.parent, each.score, Evidence(pointer=each.kin.place.pointer, note=each.kin.note))
            for each in self._alternatives(place, option)
        ]
        renames = option.bound.renames
        place.path = VARIABLE.sub(lambda match: f"{{{renames.get(match[1], match[1])}}}", place.path)
        place.queried = {name: renames.get(name, name) for name in names}
        return True

    def _best(self, place: Place, *, patient: bool = True) -> _Option | None:
        """The likeliest parent that has its place; if ``patient``, nothing while a likelier one may get there."""
        best: _Option | None = None
        hoped = 0.0
        for target in _targets(place):
            for kin in self._kinship.of(place, target):
                if kin.place.name not in self._done:
                    hoped = max(hoped, kin.score)
                elif (option := self._option(place, target, kin)) and (best is None or option.score > best.score):
                    best = option
        if best is None or best.score < _LEAST or (patient and hoped > best.kin.score):
            return None
        return best

    def _varying(self, place: Place) -> frozenset[str]:
        """Those of them whose value is another from one request to the next: not the config's."""
        found = set(place.given) - place.constants.keys()
        while place.parents and (parent := place.parents[0].value) is not None:
            place = self._done[parent.stream]
            found |= place.given - place.constants.keys()
        return frozenset(found)

    def _option(self, place: Place, target: str, kin: Kin) -> _Option | None:
        """Nothing, too, where the list's own requests would name another than the one that the config names."""
        if place.constants.keys() & self._varying(kin.place):
            return None
        bound = bind(place, target, [*place.open, *_asked(place)], kin.place, self.known(kin.place))
        return _Option(kin.score * bound.quality, kin, bound) if bound is not None else None

    def _alternatives(self, place: Place, best: _Option) -> list[_Option]:
        """The best and up to two others that supply the same variables under the same names."""
        supplied = self._supplied(best)
        others = (
            option
            for target in _targets(place)
            for kin in self._kinship.of(place, target)
            if kin.place.name in self._done and kin.place is not best.kin.place
            if (option := self._option(place, target, kin)) is not None
            if option.bound.renames == best.bound.renames and self._supplied(option) >= supplied
        )
        return [best, *sorted(others, key=lambda option: -option.score)][:_OPTIONS]

    def _supplied(self, option: _Option) -> frozenset[str]:
        bound = {binding.variable for binding in option.bound.parent.bindings}
        return self.known(option.kin.place) | bound


def _asked(place: Place) -> list[str]:
    return [param.name for param in (*place.demanded, *place.offered)]


def _targets(place: Place) -> list[str]:
    """The variables that the parent's own record could supply: the last one of the path; without one any of the
    query's."""
    return place.open[-1:] or _asked(place)
