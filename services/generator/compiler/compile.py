"""`compile_connector`: plan, render, format."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable
from typing import Any

from contracts.artifacts import Tree
from contracts.blueprint import ApiBlueprint, Choices
from contracts.errors import Permanent
from services.generator.compiler import papers
from services.generator.compiler.credentials import Method, all_fields, needs, plan_methods
from services.generator.compiler.feasible import left_out, named_variables, taken
from services.generator.compiler.opened import openings
from services.generator.compiler.parameters import Setting, in_all, plan_settings, uses_type
from services.generator.compiler.render import render
from services.generator.compiler.schemas import catalog_schema
from services.generator.compiler.specification import Start, specification
from services.generator.compiler.streams import CLASSES, Chosen, choose, declare
from services.generator.compiler.text import json_text, literal

VERSION = "0.1.0"
"""The publisher stamps the real one."""

_NAMESPACE = uuid.UUID("0f3a8f1c-6c6c-4f0e-8a51-5b8f2f1f4d0a")

_MODULES = (
    *("__init__", "__main__", "budget", "client", "completeness", "config", "connector", "loop", "pages"),
    *(
        "pagination",
        "problems",
        "protocol",
        "reader",
        "refusal",
        "sequence",
        "state",
        "streams",
        "sync",
        "transport",
        "utils",
    ),
)
_PARTS = {"has_cursor": "incremental", "has_issued": "tokens", "has_parent": "parents"}
"""What the context says of an API -> the module that it needs besides."""

_PAPERS = (
    *("pyproject.toml", "requirements.txt", "metadata.yaml", "acceptance-test-config.yml"),
    *("README.md", "IMPLEMENTATION.md"),
)


def compile_connector(blueprint: ApiBlueprint, choices: Choices, degraded: frozenset[str]) -> Tree:
    """The package ``source-NAME`` without tests. ``degraded`` streams are left out and named in its papers.

    Raises:
        Permanent: no stream can be built.
    """
    impossible = left_out(blueprint, choices, degraded)
    absent = degraded | frozenset(impossible)
    chosen = choose(blueprint, choices, absent)
    if not chosen:
        reasons = "; ".join(f"{name}: {reason}" for name, reason in list(impossible.items())[:5])
        raise Permanent(f"no stream of {blueprint.name} can be built{f' ({reasons})' if reasons else ''}")
    context = _context(blueprint, choices, chosen)
    package = f"src/{context['package']}"
    parts = (module for part, module in _PARTS.items() if context[part])
    modules = (*_MODULES, "auth" if context["methods"] else "no_auth", *parts)
    templates = {f"{package}/{_file(module)}.py": f"{module}.py.j2" for module in modules}
    papers_of = papers.context(blueprint, choices, chosen, context, degraded, impossible)
    templates |= {paper: f"{paper}.j2" for paper in _PAPERS}
    tree = render(templates, {**context, **papers_of})
    tree[f"{package}/py.typed"] = b""
    tree[f"{package}/spec.json"] = f"{json_text(context['specification'], indent=2)}\n".encode()
    for declaration, one in zip(context["streams"], chosen, strict=True):
        schema = json_text(catalog_schema(one.json_schema), indent=2)
        tree[f"{package}/schemas/{declaration.schema_file}.json"] = f"{schema}\n".encode()
    return dict(sorted(tree.items()))


def _file(module: str) -> str:
    return "auth" if module == "no_auth" else module


def _context(blueprint: ApiBlueprint, choices: Choices, chosen: tuple[Chosen, ...]) -> dict[str, Any]:
    """What the templates see: facts about this API, and the parts of code that hang on them."""
    base = taken(blueprint.base_url, "base_url", choices)
    base_url = base.template.rstrip("/") if base else None
    names = {one.name for one in chosen}
    used = (item for item in blueprint.parameters if not item.streams or names & set(item.streams))
    opened = openings(used, chosen)
    settings = plan_settings(opened.parameters, opened.told)
    server = tuple(setting for setting in settings if setting.parameter.location == "server")
    methods = plan_methods(
        taken(blueprint.auth, "auth", choices), frozenset(item.parameter.target for item in server)
    )
    has_cursor = any(one.cursor for one in chosen)
    required = any(one.cursor.filter.required for one in chosen if one.cursor)
    start: Start | None = "required" if required else "optional" if has_cursor else None
    limit = taken(blueprint.rate_limit, "rate_limit", choices)
    return {
        "connector": f"source-{blueprint.name}",
        "package": blueprint.package,
        "definition_id": str(uuid.uuid5(_NAMESPACE, blueprint.name)),
        "title": blueprint.title or blueprint.name,
        "version": VERSION,
        "base_url": base_url,
        "methods": methods,
        "parameters": [setting.field for setting in settings],
        "streams": declare(chosen, settings, opened.needs),
        "rate_limit": limit,
        "specification": specification(blueprint, methods, settings, base_url=base_url, start=start),
        "start_required": start == "required",
        **_places(settings, server, chosen),
        "openers": _display(
            (item for item in settings if item.parameter in opened.opened), lambda item: item.field.name
        ),
        **_features(methods, settings, chosen, has_cursor=has_cursor),
    }


def _places(
    settings: tuple[Setting, ...], server: tuple[Setting, ...], chosen: tuple[Chosen, ...]
) -> dict[str, Any]:
    """Per place in a request: the dict display of what the configuration puts there."""
    requests = {one.name: one.request for one in chosen}
    in_query, in_header = (in_all(settings, place, requests) for place in ("query", "header"))
    elsewhere = {id(item) for item in (*in_query, *in_header, *server)}
    named = {name for request in requests.values() for name in named_variables(request)}
    in_requests = [item for item in settings if id(item) not in elsewhere or item.parameter.target in named]
    return {
        "in_server": _display(server, _target),
        "in_query": _display(in_query, _target),
        "in_header": _display(in_header, _target),
        "in_requests": _display(in_requests, lambda item: item.variable),
        "has_variables": bool(in_requests),
    }


def _target(setting: Setting) -> str:
    return setting.parameter.target


def _display(settings: Iterable[Setting], key: Callable[[Setting], str]) -> str:
    """A dict display; empty if there is nothing to show."""
    items = [f"{literal(key(item))}: self.{item.field.attribute}" for item in settings]
    return "{" + ", ".join(items) + "}" if items else ""


def _features(
    methods: tuple[Method, ...], settings: tuple[Setting, ...], chosen: tuple[Chosen, ...], *, has_cursor: bool
) -> dict[str, Any]:
    """Which parts of the code this API needs."""
    kinds = {one.pagination.kind for one in chosen}
    filters = {one.cursor.filter.location for one in chosen if one.cursor}
    bodies = (getattr(one.pagination, "location", "query") == "body" for one in chosen)
    fields = (*all_fields(methods), *(setting.field for setting in settings))
    secrets = any(field.schema.get("airbyte_secret") for field in fields)
    return {
        "paginations": kinds,
        "positional": bool(kinds & {"page", "offset"}),
        "doubtful": bool(kinds & {"none", "page", "offset"}),
        "pagination_classes": sorted(CLASSES[kind] for kind in kinds),
        "has_cursor": has_cursor,
        "has_parent": any(one.parent for one in chosen),
        "has_plain": any(one.selector.field for one in chosen),
        "has_beside": any(one.selector.beside for one in chosen),
        "has_lone": any(one.selector.lone for one in chosen),
        "has_secrets": secrets or bool(methods),
        "has_text": uses_type(fields, "Text"),
        "has_time": uses_type(fields, "IsoTime"),
        "until_now": any(setting.parameter.until_now for setting in settings),
        **needs(methods),
        "uses_body": any(bodies) or "body" in filters,
        "cursor_in_body": "body" in filters,
        "cursor_in_header": "header" in filters,
        "state_keys": ("next", "cursor", "latest", "until") if has_cursor else ("next",),
    }
