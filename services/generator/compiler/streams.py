"""Each stream of the blueprint as the arguments of its declaration. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from contracts.blueprint import (
    ApiBlueprint,
    Choices,
    Cursor,
    CursorPagination,
    Decision,
    JsonPath,
    LastRecordPagination,
    LinkHeaderPagination,
    NextUrlPagination,
    NoPagination,
    OffsetPagination,
    PageNumberPagination,
    PageSize,
    Pagination,
    Parameter,
    Parent,
    Request,
    Selector,
    Stream,
    option_key,
)
from services.generator.compiler.feasible import parent_of, request_of, taken, value_variable
from services.generator.compiler.parameters import Setting, in_some, variables_for
from services.generator.compiler.text import Names, call

T = TypeVar("T")

CLASSES = {
    "none": "OnePage",
    "page": "PageNumber",
    "offset": "Offset",
    "cursor": "Cursor",
    "last_record": "LastRecord",
    "next_url": "NextUrl",
    "link_header": "LinkHeader",
}


@dataclass(frozen=True)
class Chosen:
    """A stream with its decisions taken."""

    stream: Stream
    request: Request
    selector: Selector
    pagination: Pagination
    primary_key: tuple[JsonPath, ...]
    cursor: Cursor | None
    parent: Parent | None
    json_schema: Mapping[str, Any]

    @property
    def name(self) -> str:
        return self.stream.name


@dataclass(frozen=True)
class Declaration:
    """The arguments of ``Stream(...)`` in the connector; expressions are Python code."""

    name: str
    path: str
    method: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: Mapping[str, Any] | None
    select: str | None
    pagination: str
    primary_key: tuple[JsonPath, ...]
    incremental: str | None
    parent: str | None
    needs: tuple[str, ...]
    schema_file: str


def choose(blueprint: ApiBlueprint, choices: Choices, absent: frozenset[str]) -> tuple[Chosen, ...]:
    """The streams that are not absent, parents before their children, else in the blueprint's order."""
    chosen = {stream.name: _choose(stream, choices) for stream in blueprint.streams if stream.name not in absent}
    ordered: dict[str, Chosen] = {}

    for name in chosen:
        line = [name]
        while (parent := chosen[line[-1]].parent) and parent.stream in chosen and parent.stream not in line:
            line.append(parent.stream)
        ordered |= {ancestor: chosen[ancestor] for ancestor in reversed(line) if ancestor not in ordered}
    return tuple(ordered.values())


def _choose(stream: Stream, choices: Choices) -> Chosen:
    def of(field: str, decision: Decision[Any]) -> Any:
        return taken(decision, option_key(stream.name, field), choices)

    return Chosen(
        stream=stream,
        request=request_of(stream, choices),
        selector=of("selector", stream.selector),
        pagination=of("pagination", stream.pagination),
        primary_key=of("primary_key", stream.primary_key) or (),
        cursor=of("cursor", stream.cursor),
        parent=parent_of(stream, choices),
        json_schema=of("json_schema", stream.json_schema),
    )


def declare(
    chosen: Iterable[Chosen], settings: tuple[Setting, ...], needs: Callable[[str], Collection[Parameter]]
) -> tuple[Declaration, ...]:
    """``needs``: the parameters without which a stream cannot be read."""
    chosen = tuple(chosen)
    requests = {one.name: one.request for one in chosen}
    files = Names()
    return tuple(_declare(one, settings, requests, needs(one.name), files.file_stem(one.name)) for one in chosen)


def _declare(
    one: Chosen,
    settings: tuple[Setting, ...],
    requests: Mapping[str, Request],
    needed: Collection[Parameter],
    schema_file: str,
) -> Declaration:
    renamed = variables_for(settings, one.name)
    request = one.request
    return Declaration(
        name=one.name,
        path=_renamed_in_path(request.path, renamed),
        method=request.method,
        query={**in_some(settings, "query", one.name, requests), **_renamed(request.query, renamed)},
        headers={**in_some(settings, "header", one.name, requests), **_renamed(request.headers, renamed)},
        body=request.body,
        select=_select(one.selector),
        pagination=_pagination(one.pagination),
        primary_key=one.primary_key,
        incremental=_incremental(one.cursor),
        parent=_parent(one.parent),
        needs=tuple(setting.field.name for setting in settings if setting.parameter in needed),
        schema_file=schema_file,
    )


def _renamed(values: Mapping[str, str], renamed: Mapping[str, str]) -> dict[str, str]:
    def of(value: str) -> str:
        variable = value_variable(value)
        return value if variable is None or variable not in renamed else f"{{{renamed[variable]}}}"

    return {name: of(value) for name, value in values.items()}


def _renamed_in_path(path: str, renamed: Mapping[str, str]) -> str:
    path = path if path.startswith("/") or not path else f"/{path}"
    return re.sub(r"\{([^{}]*)\}", lambda match: f"{{{renamed.get(match[1], match[1])}}}", path)


def _select(selector: Selector) -> str | None:
    if selector == Selector():
        return None
    shape = selector.shape if selector.shape != "array" else None
    return call(
        "Select",
        path=selector.path or None,
        shape=shape,
        member=selector.field or None,
        beside=selector.beside or None,
        lone=selector.lone or None,
    )


def _incremental(cursor: Cursor | None) -> str | None:
    if cursor is None:
        return None
    rule = cursor.filter
    return call(
        "Incremental",
        field=cursor.field,
        param=rule.param,
        field_form=_unless(cursor.field_format, "date-time"),
        param_form=_unless(cursor.format, "date-time"),
        location=_unless(rule.location, "query"),
        template=_unless(rule.template, "{value}"),
        inclusive=None if rule.inclusive else False,
        required=rule.required or None,
    )


def _parent(parent: Parent | None) -> str | None:
    if parent is None:
        return None
    return call("Parent", stream=parent.stream, fields={item.variable: item.field for item in parent.bindings})


def _pagination(rule: Pagination) -> str:
    name = CLASSES[rule.kind]
    if isinstance(rule, NoPagination):
        return f"{name}()"
    size = _size(rule.size)
    if isinstance(rule, LinkHeaderPagination):
        return call(name, rel=_unless(rule.rel, "next"), size=size)
    if isinstance(rule, NextUrlPagination):
        return call(name, path=rule.path, size=size)
    common = {"size": size, "has_more": rule.has_more_path, "location": _unless(rule.location, "query")}
    if isinstance(rule, PageNumberPagination):
        return call(
            name, param=rule.param, start=_unless(rule.start, 1), total_pages=rule.total_pages_path, **common
        )
    if isinstance(rule, OffsetPagination):
        return call(name, param=rule.param, start=_unless(rule.start, 0), total=rule.total_path, **common)
    if isinstance(rule, CursorPagination):
        where = {"header": rule.header} if rule.source == "header" else {"path": rule.path}
        return call(name, param=rule.param, **where, **common)
    assert isinstance(rule, LastRecordPagination)
    return call(name, param=rule.param, field=rule.field, **common)


def _size(size: PageSize | None) -> tuple[str, int] | None:
    return (size.param, size.value) if size else None


def _unless(value: T, default: T) -> T | None:
    return None if value == default else value
