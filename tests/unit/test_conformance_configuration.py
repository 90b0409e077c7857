"""Configs made from nothing but a connectionSpecification."""

from __future__ import annotations

import json
from typing import Any

import pytest

from contracts.errors import Rejected
from contracts.simulation import SimulatedApi
from services.tester.conformance.configuration import Form
from services.tester.conformance.leaks import leaked_forms
from services.tester.package_tests.configs import fill_in

SECRET = {"type": "string", "airbyte_secret": True}
CREDENTIALS = {
    "type": "object",
    "oneOf": [
        {
            "title": "OAuth",
            "required": ["auth_type", "client_id", "client_secret"],
            "properties": {
                "auth_type": {"const": "oauth"},
                "client_id": {"type": "string"},
                "client_secret": SECRET,
                "token_url": {"type": "string"},
            },
        },
        {
            "title": "Key",
            "required": ["auth_type", "key"],
            "properties": {"auth_type": {"const": "key"}, "key": SECRET},
        },
    ],
}


def form(required: tuple[str, ...] = (), **properties: Any) -> Form:
    base = {"base_url": {"type": "string"}}
    return Form({"type": "object", "required": list(required), "properties": {**base, **properties}}, salt="s")


def test_base_url_and_token_url_point_at_the_simulated_api():
    values = form(credentials=CREDENTIALS).fill("http://here/v1", "http://here/token").values
    assert values["base_url"] == "http://here/v1"
    assert values["credentials"]["token_url"] == "http://here/token"


def test_each_way_of_authenticating_can_be_chosen():
    one = form(("credentials",), credentials=CREDENTIALS)
    assert one.variants == ("OAuth", "Key")
    key = one.fill("http://here", None, 1)
    assert key.values["credentials"]["auth_type"] == "key"
    assert key.secrets == {key.values["credentials"]["key"]}
    oauth = one.fill("http://here", None, 0)
    assert set(oauth.values["credentials"]) == {"auth_type", "client_id", "client_secret"}
    assert oauth.accepted == {oauth.values["credentials"]["client_id"], *oauth.secrets}
    assert len(oauth.secrets) == 1


def test_the_same_form_gives_the_same_secrets_and_another_others():
    one = form(("credentials",), credentials=CREDENTIALS)
    assert one.fill("http://here", None) == one.fill("http://here", None)
    assert one.fill("http://here", None).secrets.isdisjoint(
        Form(one.schema, salt="other").fill("http://here", None).secrets
    )


@pytest.mark.parametrize(
    ("node", "value"),
    [
        ({"type": "string", "default": "eu"}, "eu"),
        ({"type": "string", "enum": ["a", "b"]}, "a"),
        ({"type": "string", "examples": ["acme"]}, "acme"),
        ({"const": 5}, 5),
        ({"type": "string", "format": "date-time"}, "2020-01-01T00:00:00Z"),
        ({"type": "string", "format": "date"}, "2020-01-01"),
        ({"type": "string", "pattern": r"^\d{4}-\d{2}-\d{2}$"}, "2020-01-01"),
        ({"type": "integer", "minimum": 7}, 7),
        ({"type": ["null", "number"]}, 1),
        ({"type": "boolean"}, False),
        ({"type": "array", "items": {"enum": ["x"]}}, ["x"]),
        ({"anyOf": [{"type": "null"}, {"type": "string", "default": "d"}]}, "d"),
        ({"$ref": "#/$defs/region"}, "us"),
    ],
)
def test_a_required_field_gets_a_fitting_value(node, value):
    made = form(("field",), field=node)
    made.schema["$defs"] = {"region": {"enum": ["us"]}}
    assert made.fill("http://here", None).values["field"] == value


def test_a_time_is_early_whatever_the_example_is():
    node = {"type": "string", "format": "date-time", "examples": ["2024-01-01T00:00:00Z"]}
    made = form(("start_date",), start_date=node).fill("http://here", None)
    assert made.values["start_date"] == "2020-01-01T00:00:00Z"


def test_what_is_optional_and_no_secret_is_left_out():
    assert set(form(start_date={"type": "string"}).fill("http://here", None).values) == {"base_url"}


def test_references_in_a_circle_end():
    made = form(("field",), field={"$ref": "#/$defs/a"})
    made.schema["$defs"] = {"a": {"required": ["a"], "properties": {"a": {"$ref": "#/$defs/a"}}}}
    assert "field" in made.fill("http://here", None).values


def test_a_form_without_a_base_url_is_rejected():
    with pytest.raises(Rejected, match="base_url"):
        Form({"properties": {"key": SECRET}}).fill("http://here", None)


def test_secrets_are_looked_for_in_every_disguise():
    config = form(("credentials",), credentials=CREDENTIALS).fill("http://here", None)
    (secret,) = config.secrets
    (user,) = config.accepted - config.secrets
    import base64

    basic = base64.b64encode(f"{user}:{secret}".encode())
    assert {secret.encode(), base64.b64encode(secret.encode()), basic.rstrip(b"=")} <= set(leaked_forms(config))


def test_a_service_account_is_filled_in_with_a_real_key():
    node = {**SECRET, "title": "Service account JSON"}
    config = form(("service_account_info",), service_account_info=node).fill("http://here", "http://here/token")
    text = config.values["service_account_info"]
    account = json.loads(text)
    assert account["token_uri"] == "http://here/token"
    assert account["private_key"].startswith("-----BEGIN PRIVATE KEY-----")
    assert text in config.accepted
    assert {text, account["private_key"].splitlines()[1]} <= config.secrets


def test_a_field_that_only_names_a_service_account_is_filled_in_as_any_other():
    config = form(("service_account_email",), service_account_email={"type": "string"}).fill("http://here", None)
    assert config.values["service_account_email"].startswith("kit")


def test_the_packages_tests_call_no_value_of_one_kind_as_a_secret_of_another() -> None:
    """With a field beside them, the made-up values of each kind sort otherwise."""
    kinds = [
        {"title": title, "type": "object", "required": list(fields), "properties": dict.fromkeys(fields, SECRET)}
        for title, fields in (("Token", ("token",)), ("Key and secret", ("key", "secret")))
    ]
    properties = {
        "base_url": {"type": "string"},
        "credentials": {"type": "object", "oneOf": kinds},
        **{f"field{number}": {"type": "string"} for number in range(20)},
    }
    spec = {"required": ["base_url", "credentials"], "properties": properties}
    also = frozenset(f"field{number}" for number in range(20))
    ways = fill_in(spec, SimulatedApi(title="x", endpoints={}), "http://api.invalid", None, also)
    plain = [right[name] for right in ways.right.values() for name in also]
    assert len(plain) == 40
    assert not set(plain) & set(ways.hidden)
