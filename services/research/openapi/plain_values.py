"""Lists of plain values (``["a", "b"]``): what a record of them is, and what identifies it. Pure.

Such a list is a set of names: labels, currencies, the ids of a channel's members. A record is an object that holds
one of them. Below a parent it must say which one, too: a member of two channels is two records.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from contracts.blueprint import Candidate, JsonPath, Selector, Stream
from services.research.openapi.endpoint import Endpoint
from services.research.openapi.examples import INFERRED
from services.research.openapi.names import record_noun
from services.research.openapi.ranking import candidate, decide
from services.research.openapi.words import singular, words

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
    evidence = endpoint.response_evidence(selector.path or ("(root)",), "a list of plain values: each is named once")
    return [candidate(((selector.field,),), _UNIQUE, evidence)]


def named_by_parents(streams: Sequence[Stream]) -> list[Stream]:
    """``streams``, where those of plain values below a parent have in key and schema what names the parent."""
    known = {stream.name: stream for stream in streams}
    return [
        _named(stream, {name: parent for name, parent in _above(stream, known) if name != stream.selector.value.field})
        if stream.selector.value.field
        else stream
        for stream in streams
    ]


def _above(stream: Stream, known: Mapping[str, Stream]) -> Iterator[tuple[str, str]]:
    """The variables that parents give, with the stream that does, those from farthest above first."""
    parent = stream.parent.value
    if parent is not None:
        yield from _above(known[parent.stream], known)
        yield from ((binding.variable, parent.stream) for binding in parent.bindings)


def _named(stream: Stream, parents: Mapping[str, str]) -> Stream:
    """``parents``: variable -> the stream whose record it names."""
    if not parents:
        return stream
    before = tuple((variable,) for variable in parents)
    keys = [
        option if option.value is None else option.model_copy(update={"value": (*before, *option.value)})
        for option in stream.primary_key.options
    ]
    told = {name: {"type": "string", "description": f"Names the record of {parent}."} for name, parent in parents.items()}
    schemas = [
        option.model_copy(
            update={"value": {**option.value, "properties": {**told, **option.value.get("properties", {})}}}
        )
        for option in stream.json_schema.options
    ]
    return stream.model_copy(update={"primary_key": decide(keys), "json_schema": decide(schemas)})
