"""What the package's papers tell: the configuration, the streams, and why each is as it is. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from contracts.blueprint import (
    STREAM_OPTIONS,
    ApiBlueprint,
    Choices,
    CursorPagination,
    Evidence,
    LastRecordPagination,
    LinkHeaderPagination,
    NextUrlPagination,
    OffsetPagination,
    PageNumberPagination,
    Pagination,
    Selector,
    option_key,
)
from services.generator.compiler.streams import Chosen
from services.generator.compiler.text import code_span, markdown

_MAX_EVIDENCE = 3


def context(
    blueprint: ApiBlueprint,
    choices: Choices,
    chosen: tuple[Chosen, ...],
    code: dict[str, Any],
    degraded: frozenset[str],
    impossible: dict[str, str],
) -> dict[str, Any]:
    """What the templates of the papers see besides what those of the code do."""
    schema = code["specification"]["connectionSpecification"]
    reasons = dict.fromkeys(sorted(degraded), "no variant of it passed the tests") | impossible
    return {
        "description": blueprint.description,
        "api_version": blueprint.api_version,
        "document_url": blueprint.document_url,
        "fields": list(_fields(schema, "")),
        "config_example": _example(schema),
        "stream_rows": [_row(one, made.needs) for one, made in zip(chosen, code["streams"], strict=True)],
        "sections": [_section(one, choices) for one in chosen],
        "left_out": [{"name": name, "reason": reason} for name, reason in reasons.items()],
        "gaps": [{"subject": gap.subject, "reason": gap.reason} for gap in blueprint.gaps],
        "omitted": [{"subject": gap.subject, "reason": gap.reason} for gap in blueprint.omitted],
        "sources": [{"url": source.url, "taken": source.taken} for source in blueprint.sources],
    }


def _fields(schema: dict[str, Any], prefix: str) -> Iterable[dict[str, str]]:
    """One row per field of the configuration; the fields of a variant name the variant."""
    for name, field in schema["properties"].items():
        if "oneOf" in field:
            for variant in field["oneOf"]:
                yield from _fields(variant, f"{prefix}{name}.")
            continue
        about = field.get("description") or field.get("title") or f"always {field.get('const')}"
        marks = ["required"] if name in schema["required"] else ["optional"]
        marks += ["secret"] if field.get("airbyte_secret") else []
        yield {"name": prefix + name, "about": about, "marks": ", ".join(marks)}


def _example(schema: dict[str, Any]) -> Any:
    """The least that a config needs: the first variant, the required fields."""
    if "oneOf" in schema:
        return _example(schema["oneOf"][0])
    if "properties" in schema:
        return {name: _example(schema["properties"][name]) for name in schema["required"]}
    if "const" in schema:
        return schema["const"]
    samples = {"string": "...", "integer": 1, "number": 1.0, "boolean": True}
    return schema.get("enum", [samples[schema["type"]]])[0]


def _row(one: Chosen, needs: tuple[str, ...]) -> dict[str, str]:
    """``needs``: the fields of the configuration without which it cannot be read."""
    return {
        "name": one.name,
        "request": f"{one.request.method} {one.request.path}",
        "key": _paths(one.primary_key),
        "cursor": ".".join(one.cursor.field) if one.cursor else "",
        "parent": one.parent.stream if one.parent else "",
        "needs": ", ".join(needs),
        "pagination": one.pagination.kind,
    }


def _section(one: Chosen, choices: Choices) -> dict[str, Any]:
    told = {
        "request": code_span(f"{one.request.method} {one.request.path}"),
        "selector": _selector(one.selector),
        "pagination": pagination_in_words(one.pagination),
        "primary_key": code_span(_paths(one.primary_key)) if one.primary_key else "not known",
        "cursor": _cursor(one),
        "parent": _parent(one),
        "json_schema": f"{len(one.json_schema.get('properties') or {})} fields",
    }
    decisions = []
    for field in STREAM_OPTIONS:
        decision = getattr(one.stream, field)
        rank = min(choices.get(option_key(one.name, field), 0), len(decision.options) - 1)
        option = decision.options[rank]
        decisions.append(
            {
                "field": field.replace("_", " "),
                "value": told[field],
                "confidence": f"{option.confidence:.0%}",
                "rank": rank,
                "others": len(decision.options) - 1,
                "evidence": _evidence(option.evidence),
            }
        )
    return {"name": one.name, "title": one.stream.title, "decisions": decisions}


def _evidence(evidence: tuple[Evidence, ...]) -> str:
    shown = [
        code_span(item.pointer) + (f" ({markdown(item.note, 120)})" if item.note else "")
        for item in evidence[:_MAX_EVIDENCE]
    ]
    return "; ".join(shown)


def _paths(paths: tuple[tuple[str, ...], ...]) -> str:
    return ", ".join(".".join(path) for path in paths)


def _selector(selector: Selector) -> str:
    place = code_span(".".join(selector.path)) if selector.path else "the whole answer"
    if selector.field:
        beside = "".join(f", {code_span(name)} beside it" for name in selector.beside)
        return f"list of plain values at {place}, each as {code_span(selector.field)}{beside}"
    if selector.lone:
        return f"list at {place}, or one record alone"
    return {"array": f"list at {place}", "map": f"values of {place}", "single": f"one object: {place}"}[
        selector.shape
    ]


def _cursor(one: Chosen) -> str:
    if one.cursor is None:
        return "none"
    return f"{code_span('.'.join(one.cursor.field))}, asked for with {code_span(one.cursor.filter.param)}"


def _parent(one: Chosen) -> str:
    if one.parent is None:
        return "none"
    fields = ", ".join(f"{item.variable} = {'.'.join(item.field)}" for item in one.parent.bindings)
    return f"one request per record of {code_span(one.parent.stream)} with {code_span(fields)}"


def pagination_in_words(rule: Pagination) -> str:
    """How the pages follow each other."""
    size = getattr(rule, "size", None)
    sized = f", {size.value} records by {code_span(size.param)}" if size else ""
    if isinstance(rule, PageNumberPagination):
        return f"page number {code_span(rule.param)} from {rule.start}{sized}"
    if isinstance(rule, OffsetPagination):
        return f"offset {code_span(rule.param)} from {rule.start}{sized}"
    if isinstance(rule, CursorPagination):
        place = (
            f"header {code_span(rule.header or '')}" if rule.source == "header" else code_span(".".join(rule.path))
        )
        return f"cursor from {place} sent as {code_span(rule.param)}{sized}"
    if isinstance(rule, LastRecordPagination):
        return f"{code_span('.'.join(rule.field))} of the last record sent as {code_span(rule.param)}{sized}"
    if isinstance(rule, NextUrlPagination):
        return f"URL of the next page at {code_span('.'.join(rule.path))}{sized}"
    if isinstance(rule, LinkHeaderPagination):
        return f"Link header with relation {code_span(rule.rel)}{sized}"
    return "none: one answer holds everything"
