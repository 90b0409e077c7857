"""Where the records are in a response. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from contracts.blueprint import Candidate, JsonPath, Selector
from services.research.openapi.endpoint import Endpoint, type_of
from services.research.openapi.plain_values import as_record, field_name, is_plain
from services.research.openapi.ranking import candidate
from services.research.openapi.words import noun, vocabulary, words

_KNOWN = vocabulary(
    "data items results result records value values entries list rows content elements objects hits docs "
    "documents resources collection response edges nodes payload"
)
_SIDECARS = vocabulary(
    "error errors warning warnings link links include included includes facet facets aggregation aggregations "
    "filter filters sort sorts meta metadata parameters column columns field fields notice notices message"
)
"""Arrays that accompany the records. A resource of that name still counts: its name is in the path."""
_COMPLAINTS = vocabulary("error errors warning warnings")
_WRAPPERS = _KNOWN | {"embedded", "page", "paging", "body", "output", "query", "search"}
_MAX_DEPTH = 4
_PLAIN = 0.55
"""How much less plain values are worth than objects: they count where there is nothing else."""


class Found(NamedTuple):
    """A place that could hold the records; ``record`` is the schema of one. ``named``: it is called like the
    resource; ``alone``: no other array of objects is beside it. ``aside``: it accompanies something."""

    selector: Selector
    score: float
    record: dict[str, Any]
    named: bool
    alone: bool = False
    aside: bool = False


def find_records(endpoint: Endpoint) -> list[Found]:
    """All places in the described response, best first."""
    schema = endpoint.response
    if type_of(schema) == "array":
        return [_root_array(endpoint, schema)]
    found = list(_in_object(endpoint, schema, ()))
    return sorted(found, key=lambda place: (-place.score, len(place.selector.path)))


def _root_array(endpoint: Endpoint, schema: dict[str, Any]) -> Found:
    items = schema.get("items", {})
    if is_plain(items):
        field = field_name(endpoint, "")
        return Found(Selector(field=field), 0.9 - _PLAIN, as_record(items, field), named=True)
    score = 0.95 if type_of(items) == "object" else 0.2 if type_of(items) else 0.7
    return Found(Selector(), score, items, named=True)


def _in_object(endpoint: Endpoint, schema: dict[str, Any], at: JsonPath) -> Iterator[Found]:
    properties: dict[str, Any] = schema.get("properties", {})
    arrays = [name for name, member in properties.items() if _is_record_array(member)]
    for name, member in properties.items():
        path = (*at, name)
        if type_of(member) == "array":
            yield _array(endpoint, member, path, alone=arrays == [name])
        elif type_of(member) == "object" and len(path) < _MAX_DEPTH:
            yield from _in_object(endpoint, member, path)
            if (values := _map_values(member)) is not None:
                yield Found(
                    Selector(path=path, shape="map"),
                    0.45 + _bonus(endpoint, path),
                    values,
                    _is_named(endpoint, name),
                )
    if not at and not properties and (values := _map_values(schema)) is not None:
        yield Found(Selector(shape="map"), 0.55, values, named=False)


def _map_values(schema: dict[str, Any]) -> dict[str, Any] | None:
    """The schema of the values of an object that is used as a map of records."""
    values = schema.get("additionalProperties")
    if schema.get("properties") or not isinstance(values, dict) or type_of(values) != "object":
        return None
    return values if values.get("properties") else None


def _is_record_array(schema: dict[str, Any]) -> bool:
    return type_of(schema) == "array" and type_of(schema.get("items", {})) in ("object", "")


def _array(endpoint: Endpoint, schema: dict[str, Any], path: JsonPath, *, alone: bool) -> Found:
    items, name = schema.get("items", {}), path[-1]
    named = _is_named(endpoint, name)
    score = 0.5 + (0.15 if alone else 0.0) + _bonus(endpoint, path)
    if is_plain(items):
        field = field_name(endpoint, "" if name.lower() in _KNOWN else name)
        selector, record = Selector(path=path, field=field), as_record(items, field)
        return Found(selector, score - _PLAIN, record, named, alone, not named and _is_aside(words(name)))
    if type_of(items) not in ("object", ""):
        score -= _PLAIN
    elif not items.get("properties"):
        score -= 0.05
    return Found(Selector(path=path), score, items, named, alone)


def _is_aside(own: tuple[str, ...]) -> bool:
    """``errorMessages`` and ``parameters`` are no list that anybody asked for."""
    return not own or own[-1] in _SIDECARS or bool(_COMPLAINTS & set(own))


def _bonus(endpoint: Endpoint, path: JsonPath) -> float:
    """What the names on the way to the records say."""
    name = path[-1]
    bonus = 0.3 if _is_named(endpoint, name) else 0.0
    if name.lower() in _KNOWN or words(name)[-1:] == ("list",):
        bonus = max(bonus, 0.25)
    elif words(name) and words(name)[-1] in _SIDECARS and not bonus:
        bonus -= 0.4
    for wrapper in path[:-1]:
        wrapped = words(wrapper)
        bonus -= 0.05 if set(wrapped) & _WRAPPERS or _is_named(endpoint, wrapper) else 0.15
    return bonus


def _is_named(endpoint: Endpoint, name: str) -> bool:
    """Whether the member is called like the resource of the path, or of the operation."""
    own = noun(name)
    if not own:
        return False
    resource = noun("_".join(endpoint.resource))
    if "".join(own) == "".join(resource) or (len(own) >= len(resource) > 0 and own[-len(resource) :] == resource):
        return True
    if own[-1] in resource:
        return True
    earlier = [noun(segment) for segment in endpoint.static_segments[-3:-1]]
    return own in earlier or own == tuple(word for part in [*earlier, resource] for word in part)[-len(own) :]


def selector_candidates(endpoint: Endpoint, found: list[Found]) -> list[Candidate[Selector]]:
    """Ranked candidates; where the response is not described, the usual ones with low confidence. Plain values and
    objects are no alternatives to each other: key and schema of the one are not those of the other."""
    if found:
        reason = "inferred from an example" if endpoint.from_example else "records"
        if found[0].selector.field:
            best = found[0].selector
            evidence = endpoint.response_evidence(best.path or ("(root)",), reason)
            return [candidate(best, found[0].score + _PLAIN, evidence)]
        return [
            candidate(
                place.selector, place.score, endpoint.response_evidence(place.selector.path or ("(root)",), reason)
            )
            for place in found[:6]
            if (place.score > 0.1 or place is found[0]) and not place.selector.field
        ]
    if type_of(endpoint.response) == "object":
        note = endpoint.evidence("the response is an object that is not described")
        usual: list[JsonPath] = [("data",), ("items",), ("results",)]
    else:
        note = endpoint.evidence("the response is not described; a plain list is the commonest form")
        usual = [(), ("data",), ("items",), ("results",)]
    name = endpoint.static_segments[-1] if endpoint.static_segments else ""
    if name.isidentifier():
        usual.append((name,))
    return [candidate(Selector(path=path), 0.4 - 0.05 * rank, note) for rank, path in enumerate(usual)]
