"""Bytes -> JSON value, from JSON or YAML, within bounds. Iterative throughout: no input can exhaust the stack.

YAML is read event by event from libyaml and built here, because its own loader recurses, reads dates as
timestamps and `yes` as true. Plain scalars follow the core schema of YAML 1.2 (section 10.3.2).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import orjson

from contracts.errors import Rejected

_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\ud800-\udfff\ufffe\uffff]")
"""Characters that YAML forbids (section 5.1) and real documents contain all the same."""
_INTEGER = re.compile(r"[-+]?[0-9]{1,300}")
_BASED = re.compile(r"0o[0-7]{1,20}|0x[0-9a-fA-F]{1,15}")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_WORDS: dict[str, Any] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_NUMERIC_START = frozenset("+-.0123456789")
_STRING_TAG = "tag:yaml.org,2002:str"


@dataclass(frozen=True)
class ParseLimits:
    """``nodes`` counts values after YAML aliases are expanded; ``depth`` counts nested objects and arrays."""

    bytes: int = 50 * 1024 * 1024
    nodes: int = 3_000_000
    depth: int = 300


def parse(content: bytes, *, where: str, limits: ParseLimits | None = None) -> Any:
    """The JSON value that ``content`` (UTF-8, UTF-16 with a mark) spells. Object keys are strings; of duplicate
    keys the last one counts. Aliased YAML nodes are shared, so treat the value as immutable.

    Raises:
        Rejected: too large, too deep, neither JSON nor YAML.
    """
    limits = limits or ParseLimits()
    if len(content) > limits.bytes:
        raise Rejected(
            f"the document has {len(content):,} bytes; the limit is {limits.bytes:,}: give a smaller one",
            where=where,
        )
    text = _decode(content, where)
    start = text.lstrip()[:1]
    if not start:
        raise Rejected("the document is empty", where=where)
    value = _json_or_yaml(text, where, limits) if start in "{[" else _yaml(text, where, limits)
    _check_bounds(value, where, limits)
    return value


def _decode(content: bytes, where: str) -> str:
    try:
        if content.startswith((b"\xff\xfe", b"\xfe\xff")):
            return content.decode("utf-16")
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise Rejected(f"the document is not text in UTF-8 (byte {error.start:,})", where=where) from None


def _json_or_yaml(text: str, where: str, limits: ParseLimits) -> Any:
    """What starts with a brace is nearly always JSON; YAML's flow style is the exception."""
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as error:
        if "depth limit" in str(error) or "recursion limit" in str(error).lower():
            raise _too_deep(where, limits) from None
        json_error = error
    try:
        return _yaml(text, where, limits)
    except Rejected:
        place = f"{where}, line {json_error.lineno}, column {json_error.colno}"
        raise Rejected(f"the document is not valid JSON: {json_error.msg}", where=place) from None


def _too_deep(where: str, limits: ParseLimits) -> Rejected:
    return Rejected(f"the document nests deeper than {limits.depth} levels", where=where)


def _too_many(where: str, limits: ParseLimits) -> Rejected:
    return Rejected(f"the document holds more than {limits.nodes:,} values, with its aliases expanded", where=where)


def _check_bounds(value: Any, where: str, limits: ParseLimits) -> None:
    """Count values and depth level by level; shared nodes count each time they appear."""
    level = [value]
    nodes = 0
    for _ in range(limits.depth + 1):
        below: list[Any] = []
        for item in level:
            children = item.values() if isinstance(item, dict) else item
            nodes += len(children) if isinstance(item, (dict, list)) else 1
            if nodes > limits.nodes:
                raise _too_many(where, limits)
            if isinstance(item, (dict, list)):
                below.extend(child for child in children if isinstance(child, (dict, list)))
        if not below:
            return
        level = below
    raise _too_deep(where, limits)


def _yaml(text: str, where: str, limits: ParseLimits) -> Any:
    import yaml
    from yaml._yaml import CParser

    builder = _YamlBuilder(where, limits)
    try:
        next_event = CParser(_CONTROL.sub(" ", text)).get_event
        while (event := next_event()) is not None and not builder.done:
            builder.take(event, yaml)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f"{where}, line {mark.line + 1}, column {mark.column + 1}" if mark else where
        raise Rejected(f"the document is neither JSON nor YAML: {error.problem}", where=place) from None
    except yaml.YAMLError as error:
        raise Rejected(f"the document is neither JSON nor YAML: {error}", where=where) from None
    return builder.value


class _YamlBuilder:
    """Builds plain values from YAML events with a stack of its own."""

    def __init__(self, where: str, limits: ParseLimits) -> None:
        self.value: Any = None
        self.done = False
        self._where = where
        self._limits = limits
        self._stack: list[dict[str, Any] | list[Any]] = []
        self._keys: list[Any] = []
        self._anchors: dict[str, Any] = {}
        self._open_anchors: list[str | None] = []
        self._nodes = 0

    def take(self, event: Any, yaml: Any) -> None:
        kind = type(event)
        self._nodes += 1
        if self._nodes > 2 * self._limits.nodes:
            raise _too_many(self._where, self._limits)
        if kind is yaml.ScalarEvent:
            self._add(_scalar(event), event.anchor)
        elif kind is yaml.MappingStartEvent or kind is yaml.SequenceStartEvent:
            self._open({} if kind is yaml.MappingStartEvent else [], event.anchor)
        elif kind is yaml.MappingEndEvent or kind is yaml.SequenceEndEvent:
            self._close()
        elif kind is yaml.AliasEvent:
            if event.anchor not in self._anchors:
                raise Rejected(
                    f"the YAML alias *{event.anchor} names no finished anchor",
                    where=f"{self._where}, line {event.start_mark.line + 1}",
                )
            self._add(self._anchors[event.anchor], None)
        elif kind is yaml.DocumentEndEvent:
            self.done = True

    def _open(self, container: dict[str, Any] | list[Any], anchor: str | None) -> None:
        if len(self._stack) >= self._limits.depth:
            raise _too_deep(self._where, self._limits)
        if self._stack and self._awaits_key():
            raise Rejected("a YAML mapping has a mapping or a sequence as a key", where=self._where)
        self._stack.append(container)
        self._keys.append(_NO_KEY)
        self._open_anchors.append(anchor)

    def _close(self) -> None:
        container = self._stack.pop()
        self._keys.pop()
        if isinstance(container, dict) and "<<" in container:
            container = _merged(container)
        self._add(container, self._open_anchors.pop())

    def _awaits_key(self) -> bool:
        return isinstance(self._stack[-1], dict) and self._keys[-1] is _NO_KEY

    def _add(self, value: Any, anchor: str | None) -> None:
        if anchor is not None:
            self._anchors[anchor] = value
        if not self._stack:
            self.value = value
            return
        top = self._stack[-1]
        if isinstance(top, list):
            top.append(value)
        elif self._keys[-1] is _NO_KEY:
            self._keys[-1] = _key(value, self._where)
        else:
            top[self._keys[-1]] = value
            self._keys[-1] = _NO_KEY


_NO_KEY = object()


def _key(value: Any, where: str) -> str:
    """A key as JSON would spell it: ``200`` and ``true`` become strings."""
    if isinstance(value, str):
        return value
    if isinstance(value, (dict, list)):
        raise Rejected("a YAML mapping has a mapping or a sequence as a key", where=where)
    return "null" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def _merged(mapping: dict[str, Any]) -> dict[str, Any]:
    """Apply YAML's merge key (https://yaml.org/type/merge.html): own keys win, then earlier sources."""
    sources = mapping["<<"]
    own = {key: value for key, value in mapping.items() if key != "<<"}
    merged: dict[str, Any] = {}
    for source in reversed(sources if isinstance(sources, list) else [sources]):
        if isinstance(source, dict):
            merged.update(source)
    return {**merged, **own}


def _scalar(event: Any) -> Any:
    text: str = event.value
    if event.style or event.tag == _STRING_TAG:
        return text
    if text in _WORDS:
        return _WORDS[text]
    if text[0] not in _NUMERIC_START:
        return text
    if _INTEGER.fullmatch(text):
        number = int(text)
        return number if abs(number) < 2**63 else float(number)
    if _BASED.fullmatch(text):
        return int(text[2:], 8 if text[1] == "o" else 16)
    if _FLOAT.fullmatch(text):
        real = float(text)
        return real if abs(real) != float("inf") else text
    return text
