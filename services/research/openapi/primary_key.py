"""Which field identifies a record. Pure."""

from __future__ import annotations

from typing import Any, NamedTuple

from contracts.blueprint import Candidate, Evidence, JsonPath
from services.research.openapi.endpoint import Endpoint, type_of
from services.research.openapi.key_names import GENERIC, IDS, NAMES, by_name, out_of_use, told_as_unique
from services.research.openapi.ranking import candidate
from services.research.openapi.words import noun, vocabulary, words

PrimaryKey = tuple[JsonPath, ...]
Keys = list[Candidate[PrimaryKey | None]]

_REPEATED = 0.62
"""At most how sure a name or number is that may be used once more under the next parent."""
_SURE = 0.6
_FACETS = vocabulary(
    "bulk search mapping status availability detail summary info overview updated deleted latest list"
)
"""``/ports/statuses`` tells one thing more of each port: its rows are ports."""


_COUNTED = vocabulary("count total quantity")
_TALLY = 4
"""Fields at most, of a row that says how many there are of something."""
_WRAPPING = vocabulary("node item resource record entity object metadata meta sys")


class Detail(NamedTuple):
    """The endpoint for one record of a list: the last ``variable`` of its path; ``alone``: no other is needed."""

    variable: str
    alone: bool
    evidence: Evidence

    @classmethod
    def of(cls, endpoint: Endpoint) -> Detail:
        alone = len(endpoint.variables) == 1
        return cls(endpoint.variables[-1], alone, endpoint.evidence("the endpoint of one record"))


def primary_key_candidates(
    endpoint: Endpoint, record: dict[str, Any], record_noun: tuple[str, ...], detail: Detail | None
) -> Keys:
    """Ranked by confidence later. ``record_noun`` is the resource in the singular; the variable of ``detail`` is
    strong evidence for a field that fits it."""
    properties: dict[str, Any] = record.get("properties", {})
    if not properties:
        return _undescribed(endpoint, detail)
    required = set(record.get("required", ()))
    plain = max(
        (_score(endpoint, name, schema, record_noun)[0] for name, schema in _plain_ids(properties)), default=0
    )
    found: Keys = []
    for name, schema in properties.items():
        if type_of(schema) == "object":
            found += _inside(endpoint, name, schema, record_noun)
        if type_of(schema) not in ("string", "integer", "number", ""):
            continue
        score, note = _score(endpoint, name, schema, record_noun)
        asked = _fits(detail.variable, name, record_noun) if detail is not None else 0.0
        if plain and words(name) != ("id",):
            score = min(score, plain - 0.05)
        if detail is not None and asked > 0:
            score, note = max(score, 0.45) + asked, f"{note}, and {{{detail.variable}}} fetches one by it"
        if score <= 0:
            continue
        score += 0.04 if name in required else 0.0
        if endpoint.variables and words(name)[-1] in NAMES and not (asked and detail and detail.alone):
            score = min(score, _REPEATED)
        evidence = [endpoint.response_evidence((name,), note)]
        if detail is not None:
            evidence.append(detail.evidence)
        found.append(candidate(((name,),), score, *evidence))
    if all(option.confidence < _SURE for option in found):
        found += [*_of_others(endpoint, properties, record_noun), *_of_tally(endpoint, properties)]
    return found


def _plain_ids(properties: dict[str, Any]) -> list[tuple[str, Any]]:
    return [
        (name, schema)
        for name, schema in properties.items()
        if words(name) == ("id",) and type_of(schema) in ("string", "integer", "number", "")
    ]


def _undescribed(endpoint: Endpoint, detail: Detail | None) -> Keys:
    """The usual name, too weak to be taken, as something to try."""
    note = endpoint.evidence("the records are not described; most have an id")
    return [candidate((("id",),), 0.3, note, *((detail.evidence,) if detail else ()))]


def _inside(endpoint: Endpoint, name: str, schema: dict[str, Any], record_noun: tuple[str, ...]) -> Keys:
    """An ``id`` that is an object of ids, or an object named after the resource that holds the id."""
    members = [
        key for key, member in schema.get("properties", {}).items() if type_of(member) in ("string", "integer")
    ]
    is_id = words(name) == ("id",)
    if not is_id and not (
        record_noun and record_noun[-1] in words(name) and words(name)[-1] in ("info", "details")
    ):
        return []
    found: Keys = []
    for member in members:
        score, note = _score(endpoint, member, schema["properties"][member], record_noun)
        if score >= 0.4:
            evidence = endpoint.response_evidence((name, member), note)
            found.append(candidate(((name, member),), score - 0.05, evidence))
    if is_id and len(members) > 1:
        every = tuple((name, member) for member in members)
        note = "an identity of several members"
        found.append(candidate(every, 0.6, endpoint.response_evidence((name,), note)))
    return found


def _of_others(endpoint: Endpoint, properties: dict[str, Any], record_noun: tuple[str, ...]) -> Keys:
    """Records without an identity of their own: a wrapper around one thing, or a row that ties others together."""
    things = {name: key for name, schema in properties.items() if (key := _id_of(schema)) is not None}
    if len(things) == 1:
        ((name, key),) = things.items()
        if noun(name) == record_noun or set(words(name)) <= _WRAPPING:
            note = f"the record wraps a {' '.join(record_noun)}"
            sure = 0.38 if endpoint.variables else 0.6
            return [candidate(((name, key),), sure, endpoint.response_evidence((name, key), note))]
    ids = [
        name
        for name, schema in properties.items()
        if len(words(name)) > 1 and words(name)[-1] in IDS and type_of(schema) in ("string", "integer")
    ]
    ids = [
        name
        for name in ids
        if not any(words(name)[: len(words(other))] == words(other) for other in ids if other != name)
    ]
    tied: PrimaryKey = (*((name,) for name in ids), *((name, key) for name, key in things.items()))
    others = len(properties) - len(tied)
    if not 2 <= len(tied) <= 3 or others > 2:
        return []
    return [
        candidate(tied, 0.58 - 0.05 * others, endpoint.evidence("the record ties these together, and little else"))
    ]


def _of_tally(endpoint: Endpoint, properties: dict[str, Any]) -> Keys:
    """``{"name": ..., "count": ...}``: one row for each name. Below a parent the names come again."""
    counts = [name for name, schema in properties.items() if type_of(schema) in ("integer", "number")]
    counted = any(words(name)[-1:] and words(name)[-1] in _COUNTED for name in counts)
    named = [
        name for name, schema in properties.items() if words(name) == ("name",) and type_of(schema) == "string"
    ]
    if not named or not counted or len(properties) > _TALLY or endpoint.variables:
        return []
    note = "how many there are of each: one row for a name"
    return [candidate(((named[0],),), 0.6, endpoint.response_evidence((named[0],), note))]


def _id_of(schema: dict[str, Any]) -> str | None:
    """The member that identifies the object that a schema describes, if one certainly does."""
    if type_of(schema) != "object":
        return None
    properties = schema.get("properties", {})
    sure = (name for name in properties if len(words(name)) == 1 and IDS.get(words(name)[0], 0) >= 0.7)
    return next((name for name in sure if type_of(properties[name]) in ("string", "integer", "")), None)


def _score(
    endpoint: Endpoint, name: str, schema: dict[str, Any], record_noun: tuple[str, ...]
) -> tuple[float, str]:
    own = words(name)
    if not own:
        return 0.0, ""
    score, note = by_name(name, own, record_noun)
    before = _faceted(endpoint)
    if score == 0.0 and len(own) > 1 and own[-1] in IDS and set(noun(name)[:-1]) <= before:
        score = 0.5
    if own[-1] in NAMES and type_of(schema) == "number":
        score = 0.0
    text = str(schema.get("description", "")).lower()[:2000]
    if told_as_unique(text, own, (*record_noun, *before)):
        note += ", described as unique"
        score = max(score + 0.3, 0.5) if score < 0.5 else score + 0.08
    if out_of_use(text):
        score -= 0.4
    if score > 0 and schema.get("format") in ("uuid", "guid"):
        score += 0.03
    return score, note


def _faceted(endpoint: Endpoint) -> set[str]:
    """The words of the segments right before a facet, up to a variable: ``/group/bulk`` is about groups."""
    before: set[str] = set()
    if not set(noun(endpoint.segments[-1])) <= _FACETS:
        return before
    for segment in reversed(endpoint.segments[:-1]):
        if "{" in segment:
            break
        before |= set(noun(segment))
    return before


def _fits(variable: str, name: str, record_noun: tuple[str, ...]) -> float:
    """How surely the detail path's variable is this field: 0 not at all."""
    asked, own = words(variable), words(name)
    if asked == own:
        return 0.35
    tail = tuple(word for word in asked if word not in record_noun)
    if own == tail and own[-1] in (*IDS, *NAMES):
        return 0.3
    if own == ("id",) and asked[-1:] == ("id",) and noun(variable)[:-1] == record_noun[-len(asked) + 1 :]:
        return 0.3
    if own == ("id",) and asked[-1] in ("id", "identifier"):
        return 0.15
    bare = {word for word in asked if word not in GENERIC}
    if len(own) == 1 and own[0] in asked and bare <= set(record_noun) and own[0] in (*IDS, *NAMES):
        return 0.15
    return 0.0


def map_candidates(endpoint: Endpoint, record: dict[str, Any]) -> Keys:
    """``{"READ": {"key": "READ", ...}}``: what an object's members are called by identifies them, and is often said
    again inside."""
    own = record.get("properties", {}).get("key", {})
    if type_of(own) not in ("string", "integer"):
        return []
    return [candidate((("key",),), 0.87, endpoint.evidence("each record says again by which key it is found"))]


def composite_candidates(
    endpoint: Endpoint, record: dict[str, Any], own: Candidate[PrimaryKey | None], variables: tuple[str, ...]
) -> Keys:
    """For a nested list whose own key may repeat between parents: the parent's field in the record, and the key."""
    if own.value is None:
        return []
    properties: dict[str, Any] = record.get("properties", {})
    names = {words(name): name for name in properties if type_of(properties[name]) not in ("object", "array")}
    parents = [names[words(variable)] for variable in variables if words(variable) in names]
    key: PrimaryKey = (*((name,) for name in parents if (name,) not in own.value), *own.value)
    if len(key) == len(own.value):
        return []
    weak = own.confidence <= _REPEATED
    return [
        candidate(
            key,
            own.confidence + 0.02 if weak else own.confidence - 0.2,
            endpoint.evidence("nested under a parent that the record names"),
        )
    ]
