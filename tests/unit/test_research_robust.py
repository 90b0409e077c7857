"""Documents with rubbish anywhere in them: a blueprint or an error of the house, never a crash."""

from __future__ import annotations

import copy
import json
import random
from typing import Any

import pytest

from contracts.errors import ConnectorsError
from infra.runtime.documents import bundle, encode, load
from services.research.openapi.engine import infer
from tests.support.openapi import THING, TIME, array, document, get, header, obj, post, query, variable

JUNK: list[Any] = [
    *(None, 3, -1.5, True, "", [], {}, "x", ["a", None], "{a}{b}", "/{x}/{x}", 10**30, "//[", "2020"),
    *({"$ref": "#/paths"}, {"$ref": "#"}, {"$ref": 3}, {"$ref": "//["}, {"$ref": "a.json#/x"}, {"": {"": {}}}),
    *({"type": ["object", 3]}, {"type": "array", "items": [1, 2]}, {"properties": []}, {"enum": 3}, {"format": {}}),
]
KEYS = ["", "{a}", "$ref", "x", "get", "type", "200", "allOf", "items"]
WHOLE = document(
    {
        "/things": get(
            obj(data=array({"$ref": "#/components/schemas/Thing"}), links=obj(next="string"), total="integer"),
            query("page", "integer", minimum=0),
            query("limit", "integer", "up to 100"),
            query("updated_since", format="date-time"),
            header("Acme-Version", required=True, enum=["1", "2"]),
        ),
        "/things/{thing_id}": get(THING, variable("thing_id")),
        "/things/{thing_id}/parts": get(array(THING), variable("thing_id"), headers={"Link": {}}),
        "/parts/search": post(obj(parts=array(THING), cursor="string"), obj(cursor="string", limit="integer")),
        "/{account}/rows": get({"type": "object", "additionalProperties": THING}, variable("account")),
    },
    components={
        "schemas": {"Thing": {"allOf": [THING, obj(updated_at=TIME, up={"$ref": "#/components/schemas/Thing"})]}},
        "securitySchemes": {
            "key": {"type": "apiKey", "in": "header", "name": "X-Key"},
            "flow": {"type": "oauth2", "flows": {"clientCredentials": {"tokenUrl": "/t", "scopes": {"a": "b"}}}},
        },
    },
    security=[{"key": []}, {"flow": ["a"]}],
    servers=[{"url": "https://{r}.acme.io/v1", "variables": {"r": {"default": "eu", "enum": ["eu"]}}}],
).raw


def _places(value: Any) -> list[tuple[Any, Any]]:
    members = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [place for key, member in members for place in ((value, key), *_places(member))]


def _damaged(seed: int) -> Any:
    dice = random.Random(seed)
    raw = copy.deepcopy(WHOLE)
    places = _places(raw)
    for container, key in dice.choices(places, k=dice.choice([1, 2, 5, 20])):
        if isinstance(container, dict) and key in container and dice.random() < 0.2:
            container[dice.choice(KEYS)] = container.pop(key)
        else:
            container[key] = copy.deepcopy(dice.choice(JUNK))
    return raw


@pytest.mark.parametrize("start", range(0, 600, 100))
def test_rubbish_never_crashes_the_study(start: int) -> None:
    blueprints = 0
    for seed in range(start, start + 100):
        content = json.dumps(_damaged(seed)).encode()
        try:
            found = bundle(load(content, where="t"), base_url="https://acme.io/spec.json", contents={})
            blueprint = infer(found.document, name="acme", document_url="https://acme.io/spec.json")
        except ConnectorsError:
            continue
        blueprint.model_dump_json()
        encode(found.document)
        blueprints += 1
    assert blueprints > 50
