"""An operation made ready for inference: its parameters as plain values and its response as one schema."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from contracts.blueprint import Evidence, JsonPath
from infra.runtime.documents import Document, Operation, examples_of, media_of
from services.research.openapi.examples import filled, schema_of_examples
from services.research.openapi.words import words

VARIABLE = re.compile(r"\{([^{}]+)\}")
_EXTENSION = re.compile(r"\.(json|xml|js|php|do)$", re.IGNORECASE)
_LIST_NODES = 300
_DETAIL_NODES = 60
"""Of the response to a path that ends with a variable: enough to see that it is one object."""
_BODY_NODES = 150
_PATTERN = 500
_BODY_PAGING = {("page",), ("paging",), ("pagination",), ("pager",), ("options",)}


@dataclass(frozen=True)
class Param:
    """A request parameter, or a member of a JSON request body (location ``body``): of its top level, or, by a
    dotted name, of an object there that is about paging (``pagination.page``).

    ``type`` is JSON Schema's, ``""`` if unknown.
    """

    name: str
    location: str
    pointer: str
    description: str
    required: bool
    type: str
    format: str
    default: Any
    example: Any
    enum: tuple[Any, ...]
    minimum: float | None
    maximum: float | None
    members: tuple[str, ...] = ()
    pattern: str = ""

    @cached_property
    def words(self) -> tuple[str, ...]:
        return words(self.name)

    @property
    def text(self) -> str:
        return self.description.lower()

    @property
    def is_integer(self) -> bool:
        return self.type in ("integer", "number")

    def evidence(self, note: str = "") -> Evidence:
        return Evidence(pointer=self.pointer, note=note or f"{self.location} parameter {self.name}")


@dataclass(frozen=True)
class Field:
    """A member of the response outside of its records. ``path`` leads to it from the root of the body."""

    path: JsonPath
    schema: dict[str, Any]

    @property
    def name(self) -> str:
        return self.path[-1]

    @property
    def type(self) -> str:
        return type_of(self.schema)


@dataclass(frozen=True)
class Endpoint:
    """``response`` is the flattened schema of the successful JSON response, ``{}`` if nothing is known of it;
    ``from_example`` says that it was inferred from examples. ``response_pointer`` is where it stands."""

    operation: Operation
    params: tuple[Param, ...]
    response: dict[str, Any]
    response_pointer: str
    from_example: bool
    headers: tuple[tuple[str, str], ...]

    @property
    def path(self) -> str:
        return self.operation.path

    @property
    def method(self) -> str:
        return self.operation.method

    @property
    def key(self) -> str:
        return self.operation.key

    @cached_property
    def segments(self) -> tuple[str, ...]:
        return segments_of(self.path)

    @cached_property
    def variables(self) -> tuple[str, ...]:
        return tuple(VARIABLE.findall(self.path))

    @cached_property
    def static_segments(self) -> tuple[str, ...]:
        return tuple(segment for segment in self.segments if "{" not in segment)

    @cached_property
    def ends_with_variable(self) -> bool:
        return bool(self.segments) and self.segments[-1].startswith("{")

    @cached_property
    def resource(self) -> tuple[str, ...]:
        """The words of the last static segment: what the path says is here."""
        return words(self.static_segments[-1]) if self.static_segments else ()

    @cached_property
    def text(self) -> str:
        return f"{self.operation.summary}\n{self.operation.description}".lower()

    def evidence(self, note: str) -> Evidence:
        return Evidence(pointer=self.operation.pointer, note=note)

    def response_evidence(self, path: JsonPath, note: str) -> Evidence:
        return Evidence(pointer=self.response_pointer or self.operation.pointer, note=f"{'.'.join(path)}: {note}")


def segments_of(path: str) -> tuple[str, ...]:
    """The parts of a path, without empty ones and without a file extension at the end."""
    return tuple(part for part in _EXTENSION.sub("", path).split("/") if part)


def endpoint_of(
    document: Document, operation: Operation, *, with_response: bool = True, in_full: bool = False
) -> Endpoint:
    """``with_response=False`` leaves the costly part out; ``in_full`` reads as much of it as of a list."""
    nothing: tuple[dict[str, Any], str, bool, tuple[tuple[str, str], ...]] = ({}, "", False, ())
    nodes = _LIST_NODES if in_full or not operation.path.endswith("}") else _DETAIL_NODES
    response, pointer, from_example, headers = _response(document, operation, nodes) if with_response else nothing
    params = [
        *_declared_params(document, operation),
        *(_body_params(document, operation) if operation.method == "post" else ()),
    ]
    return Endpoint(operation, tuple(params), response, pointer, from_example, headers)


def _declared_params(document: Document, operation: Operation) -> Iterator[Param]:
    for parameter, pointer in zip(operation.parameters, operation.parameter_pointers, strict=True):
        schema = parameter.get("schema")
        if schema is None and isinstance(content := parameter.get("content"), dict):
            schema = next((media.get("schema") for media in content.values() if isinstance(media, dict)), None)
        flat = document.schema(schema, max_nodes=12, max_depth=2) if schema is not None else {}
        described = {"example": parameter.get("example"), **flat}
        required = parameter.get("required") is True or parameter["in"] == "path"
        description = f"{parameter.get('description') or ''}"
        param = _param(parameter["name"], parameter["in"], pointer, description, required, described)
        yield param
        if parameter["in"] == "query" and parameter.get("style") == "deepObject":
            yield from _members(param, flat)


def _members(param: Param, schema: dict[str, Any]) -> Iterator[Param]:
    """Style ``deepObject`` (OpenAPI 3.1, section 4.8.12.4): each member is a parameter ``name[member]``."""
    for name, member in schema.get("properties", {}).items():
        description = f"{param.description} {member.get('description', '')}"
        yield _param(f"{param.name}[{name}]", "query", param.pointer, description, False, member)


def _body_params(document: Document, operation: Operation) -> Iterator[Param]:
    found = media_of(document, operation.request_body)
    if found is None:
        return
    _, media = found
    schema = document.schema(media.get("schema"), max_nodes=_BODY_NODES, max_depth=2)
    required = schema.get("required", ())
    for name, member in schema.get("properties", {}).items():
        pointer = f"{operation.pointer}/requestBody"
        yield _param(name, "body", pointer, str(member.get("description", "")), name in required, member)
        if words(name)[-1:] in _BODY_PAGING:
            for nested, inner in member.get("properties", {}).items():
                described = str(inner.get("description", ""))
                yield _param(f"{name}.{nested}", "body", pointer, described, False, inner)


def _param(
    name: str, location: str, pointer: str, description: str, required: bool, schema: dict[str, Any]
) -> Param:
    examples = schema.get("examples") or []
    enum = schema.get("enum") or schema.get("items", {}).get("enum") or ()
    return Param(
        name=name,
        location=location,
        pointer=pointer,
        description=description or str(schema.get("description", "")),
        required=required,
        type=type_of(schema),
        format=str(schema.get("format", "")),
        default=schema.get("default"),
        example=schema.get("example") if schema.get("example") is not None else next(iter(examples), None),
        enum=tuple(value for value in enum if value is not None),
        minimum=_number(schema.get("minimum")),
        maximum=_number(schema.get("maximum")),
        members=tuple(schema.get("properties", ())),
        pattern=str(schema.get("pattern", ""))[:_PATTERN],
    )


def _number(value: Any) -> float | None:
    return value if isinstance(value, (int, float)) and not isinstance(value, bool) else None


def _response(
    document: Document, operation: Operation, nodes: int
) -> tuple[dict[str, Any], str, bool, tuple[tuple[str, str], ...]]:
    if operation.success is None:
        return {}, "", False, ()
    status, response = operation.success
    declared = response.get("headers")
    headers = tuple(
        (name, str((document.resolve(entry) or {}).get("description") or ""))
        for name, entry in (declared.items() if isinstance(declared, dict) else ())
        if isinstance(document.resolve(entry), dict)
    )
    pointer = f"{operation.pointer}/responses/{status}"
    found = media_of(document, response)
    if found is None:
        return {}, pointer, False, headers
    kind, media = found
    pointer += f"/content/{kind.replace('~', '~0').replace('/', '~1')}"
    schema = document.schema(media.get("schema"), max_nodes=nodes)
    shown = [value for value in schema.get("examples", ()) if isinstance(value, (dict, list)) and value]
    examples = [*examples_of(document, media), *shown]
    if not examples:
        return schema, f"{pointer}/schema" if tells_structure(schema) else pointer, False, headers
    inferred = schema_of_examples(examples)
    if tells_structure(schema):
        return filled(schema, inferred), f"{pointer}/schema", False, headers
    return inferred, pointer, True, headers


def tells_structure(schema: dict[str, Any]) -> bool:
    """Whether a schema says anything about what is inside."""
    if schema.get("properties") or schema.get("additionalProperties"):
        return True
    items = schema.get("items")
    return isinstance(items, dict) and (tells_structure(items) or type_of(items) not in ("", "object", "array"))


def type_of(schema: dict[str, Any]) -> str:
    """The one type of a flattened schema besides null; of several, the one with structure; ``""`` if unknown."""
    declared = schema.get("type")
    if isinstance(declared, str):
        return declared
    kinds = [kind for kind in declared or () if kind != "null"]
    for kind in ("array", "object"):
        if kind in kinds:
            return kind
    return kinds[0] if kinds else ""


def at_path(schema: dict[str, Any], path: JsonPath) -> dict[str, Any]:
    """The sub-schema at ``path`` of objects; ``{}`` if it is not described."""
    for name in path:
        schema = schema.get("properties", {}).get(name, {})
    return schema


def fields_of(schema: dict[str, Any], *, depth: int = 4, at: JsonPath = ()) -> Iterator[Field]:
    """The members of an object and of the objects in it; what is inside arrays is left out."""
    for name, member in schema.get("properties", {}).items():
        yield Field((*at, name), member)
        if depth > 1 and type_of(member) == "object":
            yield from fields_of(member, depth=depth - 1, at=(*at, name))
