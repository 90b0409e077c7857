"""JSON Schema -> a value that is valid against it. Pure, deterministic in the `Random` that is passed in."""

from __future__ import annotations

import math
from random import Random
from typing import Any

from contracts.blueprint import JsonPath

MAX_DEPTH = 12
_PRESENT = (0.9, 0.9, 0.6, 0.3)
"""How often an optional member is there, by depth (the last: further down). Large documents nest whole records in
records; with all of it in each, reading a few hundred would take megabytes and tell nothing more."""
_WORDS = (
    "amber", "birch", "cedar", "delta", "ember", "fjord", "grove", "heron", "iris", "juniper", "kestrel", "linden",
    "maple", "north", "ocean", "prairie", "quartz", "river", "sierra", "tundra", "umber", "violet", "willow",
)  # fmt: skip


def at_path(value: Any, path: JsonPath) -> Any:
    """The member at ``path``, ``None`` where there is none."""
    for key in path:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def schema_at(schema: dict[str, Any], path: JsonPath) -> dict[str, Any]:
    """The schema of the member at ``path``; empty (anything goes) where the schema says nothing."""
    for key in path:
        branches = (schema, *schema.get("anyOf", ()))
        found = (branch["properties"][key] for branch in branches if key in branch.get("properties", ()))
        schema = next(found, {})
    return schema


def types_of(schema: dict[str, Any]) -> tuple[str, ...]:
    """The JSON types that ``schema`` allows, inferred from its other keywords where ``type`` is missing."""
    declared = schema.get("type")
    if isinstance(declared, list):
        return tuple(declared)
    if declared:
        return (declared,)
    if "properties" in schema or "additionalProperties" in schema:
        return ("object",)
    if "items" in schema:
        return ("array",)
    if "minimum" in schema or "maximum" in schema or "multipleOf" in schema:
        return ("number",)
    return ("string",)


def value_of(schema: dict[str, Any], rng: Random, depth: int = 0) -> Any:
    """A value for ``schema``. Nullable members are sometimes null, optional ones sometimes left out, arrays hold
    at most 2 items (1 further down, or ``minItems``). Beyond `MAX_DEPTH` levels only what is required is made.
    Where nothing is described there is null, which fits whatever others read."""
    if not schema:
        return None
    if "const" in schema:
        return schema["const"]
    if schema.get("enum"):
        options = [option for option in schema["enum"] if option is not None] or [None]
        return rng.choice(options)
    if schema.get("anyOf"):
        return value_of(_branch(schema, rng), rng, depth)
    types = types_of(schema)
    concrete = [name for name in types if name != "null"]
    if not concrete or ("null" in types and rng.random() < 0.15):
        return None
    example = _example(schema, concrete, rng)
    return example if example is not None else _typed(concrete[0], schema, rng, depth)


def _branch(schema: dict[str, Any], rng: Random) -> dict[str, Any]:
    """One alternative of ``anyOf``, together with what stands beside it."""
    chosen = rng.choice(schema["anyOf"])
    beside = {key: value for key, value in schema.items() if key != "anyOf"}
    properties = {**beside.get("properties", {}), **chosen.get("properties", {})}
    merged = {**beside, **chosen}
    if properties:
        merged["properties"] = properties
    required = [*beside.get("required", ()), *chosen.get("required", ())]
    return {**merged, "required": required} if required else merged


def _example(schema: dict[str, Any], types: list[str], rng: Random) -> Any:
    """One of the schema's examples, now and then, if it is a plain scalar that breaks no rule."""
    if types[0] != "string" or "format" in schema or rng.random() < 0.5:
        return None
    low, high = schema.get("minLength", 0), schema.get("maxLength", math.inf)
    fitting = [e for e in schema.get("examples", ()) if isinstance(e, str) and low <= len(e) <= high]
    return rng.choice(fitting) if fitting else None


def _typed(kind: str, schema: dict[str, Any], rng: Random, depth: int) -> Any:
    if kind == "object":
        return _object(schema, rng, depth)
    if kind == "array":
        return _array(schema, rng, depth)
    if kind == "string":
        return _string(schema, rng)
    if kind == "boolean":
        return rng.random() < 0.5
    return _number(kind, schema, rng)


def _object(schema: dict[str, Any], rng: Random, depth: int) -> dict[str, Any]:
    required = set(schema.get("required", ()))
    properties: dict[str, Any] = schema.get("properties", {})
    present = _PRESENT[min(depth, len(_PRESENT) - 1)] if depth < MAX_DEPTH else 0.0
    made: dict[str, Any] = {}
    for name, member in properties.items():
        if name in required or rng.random() < present:
            made[name] = value_of(member, rng, depth + 1)
    extra = schema.get("additionalProperties")
    wanted = max(schema.get("minProperties", 0), 1 if isinstance(extra, dict) and not properties else 0)
    free = extra if isinstance(extra, dict) else {"type": "string"}
    for name in (*sorted(required - made.keys()), *_WORDS):
        if name not in required and len(made) >= wanted:
            break
        made.setdefault(name, value_of(free, rng, depth + 1))
    return made


def _array(schema: dict[str, Any], rng: Random, depth: int) -> list[Any]:
    items = schema.get("items") or None  # not described: without any, the array fits whatever others read there
    low, high = schema.get("minItems", 0), schema.get("maxItems", math.inf)
    most = 0 if items is None else 2 if depth < 3 else 1 if depth < MAX_DEPTH else 0
    length = int(min(max(low, rng.randint(0, most)), high))
    items = items if isinstance(items, dict) else {"type": "string"}
    made: list[Any] = []
    for _ in range(length * 4):
        if len(made) == length:
            break
        item = value_of(items, rng, depth + 1)
        if not schema.get("uniqueItems") or item not in made:
            made.append(item)
    return made


def _number(kind: str, schema: dict[str, Any], rng: Random) -> int | float:
    """A number in the bounds: small and plain where there are none."""
    step = schema.get("multipleOf")
    low, high = schema.get("minimum", -math.inf), schema.get("maximum", math.inf)
    low = max(low, schema.get("exclusiveMinimum", -math.inf))
    high = min(high, schema.get("exclusiveMaximum", math.inf))
    if low == -math.inf:
        low = 0 if high > 0 else high - 1000
    high = min(high, low + 1000)
    if kind == "integer" or step:
        unit = step or 1
        first = math.ceil(low / unit) + (low == schema.get("exclusiveMinimum") and low % unit == 0)
        last = math.floor(high / unit) - (high == schema.get("exclusiveMaximum") and high % unit == 0)
        chosen = rng.randint(first, max(first, last)) * unit
        return int(chosen) if kind == "integer" else float(chosen)
    middle = float(low + (high - low) * (0.25 + rng.random() / 2))
    rounded = round(middle, 2)
    return rounded if low < rounded < high else middle


def _string(schema: dict[str, Any], rng: Random) -> str:
    text = _formatted(schema.get("format", ""), rng)
    if text is not None:
        return text
    low, high = schema.get("minLength", 0), schema.get("maxLength", math.inf)
    text = f"{rng.choice(_WORDS)} {rng.choice(_WORDS)}"
    while len(text) < low:
        text = f"{text} {rng.choice(_WORDS)}"[: max(low, len(text) + 1)]
    return text[: int(high)] if high < len(text) else text


def _formatted(kind: str, rng: Random) -> str | None:
    number = rng.randint(1, 9999)
    day = f"2020-{rng.randint(1, 12):02}-{rng.randint(1, 28):02}"
    known = {
        "date-time": f"{day}T{rng.randint(0, 23):02}:{rng.randint(0, 59):02}:00Z",
        "date": day,
        "time": f"{rng.randint(0, 23):02}:30:00Z",
        "duration": f"PT{number}S",
        "email": f"user{number}@example.com",
        "uri": f"https://example.com/{number}",
        "url": f"https://example.com/{number}",
        "uri-reference": f"/{number}",
        "hostname": f"host{number}.example.com",
        "ipv4": f"192.0.2.{number % 255}",
        "ipv6": f"2001:db8::{number:x}",
        "uuid": f"{rng.getrandbits(32):08x}-0000-4000-8000-{rng.getrandbits(48):012x}",
        "byte": "ZXhhbXBsZQ==",
    }
    return known.get(kind)
