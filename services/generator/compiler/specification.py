"""``spec.json``: the configuration as Airbyte's user interface wants it described. Pure."""

from __future__ import annotations

from typing import Any, Literal
from urllib.parse import urlsplit

from contracts.blueprint import ApiBlueprint
from services.generator.compiler.credentials import Method
from services.generator.compiler.parameters import Setting
from services.generator.compiler.text import prose

Start = Literal["required", "optional"]

_START_DATE = {
    "type": "string",
    "format": "date-time",
    "title": "Start date",
    "description": "Only records that changed since then are read.",
    "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z$",
    "examples": ["2024-01-01T00:00:00Z"],
}

_LOOKBACK = {
    "type": "integer",
    "title": "Lookback in days",
    "description": "So many days are read again each time, for records that the API shows late.",
    "default": 0,
    "minimum": 0,
    "maximum": 3650,
}


def specification(
    blueprint: ApiBlueprint,
    methods: tuple[Method, ...],
    settings: tuple[Setting, ...],
    *,
    base_url: str | None,
    start: Start | None,
) -> dict[str, Any]:
    """The message's content: no ``$ref``, variants as ``oneOf`` with a constant, fields in order.

    ``start``: what the start date is; ``None`` where there is none.
    """
    properties: dict[str, Any] = {}
    required: list[str] = []
    if methods:
        properties["credentials"] = _credentials(methods)
        required.append("credentials")
    for setting in settings:
        properties[setting.field.name] = dict(setting.field.schema)
        if setting.field.required:
            required.append(setting.field.name)
    if start is not None:
        empty = " Everything, if it is empty." if start == "optional" else ""
        properties["start_date"] = _START_DATE | {"description": f"{_START_DATE['description']}{empty}"}
        properties["lookback_days"] = dict(_LOOKBACK)
        required += ["start_date"] if start == "required" else []
    properties["base_url"] = _base_url(base_url)
    if base_url is None:
        required.append("base_url")
    for order, schema in enumerate(properties.values()):
        schema["order"] = order
    schema = {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": f"{prose(blueprint.title, 80) or blueprint.name} source",
        "type": "object",
        "required": required,
        "additionalProperties": True,
        "properties": properties,
    }
    where = _documentation(blueprint.document_url)
    return {**({"documentationUrl": where} if where else {}), "connectionSpecification": schema}


def _credentials(methods: tuple[Method, ...]) -> dict[str, Any]:
    return {"type": "object", "title": "Authentication", "oneOf": [_variant(method) for method in methods]}


def _variant(method: Method) -> dict[str, Any]:
    properties: dict[str, Any] = {"auth_type": {"type": "string", "const": method.name, "order": 0}}
    for order, field in enumerate(method.fields, 1):
        properties[field.name] = {**field.schema, "order": order}
    required = ["auth_type", *(field.name for field in method.fields if field.required)]
    about = {"title": method.title, **({"description": method.description} if method.description else {})}
    return {"type": "object", **about, "required": required, "properties": properties}


def _base_url(known: str | None) -> dict[str, Any]:
    usual = f" Instead of {prose(known)}." if known else ""
    return {"type": "string", "title": "Base URL", "description": f"Where the API is.{usual}"}


def _documentation(url: str | None) -> str | None:
    if not url or not url.isprintable() or not url.isascii():
        return None
    try:
        return url if urlsplit(url).scheme in {"http", "https"} and urlsplit(url).hostname else None
    except ValueError:
        return None
