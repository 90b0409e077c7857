"""Example records as a model writes them: what is taken, and in which words the rest is refused."""

from __future__ import annotations

import json
from typing import Any

import pytest

from contracts.errors import Rejected
from services.fixtures.examples import lacking, read_examples, streams_in_words
from services.fixtures.inference.infer import infer
from tests.support.openapi import THING, array, document, get, obj

API = infer(document({"/things": get(obj(data=array(THING))), "/tags": get(array({"type": "string"}))}))


@pytest.mark.parametrize(
    ("found", "words"),
    [
        ([], "the file is an object"),
        ({"GET /others": [{"id": "1"}]}, "no endpoint of the document"),
        ({"GET /tags": [{"tag": "a"}]}, "plain values"),
        ({"GET /things": {"data": []}}, "a list of 1 to 10 records"),
        ({"GET /things": [{"id": "1"}] * 11}, "a list of 1 to 10 records"),
        ({"GET /things": ["a"]}, "without the envelope"),
        ({"GET /things": [{"data": [{"id": "1"}]}]}, "still in its envelope"),
        ({"GET /things": [{"id": "1" * 5000}]}, "at most 4,000 characters"),
    ],
)
def test_what_does_not_fit_is_refused_with_its_place(found: Any, words: str) -> None:
    with pytest.raises(Rejected, match=words) as caught:
        read_examples(json.dumps(found).encode(), API)
    assert str(caught.value.where).startswith("/workspace/examples.json")


@pytest.mark.parametrize("content", [b"[" * 1000, b"{" * 10, b"x" * 300_000], ids=["deep", "broken", "large"])
def test_what_is_no_bounded_json_is_refused(content: bytes) -> None:
    with pytest.raises(Rejected):
        read_examples(content, API)


def test_endpoints_without_an_example_are_named_with_their_fields() -> None:
    assert [endpoint.key for endpoint in lacking(API)] == ["GET /things"]
    told = streams_in_words(API)
    assert "- `GET /things`: no example in the document; its fields: id, name" in told
    assert "/tags" not in told
