"""Swagger 2.0 -> the shape of OpenAPI 3.0 (https://swagger.io/specification/v2/), so that the rest of the house
knows one shape. Pure; the input is not changed. Pointers to paths and operations stay what they were."""

from __future__ import annotations

from typing import Any

_METHODS = frozenset({"get", "put", "post", "delete", "options", "head", "patch"})
_MOVED = (
    ("#/definitions/", "#/components/schemas/"),
    ("#/parameters/", "#/components/parameters/"),
    ("#/responses/", "#/components/responses/"),
    ("#/securityDefinitions/", "#/components/securitySchemes/"),
)
_SCHEMA_KEYS = frozenset(
    [
        *("type", "format", "items", "default", "enum", "pattern", "multipleOf", "uniqueItems"),
        *("maximum", "exclusiveMaximum", "minimum", "exclusiveMinimum"),
        *("maxLength", "minLength", "maxItems", "minItems", "x-nullable", "x-example"),
    ]
)
_STYLES: dict[str, dict[str, Any]] = {
    "multi": {"explode": True},
    "csv": {"explode": False},
    "ssv": {"style": "spaceDelimited", "explode": False},
    "pipes": {"style": "pipeDelimited", "explode": False},
}
_FLOWS = {
    "implicit": "implicit",
    "password": "password",
    "application": "clientCredentials",
    "accessCode": "authorizationCode",
}
_FORM = "application/x-www-form-urlencoded"


def upgraded(raw: dict[str, Any]) -> dict[str, Any]:
    """The document as OpenAPI 3.0.3; extensions (``x-...``) and unknown members are kept."""
    consumes, produces = _types(raw.get("consumes")), _types(raw.get("produces"))
    shared = {name: item for name, item in _dict(raw.get("parameters")).items() if isinstance(item, dict)}
    upgrade = _Upgrade(shared, consumes, produces)
    kept = {
        key: value
        for key, value in raw.items()
        if key in ("info", "tags", "externalDocs", "security") or key[:2] == "x-"
    }
    components = {
        "schemas": {name: _rewritten(schema) for name, schema in _dict(raw.get("definitions")).items()},
        "parameters": {name: upgrade.parameter(item) for name, item in shared.items() if not _is_body(item)},
        "requestBodies": {name: upgrade.body([item], consumes) for name, item in shared.items() if _is_body(item)},
        "responses": {name: upgrade.response(item, produces) for name, item in _dict(raw.get("responses")).items()},
        "securitySchemes": {
            name: _security_scheme(item) for name, item in _dict(raw.get("securityDefinitions")).items()
        },
    }
    paths = {path: upgrade.path_item(item) for path, item in _dict(raw.get("paths")).items()}
    return {
        "openapi": "3.0.3",
        **kept,
        "servers": _servers(raw),
        "paths": paths,
        "components": {name: members for name, members in components.items() if members},
    }


class _Upgrade:
    """What an operation inherits from the document while it is rewritten."""

    def __init__(self, shared: dict[str, dict[str, Any]], consumes: list[str], produces: list[str]) -> None:
        self._shared = shared
        self._consumes = consumes
        self._produces = produces

    def path_item(self, item: Any) -> Any:
        if not isinstance(item, dict):
            return item
        common = _list(item.get("parameters"))
        out: dict[str, Any] = {}
        for key, value in item.items():
            if key.lower() in _METHODS and isinstance(value, dict):
                out[key] = self._operation(value, common)
            elif key != "parameters":
                out[key] = _rewritten(value)
        plain = [self.parameter(entry) for entry in common if not _is_body(self._looked_up(entry))]
        return {**out, "parameters": plain} if plain else out

    def _operation(self, operation: dict[str, Any], common: list[Any]) -> dict[str, Any]:
        consumes = _types(operation.get("consumes")) or self._consumes
        produces = _types(operation.get("produces")) or self._produces
        own = _list(operation.get("parameters"))
        out = {
            key: value
            for key, value in operation.items()
            if key not in ("parameters", "responses", "consumes", "produces", "schemes")
        }
        out["parameters"] = [self.parameter(entry) for entry in own if not _is_body(self._looked_up(entry))]
        bodies = self._bodies(own)
        inherited = self._bodies(common)
        if not bodies or bodies[0].get("in") == "formData":
            bodies = [entry for entry in inherited if not bodies or entry.get("in") == "formData"] + bodies
        if bodies:
            out["requestBody"] = self.body(bodies, consumes)
        responses = _dict(operation.get("responses"))
        out["responses"] = {status: self.response(item, produces) for status, item in responses.items()}
        return out

    def _bodies(self, entries: list[Any]) -> list[dict[str, Any]]:
        return [found for entry in entries if _is_body(found := self._looked_up(entry))]

    def _looked_up(self, entry: Any) -> dict[str, Any]:
        if not isinstance(entry, dict):
            return {}
        reference = entry.get("$ref")
        if isinstance(reference, str) and reference.startswith("#/parameters/"):
            return self._shared.get(
                reference.removeprefix("#/parameters/").replace("~1", "/").replace("~0", "~"), {}
            )
        return entry

    def parameter(self, entry: Any) -> Any:
        if not isinstance(entry, dict) or "$ref" in entry:
            return _rewritten(entry)
        out = {
            key: value
            for key, value in entry.items()
            if key not in _SCHEMA_KEYS and key not in ("collectionFormat", "schema")
        }
        out["schema"] = _rewritten(entry["schema"]) if isinstance(entry.get("schema"), dict) else _schema_of(entry)
        if entry.get("type") == "array":
            out.update(_STYLES.get(str(entry.get("collectionFormat", "csv")), {}))
        return out

    def body(self, entries: list[dict[str, Any]], consumes: list[str]) -> dict[str, Any]:
        whole = next((entry for entry in entries if entry.get("in") == "body"), None)
        if whole is not None:
            media: dict[str, Any] = {"schema": _rewritten(whole.get("schema", {}))}
            body: dict[str, Any] = {"content": dict.fromkeys(consumes or ["application/json"], media)}
            return {**body, **{key: whole[key] for key in ("description", "required") if key in whole}}
        form = {
            "type": "object",
            "properties": {
                str(entry.get("name", "")): {**_schema_of(entry), **_described(entry)} for entry in entries
            },
            "required": [entry["name"] for entry in entries if entry.get("required") and "name" in entry],
        }
        has_file = any(entry.get("type") == "file" for entry in entries)
        kinds = [kind for kind in consumes if "form" in kind] or (["multipart/form-data"] if has_file else [_FORM])
        return {"content": {kind: {"schema": form} for kind in kinds}}

    def response(self, item: Any, produces: list[str]) -> Any:
        if not isinstance(item, dict) or "$ref" in item:
            return _rewritten(item)
        out = {key: value for key, value in item.items() if key not in ("schema", "examples", "headers")}
        headers = {name: self.parameter(header) for name, header in _dict(item.get("headers")).items()}
        if headers:
            out["headers"] = headers
        examples = _dict(item.get("examples"))
        if isinstance(item.get("schema"), dict) or examples:
            kinds = list(dict.fromkeys([*(produces or ["application/json"]), *(k for k in examples if "/" in k)]))
            out["content"] = {kind: self._media(item, examples.get(kind)) for kind in kinds}
        return out

    @staticmethod
    def _media(item: dict[str, Any], example: Any) -> dict[str, Any]:
        media: dict[str, Any] = {}
        if isinstance(item.get("schema"), dict):
            media["schema"] = _rewritten(item["schema"])
        if example is not None:
            media["example"] = example
        return media


def _servers(raw: dict[str, Any]) -> list[dict[str, Any]]:
    host, base = raw.get("host"), str(raw.get("basePath") or "").rstrip("/")
    if not isinstance(host, str) or not host:
        return [{"url": base}] if base else []
    schemes = _types(raw.get("schemes")) or ["https"]
    ordered = sorted((scheme for scheme in schemes if scheme in ("http", "https")), key="https".__ne__)
    return [{"url": f"{scheme}://{host}{base}"} for scheme in ordered or ["https"]]


def _security_scheme(item: Any) -> Any:
    if not isinstance(item, dict):
        return item
    kind = item.get("type")
    if kind == "basic":
        return {**item, "type": "http", "scheme": "basic"}
    if kind != "oauth2":
        return item
    flow = {key: item[key] for key in ("authorizationUrl", "tokenUrl") if key in item}
    rest = {key: value for key, value in item.items() if key not in (*flow, "flow", "scopes")}
    name = _FLOWS.get(str(item.get("flow")), "implicit")
    return {**rest, "flows": {name: {**flow, "scopes": _dict(item.get("scopes"))}}}


def _schema_of(entry: dict[str, Any]) -> dict[str, Any]:
    schema = {key: _rewritten(value) for key, value in entry.items() if key in _SCHEMA_KEYS}
    if schema.get("type") == "file":
        return {**schema, "type": "string", "format": "binary"}
    return schema


def _described(entry: dict[str, Any]) -> dict[str, Any]:
    return {key: entry[key] for key in ("description",) if key in entry}


def _rewritten(node: Any) -> Any:
    """A copy in which references point to where 3.0 keeps things, and ``x-nullable`` is ``nullable``. The depth of
    the recursion is bounded by the parser."""
    if isinstance(node, list):
        return [_rewritten(item) for item in node]
    if not isinstance(node, dict):
        return node
    out = {key: _rewritten(value) for key, value in node.items()}
    if isinstance(reference := out.get("$ref"), str):
        out["$ref"] = next(
            (new + reference[len(old) :] for old, new in _MOVED if reference.startswith(old)), reference
        )
    if node.get("x-nullable") is True:
        out["nullable"] = True
    if node.get("type") == "file":
        out.update(type="string", format="binary")
    return out


def _is_body(entry: dict[str, Any]) -> bool:
    return entry.get("in") in ("body", "formData")


def _types(value: Any) -> list[str]:
    return [item for item in value if isinstance(item, str)] if isinstance(value, list) else []


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
