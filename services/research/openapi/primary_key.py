"""Which field identifies a record. Pure."""

from __future__ import annotations

import re
from typing import Any

from contracts.blueprint import Candidate, Evidence, JsonPath
from services.research.openapi.endpoint import Endpoint, type_of
from services.research.openapi.ranking import candidate
from services.research.openapi.words import noun, words

PrimaryKey = tuple[JsonPath, ...]

_ID = {"id": 0.85, "uuid": 0.8, "guid": 0.8, "gid": 0.75, "sid": 0.8, "uid": 0.7, "oid": 0.65, "pk": 0.75}
_NAMES = {"key": 0.5, "code": 0.45, "slug": 0.45, "number": 0.4, "token": 0.4, "handle": 0.4, "login": 0.35}
_WEAK = {"name": 0.25, "ts": 0.3, "email": 0.25, "url": 0.15}
_OF_ANYTHING = {("resource", "id"), ("record", "id"), ("entity", "id"), ("object", "id"), ("item", "id")}
_UNIQUE = re.compile(r"\bunique(ly)?\b.{0,40}\b(id|identif\w+|key|reference|name|number|code)\b|\bprimary key\b")
_GENERIC_VARIABLE = {
    "id",
    "uuid",
    "guid",
    "key",
    "slug",
    "identifier",
    "gid",
    "sid",
    "code",
    "name",
    "number",
    "or",
}


def primary_key_candidates(
    endpoint: Endpoint, record: dict[str, Any], record_noun: tuple[str, ...], detail: tuple[str, Evidence] | None
) -> list[Candidate[PrimaryKey | None]]:
    """Ranked by confidence later. ``record_noun`` is the resource in the singular; ``detail`` the path variable of
    the endpoint for one such record (``contact_id``) and where it stands: strong evidence for a field that fits."""
    properties: dict[str, Any] = record.get("properties", {})
    required = set(record.get("required", ()))
    found: list[Candidate[PrimaryKey | None]] = []
    for name, schema in properties.items():
        if type_of(schema) == "object":
            found += _inside(endpoint, name, schema, record_noun)
        if type_of(schema) not in ("string", "integer", "number", ""):
            continue
        score, note = _score(name, schema, record_noun)
        if detail is not None and (match := _fits(detail[0], name, record_noun)) > 0:
            score, note = max(score, 0.45) + match, f"{note}, and {{{detail[0]}}} fetches one by it"
        if score <= 0:
            continue
        score += 0.04 if name in required else 0.0
        evidence = [endpoint.response_evidence((name,), note)]
        if detail is not None:
            evidence.append(detail[1])
        found.append(candidate(((name,),), score, *evidence))
    return found


def _inside(
    endpoint: Endpoint, name: str, schema: dict[str, Any], record_noun: tuple[str, ...]
) -> list[Candidate[PrimaryKey | None]]:
    """An ``id`` that is an object of ids, or an object named after the resource that holds the id."""
    members = [
        key for key, member in schema.get("properties", {}).items() if type_of(member) in ("string", "integer")
    ]
    is_id = words(name) == ("id",)
    if not is_id and not (
        record_noun and record_noun[-1] in words(name) and words(name)[-1] in ("info", "details")
    ):
        return []
    found: list[Candidate[PrimaryKey | None]] = []
    for member in members:
        score, note = _score(member, schema["properties"][member], record_noun)
        if score >= 0.4:
            evidence = endpoint.response_evidence((name, member), note)
            found.append(candidate(((name, member),), score - 0.05, evidence))
    if is_id and len(members) > 1:
        every = tuple((name, member) for member in members)
        note = "an identity of several members"
        found.append(candidate(every, 0.6, endpoint.response_evidence((name,), note)))
    return found


def _score(name: str, schema: dict[str, Any], record_noun: tuple[str, ...]) -> tuple[float, str]:
    own = words(name)
    if not own:
        return 0.0, ""
    score, note = _by_name(name, own, record_noun)
    if _UNIQUE.search(str(schema.get("description", "")).lower()):
        note += ", described as unique"
        if not _describes_another(record_noun, own):
            score = max(score + 0.3, 0.5) if score < 0.5 else score + 0.08
    if score > 0 and schema.get("format") in ("uuid", "guid"):
        score += 0.03
    return score, note


def _by_name(name: str, own: tuple[str, ...], record_noun: tuple[str, ...]) -> tuple[float, str]:
    note = f"field {name}"
    if len(own) == 1:
        score = _ID.get(own[0], _NAMES.get(own[0], _WEAK.get(own[0], 0.0)))
        return (0.75 if name == "_id" else score), note
    if own in _OF_ANYTHING:
        return 0.55, note
    if own[-1] not in _ID and own[-1] not in _NAMES:
        return 0.0, note
    subject = noun(name)[:-1]
    base = 0.82 if own[-1] in _ID else 0.5
    if subject == record_noun or subject == record_noun[-1:]:
        return base, f"{name} is named after the resource"
    if record_noun and subject[-1] == record_noun[-1]:
        return base - 0.15, note
    return (base - 0.25 if set(subject) & set(record_noun) else 0.0), note


def _describes_another(record_noun: tuple[str, ...], own: tuple[str, ...]) -> bool:
    """``userId``: "unique identifier of the user" identifies another thing than an order."""
    subject = {word for word in own if word not in _ID and word not in _NAMES}
    return len(subject) < len(own) and bool(subject) and not subject & set(record_noun)


def _fits(variable: str, name: str, record_noun: tuple[str, ...]) -> float:
    """How surely the detail path's variable is this field: 0 not at all."""
    asked, own = words(variable), words(name)
    if asked == own:
        return 0.35
    tail = tuple(word for word in asked if word not in record_noun)
    if own == tail and own[-1] in (*_ID, *_NAMES):
        return 0.3
    if own == ("id",) and asked[-1:] == ("id",) and noun(variable)[:-1] == record_noun[-len(asked) + 1 :]:
        return 0.3
    if own == ("id",) and asked[-1] in ("id", "identifier"):
        return 0.15
    bare = {word for word in asked if word not in _GENERIC_VARIABLE}
    if len(own) == 1 and own[0] in asked and bare <= set(record_noun) and own[0] in (*_ID, *_NAMES):
        return 0.15
    return 0.0


def composite_candidates(
    endpoint: Endpoint, record: dict[str, Any], own: Candidate[PrimaryKey | None], variables: tuple[str, ...]
) -> list[Candidate[PrimaryKey | None]]:
    """For a nested list whose own key may repeat between parents: the parent's field in the record, and the key."""
    if own.value is None:
        return []
    names = {words(name): name for name in record.get("properties", {})}
    parents = [names[words(variable)] for variable in variables if words(variable) in names]
    key: PrimaryKey = (*((name,) for name in parents if (name,) not in own.value), *own.value)
    if len(key) == len(own.value):
        return []
    weak = own.confidence < 0.6
    return [
        candidate(
            key,
            own.confidence + 0.02 if weak else own.confidence - 0.2,
            endpoint.evidence("nested under a parent that the record names"),
        )
    ]
