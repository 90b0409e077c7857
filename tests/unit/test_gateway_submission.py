"""What a user may submit: pure rules."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.events import Engine
from gateway.problems import Problem
from gateway.settings import Settings
from gateway.submission import check_spec_url, inline_document, parse, sniff

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda children: st.lists(children, max_size=3) | st.dictionaries(st.text(max_size=12), children, max_size=3),
    max_leaves=10,
)


def problem_of(call: Callable[[], object]) -> Problem | None:
    """The problem that ``call`` raises, if it does; anything else it raises fails the test."""
    try:
        call()
    except Problem as problem:
        return problem
    return None


FIELDS = ["connector_name", "connector_type", "spec_url", "engine", "policy", "document", "other"]


def test_the_seeds_quick_start_is_a_valid_submission() -> None:
    submission = parse({"connector_name": "google-sheets", "connector_type": "source"})
    assert (submission.connector_name, submission.engine, submission.policy.test_repairs) == (
        "google-sheets",
        Engine.AUTO,
        3,
    )


@pytest.mark.parametrize(
    ("body", "pointer", "words"),
    [
        ({}, "#/connector_name", "Field required"),
        ({"connector_name": "../../etc/passwd"}, "#/connector_name", "single hyphens"),
        ({"connector_name": "Google Sheets"}, "#/connector_name", "google-sheets"),
        ({"connector_name": "a" * 51}, "#/connector_name", "at most 50"),
        ({"connector_name": "acme\n"}, "#/connector_name", "single hyphens"),
        ({"connector_name": 7}, "#/connector_name", "string"),
        ({"connector_name": "acme", "connector_type": "destination"}, "#/connector_type", "come later"),
        ({"connector_name": "acme", "connector_type": "sink"}, "#/connector_type", "only `source`"),
        ({"connector_name": "acme", "engine": "gpt"}, "#/engine", "auto"),
        ({"connector_name": "acme", "nmae": 1}, "#/nmae", "no such field"),
        ({"connector_name": "acme", "policy": {"test_repair": 1}}, "#/policy/test_repair", "test_repairs"),
        ({"connector_name": "acme", "policy": {"test_repairs": 21}}, "#/policy/test_repairs", "20"),
        ({"connector_name": "acme", "policy": {"partial_percent": 10}}, "#/policy", "must not exceed"),
    ],
)
def test_a_faulty_field_is_named_and_explained(body: dict[str, Any], pointer: str, words: str) -> None:
    with pytest.raises(Problem) as caught:
        parse(body)
    assert caught.value.status == 422
    fault = next(fault for fault in caught.value.errors if fault["pointer"] == pointer)
    assert words in fault["detail"]
    assert words in caught.value.detail


@given(st.dictionaries(st.sampled_from(FIELDS), JSON, max_size=6) | JSON)
def test_any_json_is_taken_or_a_problem(body: Any) -> None:
    problem = problem_of(lambda: inline_document(parse(body).document))
    assert problem is None or (problem.status == 422 and json.loads(problem.response("/generate").body)["detail"])


@given(st.binary(max_size=300))
def test_any_bytes_are_a_document_or_a_problem(content: bytes) -> None:
    problem = problem_of(lambda: sniff(content))
    assert problem is not None or sniff(content).content == content
    assert problem is None or problem.kind == "no-openapi"


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "empty"),
        (b" \n\t ", "empty"),
        (b"%PDF-1.7 ...", "not text"),
        (b"PK\x03\x04", "not text"),
        (b"openapi: 3.0.0\0", "not text"),
        (b"<!DOCTYPE html><html>", "web page"),
        (b"hello: world\n", "neither"),
    ],
)
def test_what_is_no_openapi_is_refused_with_the_reason(content: bytes, why: str) -> None:
    with pytest.raises(Problem, match="no OpenAPI") as caught:
        sniff(content)
    assert why in caught.value.detail


@pytest.mark.parametrize(
    ("content", "media_type"),
    [
        (b'{"openapi": "3.1.0"}', "application/json"),
        (b"\xef\xbb\xbf# ours\nopenapi: 3.0.0\n", "application/yaml"),
        (b"swagger: '2.0'\n", "application/yaml"),
        (b"info: {}\n'openapi': 3.0.0\n", "application/yaml"),
        (b"components:\n" + b"  x: y\n" * 20_000 + b"openapi: 3.0.0\n", "application/yaml"),
    ],
)
def test_what_may_be_openapi_is_passed_on(content: bytes, media_type: str) -> None:
    assert sniff(content).media_type == media_type


def test_an_inline_object_is_kept_as_json() -> None:
    document = inline_document({"swagger": "2.0", "info": {"title": "Grüße"}})
    assert document is not None
    assert json.loads(document.content) == {"swagger": "2.0", "info": {"title": "Grüße"}}
    with pytest.raises(Problem, match="neither"):
        inline_document({"title": "x"})


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/passwd",
        "/etc/passwd",
        "C:\\openapi.yaml",
        "openapi.yaml",
        "ftp://example.com/openapi.yaml",
        "gopher://example.com/",
        "http://",
        "http:///openapi.json",
        "https://user:password@example.com/openapi.json",
        "https://token@example.com/openapi.json",
        "http://example.com:99999/",
        "http://[::1/",
        "http://exam ple.com/",
        "http://example.com/\r\nHost: evil",
        "https://example.com/" + "a" * 2048,
        "http://127.0.0.1/openapi.json",
        "http://localhost:8000/openapi.json",
        "http://api.localhost./openapi.json",
        "http://[::1]/openapi.json",
        "http://[::ffff:127.0.0.1]/",
        "http://0.0.0.0/",
        "http://10.1.2.3/openapi.json",
        "http://192.168.0.1/",
        "http://169.254.169.254/latest/meta-data",
        "http://[fd00::1]/",
        "http://metadata.google.internal/",
        "http://printer.local/",
    ],
)
def test_a_url_that_may_not_be_read_is_refused(url: str) -> None:
    with pytest.raises(Problem, match="spec_url") as caught:
        check_spec_url(url, allow_loopback=False)
    assert caught.value.status == 422
    assert "password" not in caught.value.detail


@pytest.mark.parametrize(
    "url", ["https://api.example.com/v1/openapi.json?x=1", "http://93.184.216.34/openapi.yaml"]
)
def test_a_public_url_is_taken(url: str) -> None:
    assert check_spec_url(url, allow_loopback=False) == url


def test_loopback_is_taken_only_where_allowed_and_private_never() -> None:
    for url in ("http://127.0.0.1:9/openapi.json", "http://localhost/openapi.json"):
        assert check_spec_url(url, allow_loopback=True) == url
    with pytest.raises(Problem):
        check_spec_url("http://10.0.0.1/", allow_loopback=True)


@given(st.text(max_size=60) | st.from_regex(r"https?://[^/]{0,20}(/.*)?", fullmatch=True))
def test_any_text_as_url_is_taken_or_a_problem(url: str) -> None:
    problem = problem_of(lambda: check_spec_url(url, allow_loopback=False))
    assert problem is None or problem.kind == "bad-spec-url"


@pytest.mark.parametrize(
    ("host", "accepted"),
    [
        ("localhost", True),
        ("127.0.0.1", True),
        ("[::1]", True),
        ("10.0.0.5", True),
        ("evil.example", False),
        ("", False),
    ],
)
def test_names_that_could_be_rebound_are_refused(host: str, accepted: bool) -> None:
    assert Settings().accepts_host(host) is accepted
    assert Settings(allowed_hosts=("evil.example",)).accepts_host("evil.example")
