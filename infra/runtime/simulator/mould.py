"""Records by the million, cheaply: a few whole variants of a record, with holes for what differs in each.

A record is a function of (seed, endpoint, partition, index) alone, so nothing is kept. Its *number*
(``partition number * STRIDE + index``) is unique in the endpoint, and every unique value is made from it.
"""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from functools import lru_cache, partial
from random import Random
from typing import Any

from contracts.blueprint import JsonPath, TimeFormat
from contracts.simulation import Endpoint, TimeField
from infra.runtime.simulator.values import schema_at, types_of, value_of

STRIDE = 100_003
_LARGEST = 2**53
"""Numbers wrap here: JSON readers that use doubles keep integers below it exact (RFC 8259, section 6)."""
_VARIANTS = 8
_START = datetime(2021, 1, 1, tzinfo=UTC)
_STEP_S = 600
_MARK = re.compile('"\ue000([0-9]{1,6})\ue000"')
_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_PREFIX = re.compile(r"([A-Za-z]{1,8}[_-])[A-Za-z0-9]{4,}")

Hole = Callable[[int, int], bytes]
"""(number, index) -> JSON text."""


def number_of(partition: int, index: int) -> int:
    return (partition * STRIDE + index) % _LARGEST


def index_of(partition: int, number: int) -> int:
    """The index that `number_of` started from."""
    return (number - number_of(partition, 0)) % _LARGEST


def time_at(index: int, ordinal: int = 0) -> datetime:
    """The time of the ``index``-th record: never falls, and two of three neighbours are equal."""
    return _at_step(2 * index // 3, ordinal)


def _at_step(step: int, ordinal: int) -> datetime:
    return _START + timedelta(seconds=_STEP_S * step + ordinal)


def time_text(moment: datetime, form: TimeFormat) -> str:
    if form == "date-time":
        return moment.isoformat()[:19] + "Z"
    if form == "date":
        return moment.isoformat()[:10]
    if form == "rfc2822":
        return format_datetime(moment)
    seconds = int(moment.timestamp())
    return f"/Date({seconds}000+0000)/" if form == "ms_date" else str(seconds * (1000 if form == "epoch_ms" else 1))


@dataclass(frozen=True)
class _Variant:
    template: bytes
    holes: tuple[int, ...]


class Mould:
    """The compiled records of one endpoint."""

    def __init__(self, endpoint: Endpoint, seed: int) -> None:
        self._endpoint = endpoint
        self._refs = {b.record_field: b.variable for b in endpoint.bindings if b.record_field}
        holes = {**self._time_holes(), **self._identity_holes()}
        paths = [path for path in (*holes, *self._refs) if path]
        self._paths = [path for path in paths if not any(p != path and p[: len(path)] == path for p in paths)]
        self._holes = holes
        self._variants = tuple(self._variant(seed, n) for n in range(_VARIANTS))

    def _identity_holes(self) -> dict[JsonPath, Hole]:
        records = self._endpoint.records
        return {
            path: _identity(self._endpoint.key, path, schema_at(records.json_schema, path))
            for path in records.identity
            if path not in self._refs
        }

    def _time_holes(self) -> dict[JsonPath, Hole]:
        records = self._endpoint.records
        return {
            time.path: _time(time, ordinal, "string" in types_of(schema_at(records.json_schema, time.path)))
            for ordinal, time in enumerate(records.times)
            if time.path not in self._refs
        }

    def _variant(self, seed: int, n: int) -> _Variant:
        rng = Random(f"{seed}/{self._endpoint.key}/{n}")  # noqa: S311 - reproducible data, no secret
        schema = self._endpoint.records.json_schema
        made = value_of(schema, rng)
        record = made if isinstance(made, dict) else {}
        for k, path in enumerate(self._paths):
            _put(record, path, f"\ue000{k}\ue000", schema, rng)
        text = json.dumps(record, separators=(",", ":"), ensure_ascii=False).replace("%", "%%")
        order = tuple(int(k) for k in _MARK.findall(text) if int(k) < len(self._paths))
        return _Variant(_MARK.sub(self._open, text).encode(), order)

    def _open(self, mark: re.Match[str]) -> str:
        """A mark that stood in the document is text like any other."""
        return "%b" if int(mark.group(1)) < len(self._paths) else mark.group(0)

    def render(self, indexes: Iterable[int], partition: int, variables: Mapping[str, str]) -> list[bytes]:
        """The records at ``indexes`` of a partition, each as JSON text. ``variables``: the path's values."""
        fixed = {path: self._reference(path, variables) for path in self._refs}
        makers = [fixed.get(path) or self._holes[path] for path in self._paths]
        variants = [(v.template, tuple(makers[k] for k in v.holes)) for v in self._variants]
        rendered = []
        for index in indexes:
            template, holes = variants[index % _VARIANTS]
            number = number_of(partition, index)
            rendered.append(template % tuple([hole(number, index) for hole in holes]))
        return rendered

    def record(self, index: int, partition: int, variables: Mapping[str, str]) -> dict[str, Any]:
        """One record, parsed."""
        record: dict[str, Any] = json.loads(self.render((index,), partition, variables)[0])
        return record

    def _reference(self, path: JsonPath, variables: Mapping[str, str]) -> Hole:
        value: Any = variables[self._refs[path]]
        types = types_of(schema_at(self._endpoint.records.json_schema, path))
        if "string" not in types:
            # A document may say that a text is named by a number: one that is always the same for the same text.
            value = int(value) if value.isdecimal() and len(value) < 16 else zlib.crc32(value.encode())
        text = json.dumps(value).encode()
        return lambda _number, _index: text


def _put(record: dict[str, Any], path: JsonPath, value: Any, schema: dict[str, Any], rng: Random) -> None:
    """Set a member; objects on the way that the record lacks are made by their schema."""
    for depth, key in enumerate(path[:-1], start=1):
        if not isinstance(record.get(key), dict):
            inner = {**schema_at(schema, path[:depth]), "type": "object"}
            made = value_of(inner, rng, depth)
            record[key] = made if isinstance(made, dict) else {}
        record = record[key]
    record[path[-1]] = value


def _time(time: TimeField, ordinal: int, quoted: bool) -> Hole:
    form = '"%s"' if quoted else "%s"

    @lru_cache(maxsize=8)
    def at_step(step: int) -> bytes:
        return (form % time_text(_at_step(step, ordinal), time.format)).encode()

    return lambda _number, index: at_step(2 * index // 3)


def _identity(key: str, path: JsonPath, schema: dict[str, Any]) -> Hole:
    """Unique values of the type that the schema wants, in the style of its example."""
    salt = zlib.crc32(f"{key} {path}".encode())
    if "string" not in types_of(schema):
        return _unique_integer(schema, (salt % 211 + 1) * 1_000_003)
    form = schema.get("format", "")
    example = next((str(e) for e in schema.get("examples", ())), "")
    if form == "uuid" or _UUID.fullmatch(example):
        return lambda number, _i: b'"%08x-0000-4000-8000-%012x"' % (salt, number)
    if example.isdecimal():
        return partial(_text, "", salt % 211 * 1_000_003, schema.get("maxLength"))
    if form in ("email", "idn-email") or re.fullmatch(r"[^@\s]+@[^@\s]+", example):
        return lambda number, _i: b'"user%d@example.com"' % number
    if form in ("uri", "url", "iri") or example.startswith(("http://", "https://")):
        return lambda number, _i: b'"https://example.com/%08x/%d"' % (salt, number)
    prefix = _PREFIX.fullmatch(example)
    word = re.sub(r"[^A-Za-z0-9_]", "", path[-1])[:20]
    return partial(_text, prefix.group(1) if prefix else f"{word}-{salt % 997:03}-", 0, schema.get("maxLength"))


def _text(prefix: str, base: int, limit: int | None, number: int, _index: int) -> bytes:
    """Prefix and number; where the schema's ``maxLength`` is short, the end of it, which is what differs."""
    text = f"{prefix}{base + number}"
    return f'"{text if limit is None else text[-limit:]}"'.encode()


def _unique_integer(schema: dict[str, Any], base: int) -> Hole:
    low, high = schema.get("minimum", 1), schema.get("maximum")
    if high is None or high >= _LARGEST:
        return lambda number, _i: b"%d" % (max(base, low) + number)
    span = max(1, int(high) - int(low) + 1)
    return lambda number, _i: b"%d" % (int(low) + (base + number) % span)
