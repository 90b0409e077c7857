"""Whether the records of a list are what a variable names, and how surely. Pure.

In this order of weight: the list stands before the variable in the path; it is called what the variable names; the
variable's description names it; its identity is called like the variable.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from contracts.blueprint import JsonPath
from services.research.openapi.bindings import exact_field
from services.research.openapi.endpoint import Param
from services.research.openapi.places import (
    Noun,
    Place,
    Template,
    own_subject,
    qualifiers_of,
    segment_noun,
    subject_of,
)
from services.research.openapi.words import in_full, is_plural, noun, same_word, singular, vocabulary, words

_ROLES = vocabulary("parent source target root owner current base main linked related primary default origin")
"""A variable may say what part a record plays: a ``parent_project_id`` is the id of a project."""
_IDENTITY = vocabulary("id ids uuid identifier key slug sid name")
_FILLERS = vocabulary("the a an your this that given specified")
_AFTER = vocabulary("to for that which in from with whose where used when you is are being as by on at of and")
"""Behind these a description goes on about something else."""
_SENTENCE = re.compile(r"[.;:,()\n]")
_WORD = re.compile(r"[a-z]+")
_SAID = 200
"""Characters of a description that are looked at."""
_LONGEST = 5
"""Words of a noun."""
_ALIKE = 200
"""Lists of one noun that are compared, and"""
_MOST = 12
"""lists that are kept, at most, for one variable: a document may be made to have thousands."""
_RIVAL = 0.04
"""Two lists whose scores are closer than this are equally likely."""
_DOUBTED = 0.78
"""What the better of two equally likely lists is worth: never sure."""
_BEFORE = 0.9
"""From here on a list stands before the variable in the path: no other is as likely."""


class Kin(NamedTuple):
    score: float
    place: Place
    note: str


class Kinship:
    """All lists of an API, indexed by what they could be found by. Scores depend on the document alone, so each is
    made once."""

    def __init__(self, places: Iterable[Place]) -> None:
        self._by_template: dict[Template, list[Place]] = defaultdict(list)
        self._by_word: dict[str, list[Place]] = defaultdict(list)
        self._by_initials: dict[str, list[Place]] = defaultdict(list)
        self._by_noun: dict[Noun, list[Place]] = defaultdict(list)
        self._joined: dict[str, Noun] = {}
        self._by_key: dict[str, list[Place]] = defaultdict(list)
        self._known: dict[tuple[str, str], list[Kin]] = {}
        lists = (place for place in places if not place.leaf)
        for place in sorted(lists, key=lambda place: len(place.template)):
            for template in dict.fromkeys((place.template, place.collection)):
                self._by_template[template].append(place)
            for name in place.nouns:
                self._by_noun[name].append(place)
                self._joined.setdefault("".join(name), name)
                for short in _initials(name):
                    self._by_initials[short].append(place)
            for word in dict.fromkeys(in_full(name[-1]) for name in place.nouns):
                self._by_word[word].append(place)
            if place.key is not None and len(place.key) == 1 and len(words(place.key[0][-1])) > 1:
                self._by_key["".join(words(place.key[0][-1]))].append(place)

    def of(self, place: Place, variable: str) -> list[Kin]:
        """The lists whose records the variable may name, best first."""
        found = self._known.get((place.name, variable))
        if found is None:
            found = self._known[place.name, variable] = self._ranked(place, variable)
        return found

    def _ranked(self, place: Place, variable: str) -> list[Kin]:
        param = place.parameter(variable)
        if param is not None and param.enum:
            return []  # a choice of the API's own words, not a record's
        best: dict[str, Kin] = {}
        for kin in self._all(place, variable, param):
            if (
                not _needs_it_too(kin.place, place, variable)
                and kin.score > best.get(kin.place.name, kin._replace(score=0.0)).score
            ):
                best[kin.place.name] = kin
        ranked = sorted(best.values(), key=lambda kin: (-kin.score, len(kin.place.template)))[:_MOST]
        rivals = len(ranked) > 1 and ranked[0].score - ranked[1].score < _RIVAL
        if rivals and ranked[0].score < _BEFORE:
            doubt = max(ranked[0].score - _DOUBTED, 0.0)
            return [kin._replace(score=kin.score - doubt) for kin in ranked]
        return ranked

    def _all(self, place: Place, variable: str, param: Param | None) -> Iterator[Kin]:
        in_path = variable in place.variables
        prefix = place.prefix(variable) if in_path else ()
        if in_path:
            yield from self._before(variable, prefix)
        subject = subject_of(variable, prefix)
        if not in_path and subject and is_plural(words(variable)[-1]) and not own_identity(variable):
            return  # a list of several values filters; it does not name one record
        yield from self._named(subject, prefix, "is called what it names")
        here = segment_noun(prefix)
        if here and here != subject:
            for kin in self._named(here, prefix, "has its field"):
                if (exact := exact_field(variable, kin.place)) is not None:
                    yield kin._replace(score=kin.score - (0.03 if _identifies(exact, kin.place) else 0.15))
        if param is not None:
            for name in self._told(param):
                if len(subject) > len(name) and subject[-len(name) :] == name:
                    continue  # ``search_folder_id`` is more than "the id of the folder"
                for kin in self._named(name, prefix, "is what its description names"):
                    yield kin._replace(score=kin.score - 0.12)
        yield from self._identified(place, variable, prefix)

    def _before(self, variable: str, prefix: Template) -> Iterator[Kin]:
        own = own_subject(variable)
        for parent in self._by_template.get(prefix, ()):
            score = 0.95 if parent.template == prefix else 0.92
            agrees = not own or any(set(own) & set(name) for name in parent.nouns)
            agrees = agrees or any(same_word(own[-1], name[-1]) for name in parent.nouns)
            agrees = agrees or "".join(own) in ("".join(name) for name in parent.nouns)
            if not agrees:
                exact = exact_field(variable, parent)
                known = exact is not None and _identifies(exact, parent)
                score = score if known else 0.78 if exact else 0.3 if own in self._by_noun else 0.84
            yield Kin(score, parent, "stands before it in the path")

    def _named(self, subject: Noun, prefix: Template, note: str) -> Iterator[Kin]:
        """Lists called ``subject``, or like its end if the rest of it is in their path."""
        if not subject:
            return
        place = qualifiers_of((*prefix, "{}"))
        for parent in self._alike(subject):
            score = max(_likeness(subject, name, parent) for name in parent.nouns)
            mine = place - parent.qualifiers - set(subject)
            theirs = parent.qualifiers - place - set(subject)
            if score > 0 and not (mine and theirs):
                unbound = _variables_besides(parent.template, prefix)
                elsewhere = 0.05 + 0.01 * len(theirs) if theirs else 0.0
                yield Kin(score - elsewhere - 0.015 * unbound - 0.005 * len(parent.template), parent, note)

    def _alike(self, subject: Noun) -> Iterator[Place]:
        yield from self._by_word.get(in_full(subject[-1]), ())[:_ALIKE]
        if len(subject) == 1:
            yield from self._by_initials.get(subject[0], ())[:_ALIKE]

    def _told(self, param: Param) -> Iterator[Noun]:
        """What a description says the value is the id of: ``ID of the legal hold policy``, ``Conversation ID``."""
        for sentence in _SENTENCE.split(param.text[:_SAID]):
            said = [singular(word) for word in _WORD.findall(sentence)]
            for at, word in enumerate(said):
                if word not in _IDENTITY or "or" in said[max(at - 2, 0) : at + 8]:
                    continue  # of one thing or another: not one list's records
                before = (said[at - length : at] for length in range(min(_LONGEST, at), 0, -1))
                found = next((name for each in before if (name := self._joined.get("".join(each)))), None)
                found = found or self._joined.get("".join(_genitive(said[at + 1 :])))
                if found is not None:
                    yield found

    def _identified(self, place: Place, variable: str, prefix: Template) -> Iterator[Kin]:
        """Lists whose records are identified by a field called like the variable: ``accountId`` of the users."""
        here = qualifiers_of(place.template)
        for parent in self._by_key.get("".join(words(variable)), ()):
            theirs = parent.qualifiers - here
            if parent.template == place.template[: len(parent.template)]:
                yield Kin(0.87, parent, "is identified by its name, and is part of the path")
            elif not theirs:
                yield Kin(0.75, parent, "is identified by its name")


def _genitive(said: list[str]) -> list[str]:
    """What follows ``of the``, without a possessor and a role: of ``a thread's parent message`` the message."""
    if said[:1] != ["of"]:
        return []
    rest = said[2:] if said[1:2] and said[1] in _FILLERS else said[1:]
    rest = rest[: next((at for at, word in enumerate(rest) if at and word in _AFTER), None)]
    if rest[1:2] == ["s"]:
        rest = rest[2:]
    return rest[1:] if rest and rest[0] in _ROLES else rest


def _needs_it_too(parent: Place, place: Place, variable: str) -> bool:
    """Whether the list is the place itself, or its own path has the same variable."""
    if parent is place or variable not in place.variables:
        return parent is place
    until = len(place.prefix(variable)) + 1
    return parent.template[:until] == place.template[:until]


def _variables_besides(template: Template, prefix: Template) -> int:
    """How many variables a path has that another does not share."""
    pairs = enumerate(zip(template, prefix, strict=False))
    shared = next((at for at, (one, other) in pairs if one != other), len(prefix))
    return sum("{}" in part for part in template[shared:])


def _identifies(field: JsonPath, parent: Place) -> bool:
    """Whether the field is the record's identity; any other may repeat, and with it what is read for it."""
    return parent.key == (field,)


def own_identity(variable: str) -> bool:
    """``projectKeys`` names projects by their keys."""
    return bool(set(noun(variable)[-1:]) & _IDENTITY)


def _likeness(subject: Noun, name: Noun, parent: Place) -> float:
    """How well a list's noun is what a variable names."""
    if subject == name:
        return 0.88
    if len(subject) > len(name) and subject[-len(name) :] == name:
        rest = set(subject[: -len(name)])
        if rest <= parent.qualifiers | {word for segment in parent.template for word in noun(segment)}:
            return 0.86
        return 0.72 if rest <= _ROLES else 0.0
    if len(subject) == 1 and len(name) > 1:
        return 0.74 if subject[0] in _initials(name) else 0.0
    if len(subject) == len(name) and all(map(same_word, subject, name)):
        return 0.83
    return 0.0


def _initials(name: Noun) -> frozenset[str]:
    """``tos`` (as a singular ``to``) stands for terms of service; nothing for two words: ``ip`` is a word."""
    initials = "".join(each[0] for each in name)
    return frozenset({initials, singular(initials)}) if len(name) > 2 else frozenset()
