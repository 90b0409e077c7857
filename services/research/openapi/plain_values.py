"""Lists of plain values (``["a", "b"]``): what a record of them is, and what identifies it. Pure.

Such a list is a set of names: labels, currencies, the ids of a channel's members. A record is an object that holds
one of them. Below a parent it must say which one, too: a member of two channels is two records.
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping, Sequence
from typing import Any, TypeVar

from contracts.blueprint import Candidate, Decision, JsonPath, Selector, Stream
from services.research.openapi.endpoint import Endpoint
from services.research.openapi.examples import INFERRED
from services.research.openapi.names import record_noun
from services.research.openapi.places import own_subject
from services.research.openapi.ranking import candidate
from services.research.openapi.words import noun, singular, words

T = TypeVar("T")
_PLAIN = frozenset({"string", "integer", "number"})
_USUAL = "value"
_UNIQUE = 0.7
"""A list of names that has one twice would be odd, but no document says that it cannot."""


def is_plain(schema: Mapping[str, Any]) -> bool:
    """Whether values of this (flattened) schema are texts or numbers, and nothing else."""
    declared = schema.get("type")
    kinds = {declared} if isinstance(declared, str) else set(declared or ())
    return bool(kinds & _PLAIN) and kinds <= _PLAIN | {"null"}


def field_name(endpoint: Endpoint, member: str) -> str:
    """What a record calls its value: the singular of the response's ``member``, or, if that is empty, of the
    resource. A name that the request takes already is left to what names the parent."""
    own = words(member) or record_noun(endpoint, "")
    name = "_".join((*own[:-1], singular(own[-1]))) if own else _USUAL
    taken = (param.name for param in endpoint.params if param.required)
    return _USUAL if name in (*endpoint.variables, *taken) else name


def as_record(items: Mapping[str, Any], field: str) -> dict[str, Any]:
    """The schema of a record that holds a value of the schema ``items``."""
    inferred = {INFERRED: True} if items.get(INFERRED) else {}
    return {"type": "object", "properties": {field: dict(items)}, "required": [field], **inferred}


def plain_keys(endpoint: Endpoint, selector: Selector) -> list[Candidate[tuple[JsonPath, ...] | None]]:
    """The value itself."""
    evidence = endpoint.response_evidence(
        selector.path or ("(root)",), "a list of plain values: each is named once"
    )
    return [candidate(((selector.field,),), _UNIQUE, evidence)]


def named_by_parents(streams: Sequence[Stream]) -> list[Stream]:
    """``streams``, where the records of plain values below a parent hold what names the parent, too."""
    known = {stream.name: stream for stream in streams}
    return [_named(stream, list(_above(stream, known))) if _is_nameless(stream) else stream for stream in streams]


def _is_nameless(stream: Stream) -> bool:
    return bool(stream.selector.value.field) and not stream.selector.value.beside


def _above(stream: Stream, known: Mapping[str, Stream]) -> Iterator[tuple[str, str]]:
    """The variables that parents give, with the stream that does, those from farthest above first."""
    parent = stream.parent.value
    if parent is not None:
        yield from _above(known[parent.stream], known)
        yield from ((binding.variable, parent.stream) for binding in parent.bindings)


def _named(stream: Stream, above: Sequence[tuple[str, str]]) -> Stream:
    """The stream with ``above`` (variable, stream) in its records, key and schema."""
    names: dict[str, tuple[str, str]] = {}
    for variable, parent in above:
        names[_name_of(variable, parent, {stream.selector.value.field, *names})] = variable, parent
    if not names:
        return stream
    beside = {name: variable for name, (variable, _) in names.items()}
    told = {
        name: {"type": "string", "description": f"Names the record of {parent}."}
        for name, (_, parent) in names.items()
    }
    key, selector = stream.primary_key.value, stream.selector.value
    before = tuple((name,) for name in names)
    return stream.model_copy(
        update={
            "selector": _with_value(stream.selector, selector.model_copy(update={"beside": beside})),
            "primary_key": _with_value(stream.primary_key, None if key is None else (*before, *key)),
            "json_schema": _with_value(stream.json_schema, _with_members(stream.json_schema.value, told)),
        }
    )


def _with_members(schema: dict[str, Any], members: Mapping[str, Any]) -> dict[str, Any]:
    return {**schema, "properties": {**members, **schema.get("properties", {})}}


def _name_of(variable: str, parent: str, taken: Container[str]) -> str:
    """The variable's own name, with what it is of where it does not say so: ``ticket_id`` for ``{id}``."""
    of_parent = "_".join((*noun(parent), *words(variable)))
    own = [variable] if set(own_subject(variable)) - {"pk"} else []
    return next((name for name in (*own, of_parent) if name not in taken), f"parent_{of_parent}")


def _with_value(decision: Decision[T], value: T) -> Decision[T]:
    """The decision with its best answer told more exactly."""
    return decision.model_copy(update={"value": value})
