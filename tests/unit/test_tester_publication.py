"""The simulated API as a package holds it."""

from __future__ import annotations

from services.tester.publication import for_publication
from tests.support import tiny_connector

TOKEN = "xoxb-" + "0123456789abcdefghij" * 2


def test_only_what_is_read_and_what_that_hangs_on_is_kept() -> None:
    api = tiny_connector.api()
    kept = for_publication(api, ["GET /contacts/{contact_id}/notes", "GET /nowhere"])
    assert set(kept.endpoints) == {"GET /contacts", "GET /contacts/{contact_id}/notes"}


def test_examples_that_look_like_secrets_are_left_out_and_properties_of_such_names_are_not() -> None:
    api = tiny_connector.api()
    deals = api.endpoints["GET /deals"]
    schema = {
        "type": "object",
        "properties": {
            "default": {"type": "string", "example": TOKEN},
            "short": {"type": "string", "examples": ["won"]},
        },
    }
    records = deals.records.model_copy(update={"json_schema": schema, "examples": ({"key": TOKEN},)})
    changed = deals.model_copy(update={"records": records, "envelope": {"items": [], "token": TOKEN}})
    kept = for_publication(api.model_copy(update={"endpoints": {deals.key: changed}}), [deals.key])
    assert TOKEN not in kept.model_dump_json()
    assert kept.endpoints[deals.key].records.json_schema == {
        "type": "object",
        "properties": {"default": {"type": "string"}, "short": {"type": "string", "examples": ["won"]}},
    }
