"""Text of a document can say anything; in the code it is a literal, an identifier or tamed prose."""

from __future__ import annotations

import ast
import json
import keyword
import tomllib
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st

from services.generator.compiler.text import Names, call, code_span, json_text, literal, markdown, prose

texts = st.text(st.characters(codec=None), max_size=80)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=12,
)


@given(json_values | st.tuples(texts) | st.tuples(texts, texts))
def test_literal_is_ascii_and_means_the_same(value: Any) -> None:
    assert literal(value).isascii()
    assert ast.literal_eval(literal(value)) == value


@given(texts)
def test_call_leaves_out_what_is_not_given(text: str) -> None:
    made = ast.parse(call("Thing", a=text, b=None), mode="eval").body
    assert isinstance(made, ast.Call)
    assert {item.arg: ast.literal_eval(item.value) for item in made.keywords} == {"a": text}


@given(texts)
def test_prose_is_safe_in_docstrings_and_in_toml(text: str) -> None:
    line = prose(text)
    assert ast.literal_eval(f'"""{line}."""') == f"{line}."
    assert "{" not in line
    assert tomllib.loads(f"a = {json_text(line)}") == {"a": line}


@given(texts)
def test_markdown_stays_in_its_cell(text: str) -> None:
    for shown in (markdown(text), code_span(text)):
        assert len(shown.splitlines()) <= 1
        assert "|" not in shown.replace("\\|", "")
    assert code_span(text).count("`") == 2


@given(
    st.lists(texts | st.sampled_from([*keyword.kwlist, "json", "Json", "x" * 10_000, "", "1", "ä"]), max_size=12)
)
@example(["\u09e6", "a\u09e6"])  # a digit, and not one of ours
def test_names_are_valid_and_never_twice(wanted: list[str]) -> None:
    names = Names(frozenset({"json"}))
    attributes = [names.attribute(text) for text in wanted]
    classes = [Names().class_name(text, "Credentials") for text in wanted]
    files = Names()
    stems = [files.file_stem(text) for text in wanted]
    for given_names in (attributes, stems):
        assert len({name.lower() for name in given_names}) == len(wanted)
    for name in (*attributes, *classes):
        assert name.isidentifier()
        assert name.isascii()
        assert not keyword.iskeyword(name)
        assert not name.startswith("_")
        assert len(name) < 90
    assert "json" not in attributes
    assert all(stem.isascii() and len(stem) < 90 and "/" not in stem and "." not in stem for stem in stems)


def test_plain_names_stay_as_they_are() -> None:
    names = Names()
    assert [names.attribute(text) for text in ("api_key", "startDate", "X-API-Key")] == [
        "api_key",
        "start_date",
        "x_api_key",
    ]
    assert Names().file_stem("contacts") == "contacts"
    assert json.loads(json_text({"a": "ü"})) == {"a": "ü"}
