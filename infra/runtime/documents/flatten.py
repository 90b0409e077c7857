"""A schema of OpenAPI -> one self-contained JSON Schema (draft 7), of bounded size.

Breadth first, so that when the bound is reached it is the deepest parts that stay open. Each place knows which
references led to it: a reference that comes back is cut there (its type stays).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

from infra.runtime.documents.document import as_dict, as_list

if TYPE_CHECKING:
    from infra.runtime.documents.document import Document

_KEPT: dict[str, type | tuple[type, ...]] = {
    **dict.fromkeys(("title", "description", "format", "pattern"), str),
    **dict.fromkeys(("minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties"), int),
    **dict.fromkeys(("uniqueItems", "readOnly", "writeOnly"), bool),
    "enum": list,
    "multipleOf": (int, float),
    "const": object,
    "default": object,
}
"""Keyword -> what its value must be to be kept: a document may hold anything there."""
_TYPES = frozenset({"string", "number", "integer", "boolean", "array", "object", "null"})
_MAX_MERGES = 200
"""Members of allOf, oneOf and anyOf looked at for one place."""


class _Place(NamedTuple):
    """A sub-schema that waits: its source, where the result goes, and the references that led here."""

    node: Any
    target: dict[str, Any]
    seen: frozenset[str]
    depth: int


class _Flat(NamedTuple):
    """One level of a schema, with references followed and ``allOf`` merged; its children are still raw."""

    keys: dict[str, Any]
    seen: frozenset[str]
    cut: bool


def flatten(document: Document, node: Any, *, max_nodes: int, max_depth: int) -> dict[str, Any]:
    """See `Document.schema`."""
    root: dict[str, Any] = {}
    queue = deque([_Place(node, root, frozenset(), 0)])
    used = 1
    while queue:
        place = queue.popleft()
        flat = _level(document, place.node, place.seen, [_MAX_MERGES])
        place.target.update(_scalars(flat.keys))
        width = len(as_dict(flat.keys.get("properties"))) + 1
        if not flat.cut and place.depth < max_depth and (used + width <= max_nodes or place.depth < 2):
            children = list(_children(flat, place))[:max_nodes]
            used += len(children)
            queue.extend(children)
    return root


def _children(flat: _Flat, place: _Place) -> Iterator[_Place]:
    """Make room for each child in the target and yield what has to go there."""
    depth, seen, target = place.depth + 1, flat.seen, place.target
    properties = as_dict(flat.keys.get("properties"))
    if properties:
        room = target["properties"] = {str(name): {} for name in properties}
        for name, child in properties.items():
            yield _Place(child, room[str(name)], seen, depth)
        required = [
            name for name in as_list(flat.keys.get("required")) if isinstance(name, str) and name in properties
        ]
        if required:
            target["required"] = list(dict.fromkeys(required))
    for key in ("items", "additionalProperties"):
        if isinstance(child := flat.keys.get(key), dict) and (child or key == "items"):
            target[key] = {}
            yield _Place(child, target[key], seen, depth)


def _level(document: Document, node: Any, seen: frozenset[str], budget: list[int]) -> _Flat:
    """Follow ``node``'s references and fold what it is composed of into one level."""
    while isinstance(node, dict) and isinstance(reference := node.get("$ref"), str):
        target = document.target(reference)
        if reference in seen:
            return _Flat(_type_only(document, node), seen, cut=True)
        seen |= {reference}
        siblings = {key: value for key, value in node.items() if key in ("description", "nullable")}
        node = {**target, **siblings} if isinstance(target, dict) and siblings else target
    if not isinstance(node, dict):
        return _Flat({}, seen, cut=False)
    composed = ("allOf", "oneOf", "anyOf", "items") if _lists_alternatives(node) else ("allOf", "oneOf", "anyOf")
    keys = {key: value for key, value in node.items() if key not in composed}
    _normalise(keys)
    for part in _parts(node, "allOf", budget):
        flat = _level(document, part, seen, budget)
        seen |= flat.seen
        keys = _both(keys, flat.keys)
    for choice in ("oneOf", "anyOf", "items"):
        if choice == "items" and not _lists_alternatives(node):
            continue
        options = []
        for part in _parts(node, choice, budget):
            flat = _level(document, part, seen, budget)
            options.append(flat)
        if options:
            seen = seen.union(*(flat.seen for flat in options)) if len(options) == 1 else seen
            keys = _both(keys, _either([flat.keys for flat in options]))
    return _Flat(keys, seen, cut=False)


def _lists_alternatives(node: dict[str, Any]) -> bool:
    """``items`` as a list, without ``type: array``: how documents of Swagger 2.0 write the ``anyOf`` it lacks."""
    return isinstance(node.get("items"), list) and "type" not in node


def _parts(node: dict[str, Any], key: str, budget: list[int]) -> Iterator[dict[str, Any]]:
    for part in as_list(node.get(key)):
        if isinstance(part, dict) and budget[0] > 0:
            budget[0] -= 1
            yield part


def _normalise(keys: dict[str, Any]) -> None:
    """Bring the dialects together: types as a list, 3.0's ``nullable`` and boolean exclusive bounds, 3.1's
    ``const``, ``prefixItems`` and ``examples``."""
    declared = keys.get("type")
    types = [declared] if isinstance(declared, str) else as_list(declared)
    known = [kind for kind in types if isinstance(kind, str) and kind in _TYPES]
    if not known:
        known = _implied_types(keys)
    if (keys.get("nullable") is True or None in as_list(keys.get("enum"))) and known and "null" not in known:
        known = [*known, "null"]
    keys["type"] = known
    if "prefixItems" in keys and "items" not in keys:
        keys["items"] = {"anyOf": as_list(keys["prefixItems"])}
    if isinstance(keys.get("items"), list):
        keys["items"] = {"anyOf": keys["items"]}
    if "example" in keys:
        keys["examples"] = [keys["example"]]
    elif isinstance(examples := keys.get("examples"), dict):
        keys["examples"] = list(examples.values())
    for bound, exclusive in (("minimum", "exclusiveMinimum"), ("maximum", "exclusiveMaximum")):
        if isinstance(flag := keys.get(exclusive), bool):
            keys.pop(exclusive)
            if flag and bound in keys:
                keys[exclusive] = keys.pop(bound)


def _implied_types(keys: dict[str, Any]) -> list[str]:
    if isinstance(keys.get("properties"), dict) or isinstance(keys.get("additionalProperties"), dict):
        return ["object"]
    if "items" in keys or "prefixItems" in keys:
        return ["array"]
    values = [*as_list(keys.get("enum")), *([keys["const"]] if "const" in keys else [])]
    return ["string"] if values and all(isinstance(value, str) for value in values) else []


def _both(one: dict[str, Any], two: dict[str, Any]) -> dict[str, Any]:
    """allOf: everything that either says; where both say something about a property, both hold."""
    merged = {**two, **one}
    merged["type"] = _common_types(one.get("type") or [], two.get("type") or [])
    for key, how in (("properties", "allOf"), ("items", "allOf"), ("additionalProperties", "allOf")):
        if isinstance(one.get(key), dict) and isinstance(two.get(key), dict):
            merged[key] = _joined(one[key], two[key], how) if key == "properties" else {how: [one[key], two[key]]}
    required = [*as_list(one.get("required")), *as_list(two.get("required"))]
    if required:
        merged["required"] = required
    return merged


def _common_types(one: list[str], two: list[str]) -> list[str]:
    common = [kind for kind in one if kind in two]
    return common or one or two


def _either(options: list[dict[str, Any]]) -> dict[str, Any]:
    """oneOf, anyOf: what any of the options allows, as one open description."""
    real = [option for option in options if option.get("type") != ["null"]]
    nullable = len(real) < len(options) or any("null" in option.get("type", []) for option in real)
    if not real:
        return {"type": ["null"]} if options else {}
    merged = dict(real[0]) if len(real) == 1 else _union(real)
    kinds = list(dict.fromkeys(kind for option in real for kind in option.get("type", [])))
    if all(option.get("type") for option in real):
        merged["type"] = [*kinds, "null"] if nullable and "null" not in kinds else kinds
    else:
        merged["type"] = []
    return merged


def _union(options: list[dict[str, Any]]) -> dict[str, Any]:
    merged: dict[str, Any] = {}
    properties: dict[str, Any] = {}
    for option in options:
        properties = _joined(properties, as_dict(option.get("properties")), "anyOf")
    if properties:
        merged["properties"] = properties
    objects = [option for option in options if "properties" in option]
    if objects and len(objects) == len(options):
        first, *others = (as_list(option.get("required")) for option in objects)
        merged["required"] = [name for name in first if all(name in other for other in others)]
    for key in ("items", "additionalProperties"):
        found = [option[key] for option in options if isinstance(option.get(key), dict)]
        if found:
            merged[key] = found[0] if len(found) == 1 else {"anyOf": found}
    if all(isinstance(option.get("enum"), list) for option in options):
        merged["enum"] = [value for option in options for value in option["enum"]]
    formats = {option.get("format") for option in options}
    if len(formats) == 1 and None not in formats:
        merged["format"] = formats.pop()
    return merged


def _joined(one: dict[str, Any], two: dict[str, Any], how: str) -> dict[str, Any]:
    joined = dict(one)
    for name, schema in two.items():
        if name not in joined or joined[name] == schema:
            joined[name] = schema
        elif how in as_dict(joined[name]) and len(joined[name]) == 1:
            joined[name] = {how: [*joined[name][how], schema]}
        else:
            joined[name] = {how: [joined[name], schema]}
    return joined


def _scalars(keys: dict[str, Any]) -> dict[str, Any]:
    """What is said about the value itself, without its children."""
    out = {key: keys[key] for key, kind in _KEPT.items() if key in keys and isinstance(keys[key], kind)}
    types = keys.get("type") or []
    if types:
        out = {"type": types[0] if len(types) == 1 else types, **out}
    if "enum" in out and "null" in types and isinstance(out["enum"], list) and None not in out["enum"]:
        out["enum"] = [*out["enum"], None]
    for key in ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"):
        if isinstance(keys.get(key), (int, float)) and not isinstance(keys[key], bool):
            out[key] = keys[key]
    if isinstance(keys.get("examples"), list):
        out["examples"] = keys["examples"][:3]
    return out


def _type_only(document: Document, node: dict[str, Any]) -> dict[str, Any]:
    """The types of ``node``, a list as everywhere in a level, if it says any; for a place that is not opened."""
    found = document.resolve(node)
    keys = {
        key: value for key, value in as_dict(found).items() if key in ("type", "nullable", "properties", "items")
    }
    _normalise(keys)
    return {"type": keys["type"]} if keys["type"] else {}
