"""`compile_connector`: the same bytes for the same blueprint, and nothing of a document runs."""

from __future__ import annotations

import ast
import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from contracts.artifacts import Tree
from contracts.blueprint import (
    ApiBlueprint,
    ApiKeyAuth,
    AuthMethod,
    BasicAuth,
    Binding,
    CursorPagination,
    Gap,
    Parameter,
    Parent,
    Request,
    Selector,
)
from contracts.errors import Permanent
from infra.runtime.rendering import formatted_module
from services.generator.compiler import compile_connector, left_out
from tests.support.blueprints import PAGINATIONS, blueprint, child, decided, small_crm, stream

NASTY = (
    *(
        '"',
        "'",
        '"""',
        "'''",
        "\\",
        "\\N{DASH}",
        "{{ 7*7 }}",
        "{% raw %}",
        "{0}",
        "}",
        "{",
        "#",
        "\n",
        "\r\n",
        "\0",
    ),
    *('"); import os; os.system("x")#', "class", "None", "__init__", "../../etc/passwd", "|`<b>", "x" * 10_000),
    *("\u2028", "\ud800", "\U0001f600", "ünïcödé", "", " ", "a\tb", "-->", "$(id)", "%s", "con"),
)
nasty = st.sampled_from(NASTY) | st.text(st.characters(codec=None), max_size=30)


def module(tree: Tree, name: str) -> ast.Module:
    (content,) = (content for path, content in tree.items() if path.endswith(f"/{name}.py"))
    return ast.parse(content)


def declared(tree: Tree) -> Iterator[dict[str, Any]]:
    """The keyword arguments of each ``Stream(...)``, as far as they are literals."""
    for node in ast.walk(module(tree, "streams")):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Stream":
            literals = {}
            for item in node.keywords:
                try:
                    literals[item.arg or ""] = ast.literal_eval(item.value)
                except ValueError:
                    continue
            yield literals


def test_same_blueprint_gives_the_same_bytes() -> None:
    known = small_crm()
    again = ApiBlueprint.model_validate_json(known.model_dump_json())
    once = compile_connector(known, {}, frozenset())
    formatted_module.cache_clear()
    assert once == compile_connector(again, {}, frozenset())


def test_package_has_the_structure_that_is_promised() -> None:
    tree = compile_connector(small_crm(), {}, frozenset())
    modules = ("__init__", "__main__", "connector", "config", "auth", "client", "streams", "utils")
    wanted = {f"src/source_small_crm/{name}.py" for name in modules}
    wanted |= {"src/source_small_crm/py.typed", "src/source_small_crm/spec.json"}
    wanted |= {"pyproject.toml", "requirements.txt", "metadata.yaml", "README.md", "IMPLEMENTATION.md"}
    assert wanted <= set(tree)
    assert not any(path.startswith("tests/") for path in tree)
    schema = json.loads(tree["src/source_small_crm/schemas/contacts.json"])
    assert schema["properties"]["id"] == {"type": "integer"}
    assert max(content.count(b"\n") for path, content in tree.items() if path.endswith(".py")) < 310


@settings(
    max_examples=20,
    deadline=None,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    suppress_health_check=[HealthCheck.too_slow],
)
@given(st.lists(nasty, min_size=12, max_size=12, unique=True))
def test_hostile_texts_stay_data(words: list[str]) -> None:
    a, b, c, d, e, f, g, h, i, j, k, m = words
    variable = f.replace("{", "").replace("}", "") or "v"
    known = blueprint(
        stream(
            f"s{a}",
            request=Request(
                method="POST",
                path=f"/{b.replace('{', '').replace('}', '')}",
                query={c: f"={d}"},
                headers={e: f"={f}"},
                body={g: [h, {i: None}]},
            ),
            selector=Selector(path=(b, c), shape="map"),
            pagination=CursorPagination(param=j, path=(k, a), header=m),
            primary_key=((d,), (e, f)),
            schema={"type": "object", "properties": {a: {"description": b, "enum": [c]}}, "title": d},
        ),
        stream(
            f"k{a}",
            path=f"/p/{{{variable}}}",
            parent=Parent(stream=f"s{a}", bindings=(Binding(variable=variable, field=(g, h)),)),
        ),
        methods=(
            AuthMethod(name=f"m{i}", title=j, schemes=(ApiKeyAuth(location="header", name=k, prefix=m, field=a),)),
            AuthMethod(name=f"n{i}", schemes=(BasicAuth(), ApiKeyAuth(location="cookie", name=b, prefix=c))),
        ),
        parameters=(
            Parameter(name=f"p{c}", location="query", target=d, description=e, default=f, enum=(f, g)),
            Parameter(name=f"q{c}", location="header", target=e, secret=True, streams=(f"s{a}",)),
        ),
    )  # fmt: skip
    known = known.model_copy(
        update={
            "title": a,
            "description": b,
            "document_url": c,
            "api_version": d,
            "gaps": (Gap(subject=e, reason=f),),
        }
    )
    tree = compile_connector(known, {}, frozenset())
    for path, content in tree.items():
        assert path.isascii()
        assert len(path) < 200
        content.decode()
        if path.endswith(".json"):
            json.loads(content)
    first, second = declared(tree)
    assert first["name"] == f"s{a}"
    assert first["query"][c] == f"={d}"
    assert first["headers"][e] == f"={f}"
    assert first["body"] == {g: [h, {i: None}]}
    assert first["primary_key"] == ((d,), (e, f))
    assert second["name"] == f"k{a}"
    for name in ("auth", "config", "client", "reader"):
        assert not any(
            isinstance(node, ast.Name) and node.id in ("os", "eval", "exec")
            for node in ast.walk(module(tree, name))
        )


def test_choices_take_the_alternatives() -> None:
    known = blueprint(stream("things"))
    other = known.streams[0].model_copy(
        update={"pagination": decided(PAGINATIONS["none"], PAGINATIONS["page"], PAGINATIONS["cursor"])}
    )
    known = known.model_copy(update={"streams": (other,)})
    for rank, name in ((0, "OnePage"), (1, "PageNumber"), (2, "Cursor"), (9, "Cursor")):
        tree = compile_connector(known, {"streams.things.pagination": rank}, frozenset())
        assert f"pagination={name}(" in tree["src/source_small_crm/streams.py"].decode()


def test_degraded_streams_are_left_out_and_named_with_their_children() -> None:
    tree = compile_connector(small_crm(), {}, frozenset({"deals"}))
    names = {item["name"] for item in declared(tree)}
    assert "contacts" in names
    assert not names & {"deals", "notes"}
    paper = tree["IMPLEMENTATION.md"].decode()
    assert "**deals** is left out" in paper
    assert "**notes** is left out: its parent deals is not in the connector" in paper


def test_parents_are_declared_before_their_children() -> None:
    kid = child("kid", "dad", "/dad/{d}/kid", "d")
    tree = compile_connector(
        blueprint(child("grandkid", "kid", "/x/{k}", "k"), kid, stream("dad")), {}, frozenset()
    )
    assert [item["name"] for item in declared(tree)] == ["dad", "kid", "grandkid"]


IMPOSSIBLE = {
    "variable": (stream("things", path="/a/{who}"), "nothing gives a value for who"),
    "parent": (child("things", "nobody", "/a/{n}", "n"), "its parent nobody is not in the connector"),
    "circle": (child("things", "things", "/a/{n}", "n"), "its parents go in a circle over things"),
}


@pytest.mark.parametrize("name", IMPOSSIBLE)
def test_stream_that_cannot_be_built_is_left_out_with_the_reason(name: str) -> None:
    bad, reason = IMPOSSIBLE[name]
    known = blueprint(bad, stream("good"))
    assert left_out(known, {}, frozenset()) == {"things": reason}
    assert [item["name"] for item in declared(compile_connector(known, {}, frozenset()))] == ["good"]


def test_nothing_to_build_is_permanent_and_says_why() -> None:
    with pytest.raises(Permanent, match=r"no stream of small-crm can be built .*a value for who"):
        compile_connector(blueprint(stream("things", path="/{who}")), {}, frozenset())


def test_schemas_are_open_objects_without_other_changes() -> None:
    schema = {
        "type": ["null", "object"],
        "additionalProperties": False,
        "properties": {
            "additionalProperties": {"type": "object", "additionalProperties": False},
            "kind": {"enum": [False, {"additionalProperties": False}]},
        },
    }
    tree = compile_connector(blueprint(stream("things", schema=schema)), {}, frozenset())
    assert json.loads(tree["src/source_small_crm/schemas/things.json"]) == {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "type": "object",
        "additionalProperties": True,
        "properties": {
            "additionalProperties": {"type": "object", "additionalProperties": True},
            "kind": {"enum": [False, {"additionalProperties": False}]},
        },
    }
