"""Bytes to JSON values: dialects, dirt and bombs."""

from __future__ import annotations

import time

import pytest

from contracts.errors import Rejected
from infra.runtime.documents import ParseLimits, parse


def test_yaml_scalars_stay_what_json_can_hold() -> None:
    text = b"""
date: 2020-01-01
time: 2020-01-01T00:00:00Z
yes_is_text: yes
truth: true
octal_is_decimal: 0123
hex: 0x1F
real: 1e3
huge: 123456789012345678901234567890
infinite: .inf
quoted: '200'
tagged: !!python/object/apply:os.system ["id"]
nothing: ~
empty:
"""
    assert parse(text, where="t") == {
        "date": "2020-01-01",
        "time": "2020-01-01T00:00:00Z",
        "yes_is_text": "yes",
        "truth": True,
        "octal_is_decimal": 123,
        "hex": 31,
        "real": 1000.0,
        "huge": 123456789012345678901234567890.0,
        "infinite": ".inf",
        "quoted": "200",
        "tagged": ["id"],
        "nothing": None,
        "empty": None,
    }


def test_keys_become_strings_and_the_last_duplicate_wins() -> None:
    assert parse(b"200: a\ntrue: b\nnull: c\n1.5: d\n200: e", where="t") == {
        "200": "e",
        "true": "b",
        "null": "c",
        "1.5": "d",
    }


def test_control_characters_in_yaml_are_forgiven() -> None:
    assert parse("a: x\x80\x99y\nb: z\x07".encode(), where="t") == {"a": "x  y", "b": "z"}


def test_anchors_and_merge_keys_are_followed() -> None:
    text = b"base: &b {x: 1, y: 2}\none: {<<: *b, y: 3}\ntwo: {<<: [{y: 9}, *b]}\nlist: [*b, *b]"
    value = parse(text, where="t")
    assert value["one"] == {"x": 1, "y": 3}
    assert value["two"] == {"x": 1, "y": 9}
    assert value["list"] == [{"x": 1, "y": 2}] * 2


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_text_encodings_are_recognised(encoding: str) -> None:
    assert parse('{"a": "\u00e4"}'.encode(encoding), where="t") == {"a": "\u00e4"}


def test_flow_style_yaml_that_looks_like_json_is_read() -> None:
    assert parse(b"{openapi: 3.0.0, 'paths': {}}", where="t") == {"openapi": "3.0.0", "paths": {}}


def _laughs() -> bytes:
    lines = ["a: &a [x,x,x,x,x,x,x,x,x]"]
    lines += [
        f"{new}: &{new} [{','.join([f'*{old}'] * 9)}]" for old, new in zip("abcdefgh", "bcdefghi", strict=True)
    ]
    return "\n".join(lines).encode()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"[" * 100_000, "nests deeper"),
        (b"[" * 100_000 + b"]" * 100_000, "nests deeper"),
        (b"[" * 900 + b"]" * 900, "nests deeper"),
        (b'{"a":' * 100_000, "nests deeper"),
        (b"- " * 100_000 + b"a", "nests deeper"),
        ("".join(" " * depth + "a:\n" for depth in range(2_000)).encode(), "nests deeper"),
        (_laughs(), "aliases expanded"),
        (b"a: &a [*a]", "no finished anchor"),
        (b"a: *missing", "no finished anchor"),
        (b"? [a]\n: b", "as a key"),
        (b'{"a": [1,2,}', "not valid JSON"),
        (b"a: [1, 2", "neither JSON nor YAML"),
        (b"\xff\xfe\x00", "UTF-8"),
        (b"\x80abc", "UTF-8"),
        (b"", "empty"),
        (b" \n ", "empty"),
    ],
    ids=lambda value: value[:12].decode("latin-1") if isinstance(value, bytes) else value,
)
def test_hostile_or_broken_content_is_rejected_quickly(content: bytes, words: str) -> None:
    started = time.perf_counter()
    with pytest.raises(Rejected, match=words) as caught:
        parse(content, where="evil.yaml")
    assert "evil.yaml" in str(caught.value)
    assert time.perf_counter() - started < 5


def test_errors_name_line_and_column() -> None:
    with pytest.raises(Rejected, match=r"x\.json, line 2, column"):
        parse(b'{"a": 1,\n "b" 2}', where="x.json")
    with pytest.raises(Rejected, match=r"x\.yaml, line 2, column 1"):
        parse(b"a: b\n\tc: d", where="x.yaml")


def test_size_limit_names_both_sizes() -> None:
    with pytest.raises(Rejected, match=r"11 bytes; the limit is 10"):
        parse(b"a: 23456789", where="t", limits=ParseLimits(bytes=10))


def test_node_limit_holds_for_json() -> None:
    with pytest.raises(Rejected, match="more than 100 values"):
        parse(b"[" + b"1," * 200 + b"1]", where="t", limits=ParseLimits(nodes=100))


@pytest.mark.slow
def test_fifty_megabytes_end_within_bounds() -> None:
    content = b"openapi: 3.0.0\nx:\n" + b"- [a, b]\n" * (50 * 1024 * 1024 // 9 - 4)
    started = time.perf_counter()
    with pytest.raises(Rejected, match="more than"):
        parse(content, where="t")
    assert time.perf_counter() - started < 60
