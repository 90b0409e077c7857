"""Where a stream stands in the tree of an API's resources. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from contracts.blueprint import Candidate, JsonPath, Parent
from services.research.openapi.endpoint import VARIABLE, Endpoint, Param, segments_of
from services.research.openapi.names import ACTIONS, PLUMBING, VERSION
from services.research.openapi.words import noun, vocabulary, words

GENERIC = vocabulary(
    "id uuid guid gid sid uid key slug name code num number identifier or and login handle token no encoded"
)
"""Words of a variable that say how a record is named, not which."""
_VAGUE = GENERIC | vocabulary("type kind path filter field scope context category status mode domain")

_ON_BEHALF = re.compile(r"(the )?(\w+ (id|identifier) (to|of|for)\b|(unique )?(id|identifier) of\b)")
Noun = tuple[str, ...]
Template = tuple[str, ...]


@dataclass
class Place:
    """A stream while its place in the tree is looked for.

    ``path`` may get other variable names than the document's so that inherited ones agree; ``noun`` is what a
    record is called by the path, ``also`` by the response; ``wanted`` are query parameters that only a parent
    could supply, ``offered`` those that may be left out if none does; ``described`` are the path's own parameters.
    A ``leaf`` shows records that another list has, too: it is nobody's parent. ``constants``: variable of the path
    or parameter -> the field of the config that supplies it; ``unasked`` is why the config must not be asked.
    """

    name: str
    path: str
    pointer: str
    noun: Noun
    record: dict[str, Any]
    key: tuple[JsonPath, ...] | None
    also: Noun = ()
    wanted: tuple[Param, ...] = ()
    offered: tuple[Param, ...] = ()
    described: Mapping[str, Param] = field(default_factory=dict)
    parents: list[Candidate[Parent | None]] = field(default_factory=list)
    constants: dict[str, str] = field(default_factory=dict)
    unasked: str = ""
    queried: dict[str, str] = field(default_factory=dict)
    leaf: bool = False

    @property
    def segments(self) -> tuple[str, ...]:
        return segments_of(self.path)

    @property
    def variables(self) -> list[str]:
        return VARIABLE.findall(self.path)

    @property
    def open(self) -> list[str]:
        """The variables of its path that the config does not supply."""
        return [name for name in self.variables if name not in self.constants]

    @property
    def demanded(self) -> tuple[Param, ...]:
        """The parameters without which nothing is read, and that the config does not supply."""
        return tuple(param for param in self.wanted if param.name not in self.constants)

    @property
    def given(self) -> frozenset[str]:
        """The variables that its requests carry."""
        return frozenset((*self.variables, *self.queried.values()))

    @property
    def nouns(self) -> tuple[Noun, ...]:
        return tuple(dict.fromkeys(name for name in (self.noun, self.also) if name))

    @cached_property
    def template(self) -> Template:
        return template_of(self.segments)

    @cached_property
    def collection(self) -> Template:
        """The template without the action at its end: ``/orders/search`` reads the orders, too."""
        acting = bool(self.template) and set(words(self.template[-1])) <= ACTIONS and len(self.template) > 1
        return self.template[:-1] if acting else self.template

    @cached_property
    def qualifiers(self) -> frozenset[str]:
        """The words of the path that narrow down what is listed; those of a variable's own segment do not."""
        return qualifiers_of(self.template)

    def prefix(self, variable: str) -> Template:
        """The segments before ``{variable}``, as a template."""
        at = next(index for index, part in enumerate(self.segments) if f"{{{variable}}}" in part)
        return template_of(self.segments[:at])

    def parameter(self, variable: str) -> Param | None:
        """What the document says of a variable of the path, or of a query parameter that a parent could supply."""
        asked = (param for param in (*self.wanted, *self.offered) if param.name == variable)
        return self.described.get(variable) or next(asked, None)


def arguments(endpoint: Endpoint) -> tuple[Param, ...]:
    """The optional parameters of a method call (``conversations.history``) that tell on whose behalf it is made.

    Where resources are not in the path, what a path would demand is an argument, which documents of such APIs
    seldom mark as required: the text says ``Conversation ID to fetch the history of``.
    """
    _, dot, method = endpoint.segments[-1].rpartition(".") if endpoint.segments else ("", "", "")
    if not dot or set(words(method)) <= ACTIONS:
        return ()
    optional = (param for param in endpoint.params if param.location == "query" and not param.required)
    return tuple(param for param in optional if _ON_BEHALF.match(param.text))


def template_of(segments: Iterable[str]) -> Template:
    return tuple(VARIABLE.sub("{}", segment) for segment in segments)


def qualifiers_of(template: Template) -> frozenset[str]:
    """Singular words of the static segments that no variable follows, without versions and plumbing."""
    found: set[str] = set()
    for index, segment in enumerate(template):
        bound = index + 1 < len(template) and "{}" in template[index + 1]
        if not bound and "{}" not in segment and not VERSION.fullmatch(segment.lower()):
            found |= {word for word in noun(segment) if word not in PLUMBING and word not in ACTIONS}
    return frozenset(found)


def own_subject(variable: str) -> Noun:
    """What the variable names by its own words: ``issueIdOrKey`` an ``issue``, ``idBoard`` a ``board``."""
    return tuple(word for word in noun(variable) if word not in GENERIC)


def is_vague(variable: str) -> bool:
    """Whether a variable's own words do not tell what it is of."""
    return set(noun(variable)) <= _VAGUE


def subject_of(variable: str, prefix: Template) -> Noun:
    """By its own words, or, if it is just an ``{id}``, by the segment before it."""
    return own_subject(variable) or segment_noun(prefix)


def segment_noun(prefix: Template) -> Noun:
    """What the last segment names; nothing if that is a variable."""
    return noun(prefix[-1]) if prefix and "{}" not in prefix[-1] else ()
