"""How one stream's records supply the variables of another's requests: from which fields. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from contracts.blueprint import Binding, JsonPath, Parent
from services.research.openapi.endpoint import Param, type_of
from services.research.openapi.places import GENERIC, Noun, Place, own_subject
from services.research.openapi.words import noun, same_word, vocabulary, words

_IDENTITIES = ("id", "uuid", "guid", "gid", "sid", "uid", "key", "slug", "name", "number", "code", "login")
_OF_AN_OBJECT = ("id", "slug", "key", "login", "uuid", "name")
"""Members of an object that stand for it, where the variable is the object's bare name: ``owner.login``."""
_TEXTS = vocabulary("name slug login")
"""Never numbers, while an id often is one in a string."""
_PLACEHOLDERS = vocabulary("id identifier")
_TOLD = re.compile(rf"\b({'|'.join(_IDENTITIES)})s?\b")
_SAID = 200
"""Characters of a description that are looked at."""


class Bound(NamedTuple):
    """``quality`` from 0 to 1: how surely the fields are the right ones. ``renames``: the document's name of a
    variable -> the one that the request needs."""

    parent: Parent
    quality: float
    renames: dict[str, str]


class Fit(NamedTuple):
    field: JsonPath
    quality: float


def bind(
    place: Place, target: str, open_variables: Sequence[str], parent: Place, known: frozenset[str]
) -> Bound | None:
    """Supply ``target`` from the parent's record, and the other open variables by inheritance or from it too.

    ``known`` are the variables that the parent and those above it carry.
    """
    found = field_for(place, target, parent)
    if found is None:
        return None
    fields, quality, renames = {target: found.field}, found.quality, dict[str, str]()
    for other in open_variables:
        if other == target or other in parent.constants:
            continue
        inherited = _inherited(place, other, parent, known)
        if inherited is not None:
            renames |= {other: inherited} if inherited != other else {}
            continue
        extra = exact_field(other, parent) if _names_a_record(place, other) else None
        if extra is None:
            return None
        fields[other] = extra
        quality *= 0.92
    renames |= {name: f"{'_'.join(parent.noun) or 'parent'}_{name}" for name in fields if name in parent.given}
    bindings = tuple(Binding(variable=renames.get(name, name), field=path) for name, path in fields.items())
    return Bound(Parent(stream=parent.name, bindings=bindings), quality, renames)


def _inherited(place: Place, variable: str, parent: Place, known: frozenset[str]) -> str | None:
    """The parent's name for the same variable: at the same place of the same prefix, or of the same name."""
    if variable in place.variables:
        prefix = place.prefix(variable)
        for name in parent.variables:
            if parent.prefix(name) == prefix and name not in parent.constants:
                return name
    return variable if variable in known and own_subject(variable) else None


def _names_a_record(place: Place, variable: str) -> bool:
    """A path's variables do; a query's, if called or described as something's id: a ``country`` is none."""
    if variable in place.variables or noun(variable)[-1] in _IDENTITIES:
        return True
    param = place.parameter(variable)
    return param is not None and re.search(r"\b(id|identifier|uuid)\b", param.text[:_SAID]) is not None


def field_for(place: Place, variable: str, parent: Place) -> Fit | None:
    """The field of the parent's record that the variable takes. The type that the document gives the variable must
    not speak against it."""
    found = _by_name(place, variable, parent)
    param = place.parameter(variable)
    if found is None or param is None:
        return found
    declared = type_of(_at(parent.record, found.field))
    mismatch = param.is_integer and declared == "string"
    if mismatch and words(found.field[-1])[-1] in _TEXTS:
        return None
    return Fit(found.field, found.quality * 0.94) if mismatch else found


def _by_name(place: Place, variable: str, parent: Place) -> Fit | None:
    exact = exact_field(variable, parent)
    key = parent.key[0] if parent.key is not None and len(parent.key) == 1 else None
    own = noun(variable)
    if exact is not None and (key is None or exact == key or own != ("id",)):
        return Fit(exact, 1.0)
    names = {words(name): name for name in _scalars(parent.record)}
    asked = [word for word in own if word in _IDENTITIES]
    for word in asked:
        if (word,) in names:
            return Fit((names[(word,)],), 0.97)
    if (part := _in_identity(variable, parent)) is not None:
        return Fit(part, 0.95)
    if own_subject(variable) and (told := _told(place.parameter(variable), names)):
        return told
    if key is not None:
        return Fit(key, 0.95 if set(asked) <= _PLACEHOLDERS else 0.75)
    for word in ("id", "key", "slug", "name"):
        if (word,) in names:
            return Fit((names[(word,)],), 0.65)
    if not names:
        return Fit(("id",), 0.5)
    return _only_name(variable, place, parent)


def _told(param: Param | None, names: Mapping[Noun, str]) -> Fit | None:
    """The first way to name a record that the variable's description tells and the record has."""
    for match in _TOLD.finditer(param.text[:_SAID] if param is not None else ""):
        if (match[1],) in names:
            return Fit((names[(match[1],)],), 0.97)
        ending = [name for parts, name in names.items() if len(parts) > 1 and parts[-1] == match[1] == "slug"]
        if len(ending) == 1:
            return Fit((ending[0],), 0.9)
    return None


def _in_identity(variable: str, parent: Place) -> JsonPath | None:
    """Of an identity of several members (``id.workspace_id``, ``id.object_id``) the one named after the record."""
    for path in (parent.key or ()) if len(parent.key or ()) > 1 or len((parent.key or ((),))[0]) > 1 else ():
        if noun(path[-1])[:-1] in (own_subject(variable), *parent.nouns) and noun(path[-1])[-1:] == ("id",):
            return path
    return None


def _only_name(variable: str, place: Place, parent: Place) -> Fit | None:
    """Last resort: the one field that ends like a name and that no other variable takes (``reponame``)."""
    others = tuple(_joined(name) for name in place.variables if name != variable)
    ending = [
        name
        for name, schema in _members(parent.record)
        if type_of(schema) == "string"
        and _joined(name).endswith(("name", "slug", "key", "id"))
        and not _joined(name).endswith(others)
    ]
    return Fit((ending[0],), 0.6) if len(ending) == 1 else None


def exact_field(variable: str, parent: Place) -> JsonPath | None:
    """A member called like the variable, or the member of an object that stands for it: ``owner.login`` for
    ``{owner}``, ``project.slug`` for ``{project_slug}``."""
    asked = _joined(variable)
    subject, ways = own_subject(variable), [word for word in noun(variable) if word in GENERIC]
    wanted = [word for word in ways if word not in ("or", "and")] or _OF_AN_OBJECT
    inside: JsonPath | None = None
    for name, schema in _members(parent.record):
        if not _is_object(schema):
            if _joined(name) == asked:
                return (name,)
        elif subject and _same_noun(noun(name), subject):
            inside = next(((name, way) for way in wanted if way in schema.get("properties", {})), inside)
    return inside or _identifier_of(subject, ways, parent)


def _identifier_of(subject: Noun, ways: Sequence[str], parent: Place) -> JsonPath | None:
    """``project_id`` for ``{project_id_or_slug}``."""
    if not subject or len(ways) < 2:
        return None
    wanted = {(*subject, way) for way in ways}
    return next(((name,) for name in _scalars(parent.record) if noun(name) in wanted), None)


def _is_object(schema: Mapping[str, Any]) -> bool:
    """Nothing but an object: what may also be a plain value (an id, or the expanded record) is one unless asked."""
    declared = schema.get("type")
    kinds = {declared} if isinstance(declared, str) else set(declared or ())
    return "object" in kinds and not kinds & {"string", "integer"}


def _same_noun(one: Noun, two: Noun) -> bool:
    return len(one) == len(two) and all(map(same_word, one, two))


def _joined(name: str) -> str:
    """``messageid`` and ``MessageID`` are the same."""
    return "".join(words(name))


def _members(record: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    yield from record.get("properties", {}).items()


def _scalars(record: Mapping[str, Any]) -> list[str]:
    return [name for name, schema in _members(record) if type_of(schema) not in ("object", "array", "boolean")]


def _at(record: Mapping[str, Any], path: JsonPath) -> dict[str, Any]:
    found: Any = record
    for name in path:
        found = found.get("properties", {}).get(name, {})
    return dict(found)
