"""What a model may add to a document, what of it is taken, and what it is worth."""

from __future__ import annotations

import json
from typing import Any

import pytest

from contracts.blueprint import ApiBlueprint
from contracts.errors import Rejected
from infra.runtime.documents import load
from infra.runtime.documents.researched import MEMBER, original, researched
from services.research.additions import added
from services.research.claude import url_fault
from services.research.weigh import FROM_PAGES
from services.research.written import assembled, study_written, taken_apart
from tests.support.openapi import TIME, array, document, get, obj

THING = obj(id="string", updated_at=TIME)
LIMIT = {"name": "limit", "in": "query", "schema": {"type": "integer"}}
RAW = document(
    {
        "/things": get(array(THING), LIMIT),
        "/others": get({"$ref": "#/components/schemas/Others"}),
    },
    components={"schemas": {"Others": array(THING)}},
    security=[{"token": []}],
).raw
PAGE = {"name": "page", "in": "query", "schema": {"type": "integer"}}
MORE = {
    "paths": {"/things": {"get": {"parameters": [PAGE, {"name": "limit", "in": "query", "description": "size"}]}}}
}


def test_what_is_lacking_is_added_at_its_place() -> None:
    made = added(RAW, MORE)
    parameters = made.raw["paths"]["/things"]["get"]["parameters"]
    assert [parameter["name"] for parameter in parameters] == ["limit", "page"]
    assert parameters[0]["description"] == "size"
    assert set(made.pointers) == {
        "/paths/~1things/get/parameters/1",
        "/paths/~1things/get/parameters/0/description",
    }
    assert made.refused == ()


@pytest.mark.parametrize(
    ("more", "place"),
    [
        ({"servers": [{"url": "https://evil.example"}]}, "/servers"),
        ({"security": []}, "/security"),
        ({"paths": {"/things": {"servers": [{"url": "https://evil.example"}]}}}, "/paths/~1things/servers"),
        ({"paths": {"/things": {"get": {"security": []}}}}, "/paths/~1things/get/security"),
        ({"info": {"title": "Other"}}, "/info/title"),
        ({"components": {"schemas": {"Others": {"$ref": "#/x"}}}}, "/components/schemas/Others/$ref"),
        (
            {
                "paths": {
                    "/others": {"get": {"responses": {"200": {"content": {"application/json": {"schema": THING}}}}}}
                }
            },
            "/paths/~1others/get/responses/200/content/application~1json/schema",
        ),
        ({"paths": None}, "/paths"),
    ],
)
def test_what_the_document_states_stays(more: dict[str, Any], place: str) -> None:
    made = added(RAW, more)
    assert made.raw == RAW
    assert [gap.subject for gap in made.refused] == [place]


def test_a_document_can_be_had_as_it_was_before() -> None:
    before = json.dumps(RAW).encode()
    text = json.dumps({**MORE, "x-new": [1], MEMBER: {"whole": True}}).encode()
    content = assembled(before, text, {"sources": [{"url": "https://acme.io"}], "gaps": []})
    loaded = load(content, where="test")
    mark = researched(loaded)
    assert mark is not None
    assert not mark.whole
    alone = original(loaded, mark)
    assert alone is not None
    assert alone.raw == load(before, where="test").raw
    parts = taken_apart(content)
    assert (json.loads(parts["document"]), parts["text"]) == (alone.raw, text)


@pytest.mark.parametrize("mark", [None, [], {"text": 1}, {"gaps": [{}]}, {"sources": [{"url": "x"}] * 1000}])
def test_a_mark_that_is_none_is_no_mark(mark: Any) -> None:
    assert researched(load(json.dumps({**RAW, MEMBER: mark}).encode(), where="test")) is None


def studied(more: dict[str, Any]) -> ApiBlueprint:
    told = {"sources": [{"url": "https://docs.acme.io/api"}]}
    result = study_written(json.dumps(RAW).encode(), json.dumps(more).encode(), told, "acme", None, None, None)
    return ApiBlueprint.model_validate_json(result["blueprint"])


def test_what_rests_on_additions_is_worth_less_and_the_rest_as_much_as_before() -> None:
    plain, found = studied({}), studied(MORE)
    old, new = plain.streams[0], found.streams[0]
    assert new.pagination.value.kind == "page" != old.pagination.value.kind
    assert new.pagination.confidence <= FROM_PAGES < new.selector.confidence == old.selector.confidence
    assert found.streams[1].json_schema == plain.streams[1].json_schema
    assert found.document_url is None


def test_references_out_of_what_a_model_wrote_are_not_followed() -> None:
    other = {"paths": {"/more": {"get": {"responses": {"200": {"$ref": "http://127.0.0.1:9/x.yaml#/a"}}}}}}
    gaps = [gap.reason for gap in studied(other).gaps]
    assert any("leads nowhere" in reason for reason in gaps), gaps


def test_additions_that_are_none_are_rejected() -> None:
    for text in (b"- a", b"a: [", b"x: " + b"y" * 70_000):
        with pytest.raises(Rejected):
            assembled(json.dumps(RAW).encode(), text, {})


@pytest.mark.parametrize("url", ["https://docs.acme.io/a?b=c", "http://acme.io"])
def test_a_page_of_the_web_is_a_source(url: str) -> None:
    assert url_fault(url) is None


@pytest.mark.parametrize(
    "url",
    [
        "",
        "acme.io",
        "file:///etc/passwd",
        "https://",
        "https://user:pw@acme.io",
        "https://[x",
        "https://a b",
        "https://a.io/\n",
        f"https://acme.io/{'x' * 600}",
    ],
)
def test_anything_else_is_no_source(url: str) -> None:
    assert "no http or https URL" in str(url_fault(url))
