"""Where a stream stands, and how one supplies another's variables: from which field. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from contracts.blueprint import Binding, Candidate, JsonPath, Parent
from services.research.openapi.endpoint import VARIABLE, Param, segments_of, type_of
from services.research.openapi.words import noun, vocabulary, words

GENERIC = vocabulary(
    "id ids uuid guid gid sid uid key slug name code number identifier or and login handle token no"
)


Template = tuple[str, ...]


@dataclass
class Place:
    """A stream while its place in the tree is looked for.

    ``path`` may get other variable names than the document's so that inherited ones agree; ``noun`` is what a
    record is called by the path, ``also`` by the response; ``wanted`` are required query parameters that a parent
    could supply.
    """

    name: str
    path: str
    pointer: str
    noun: tuple[str, ...]
    record: dict[str, Any]
    key: tuple[JsonPath, ...] | None
    also: tuple[str, ...] = ()
    wanted: tuple[Param, ...] = ()
    parents: list[Candidate[Parent | None]] = field(default_factory=list)
    constants: set[str] = field(default_factory=set)
    queried: dict[str, str] = field(default_factory=dict)

    @property
    def segments(self) -> tuple[str, ...]:
        return segments_of(self.path)

    @property
    def variables(self) -> list[str]:
        return VARIABLE.findall(self.path)

    @property
    def template(self) -> Template:
        return template_of(self.segments)

    def prefix(self, variable: str) -> Template:
        """The segments before ``{variable}``, as a template."""
        at = next(index for index, part in enumerate(self.segments) if f"{{{variable}}}" in part)
        return template_of(self.segments[:at])


def template_of(segments: Iterable[str]) -> Template:
    return tuple(VARIABLE.sub("{}", segment) for segment in segments)


def subject_of(variable: str, prefix: Template) -> tuple[str, ...]:
    """What the variable names: by its own words, or, if it is just an ``{id}``, by the segment before it."""
    own = tuple(word for word in noun(variable) if word not in GENERIC)
    if own:
        return own
    return noun(prefix[-1]) if prefix and "{}" not in prefix[-1] else ()


def bind(place: Place, open_variables: list[str], parent: Place) -> tuple[float, Parent, dict[str, str]] | None:
    """Supply the last variable from the parent's record and the earlier ones by inheritance or from it too."""
    variable = open_variables[-1]
    found = field_for(variable, parent)
    if found is None:
        return None
    fields = {variable: found[0]}
    quality = found[1]
    renames: dict[str, str] = {}
    for other in open_variables[:-1]:
        inherited = _inherited(place, other, parent)
        if inherited is not None:
            if inherited != other:
                renames[other] = inherited
            continue
        if parent.constants and other in parent.constants:
            continue
        extra = exact_field(other, parent)
        if extra is None:
            return None
        fields[other] = extra
        quality *= 0.9
    renames |= _freed(variable, fields, renames, parent)
    bindings = tuple(Binding(variable=renames.get(name, name), field=path) for name, path in fields.items())
    return quality, Parent(stream=parent.name, bindings=bindings), renames


def _freed(
    variable: str, fields: Mapping[str, JsonPath], renames: Mapping[str, str], parent: Place
) -> dict[str, str]:
    """New names for bound variables that are called like one that is inherited."""
    inherited = {*parent.variables}
    return {name: f"{'_'.join(parent.noun) or 'parent'}_{name}" for name in fields if name in inherited}


def _inherited(place: Place, variable: str, parent: Place) -> str | None:
    """The parent's name for the same variable: at the same place of the same prefix, or of the same name."""
    prefix = place.prefix(variable)
    for name in parent.variables:
        if parent.prefix(name) == prefix and name not in parent.constants:
            return name
    bare = set(words(variable)) <= GENERIC
    return variable if variable in parent.variables and not bare else None


def field_for(variable: str, parent: Place) -> tuple[JsonPath, float] | None:
    """The field of the parent's record that the variable takes, and how sure that is."""
    exact = exact_field(variable, parent)
    own = words(variable)
    key = parent.key[0] if parent.key is not None and len(parent.key) == 1 else None
    if exact is not None and (key is None or exact == key or own[-1] not in ("id",) or len(own) > 1):
        return exact, 1.0
    names = {words(name): name for name in _scalars(parent.record)}
    tail = tuple(word for word in own if word in GENERIC and word not in ("or", "and"))
    for word in tail:
        if (word,) in names:
            return (names[(word,)],), 0.95
    if key is not None:
        return key, 0.9 if not tail or tail[-1] == "id" else 0.75
    for word in ("id", "key", "slug", "name"):
        if (word,) in names:
            return (names[(word,)],), 0.6
    return (("id",), 0.5) if not names else None


def exact_field(variable: str, parent: Place) -> JsonPath | None:
    """A member called like the variable, or ``owner.login`` for ``{owner}``-like names."""
    own = words(variable)
    for name, schema in parent.record.get("properties", {}).items():
        if words(name) == own:
            if type_of(schema) != "object":
                return (name,)
            inner = schema.get("properties", {})
            return next(((name, key) for key in ("login", "slug", "key", "id", "name") if key in inner), None)
    if len(own) > 1 and own[-1] in GENERIC:
        inner = parent.record.get("properties", {}).get("_".join(own[:-1]), {}).get("properties", {})
        if own[-1] in inner:
            return ("_".join(own[:-1]), own[-1])
    return None


def _scalars(record: Mapping[str, Any]) -> list[str]:
    members = record.get("properties", {})
    return [name for name, schema in members.items() if type_of(schema) not in ("object", "array", "boolean")]
