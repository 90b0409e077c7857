"""What the scripted Messages API refuses, as the real one does."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.claude_server.messages import MessagesRequest
from tests.support.claude_server.replies import signature
from tests.support.claude_server.validation import refusal

MARK = {"type": "ephemeral"}
USER = {"role": "user", "content": "Hello"}
TOOL = {"name": "read", "input_schema": {"type": "object"}}
CALL = {"type": "tool_use", "id": "a", "name": "read", "input": {}}
RESULT = {"type": "tool_result", "tool_use_id": "a", "content": "text"}
SEARCH = {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {}}
FOUND = {"type": "web_search_tool_result", "tool_use_id": "s", "content": []}
MARKED = {"type": "text", "text": "x", "cache_control": MARK}


def said(*contents: Any) -> list[dict[str, Any]]:
    """Messages of both sides by turns; the user begins."""
    return [{"role": ("user", "assistant")[at % 2], "content": content} for at, content in enumerate(contents)]


def asked(body: dict[str, Any], *, key: str = "expected", **headers: str) -> MessagesRequest:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return MessagesRequest(body, {"anthropic-version": "2026-10-21", **named}, key)


def refused(**change: Any) -> str:
    """The error to a good request with ``change`` (``None`` leaves a field out); empty if it is taken."""
    body = {"model": "m", "max_tokens": 9, "messages": [USER], **change}
    failure = refusal(asked({name: value for name, value in body.items() if value is not None}))
    assert failure is None or (failure.status, failure.kind) == (400, "invalid_request_error")
    return failure.message if failure else ""


@pytest.mark.parametrize("key", ["missing", "wrong"])
def test_without_the_key_nothing_is_answered(key):
    failure = refusal(asked({}, key=key))
    assert failure is not None
    assert (failure.status, failure.kind) == (401, "authentication_error")


def test_version_is_needed():
    failure = refusal(MessagesRequest({}, {}, "expected"))
    assert failure is not None
    assert failure.message == "anthropic-version: header is required"


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"messages": said("q", [CALL], [RESULT]), "tools": [TOOL]},
        {"messages": said("q", [CALL, {**CALL, "id": "b"}], [{**RESULT, "tool_use_id": "b"}, RESULT])},
        {"messages": said("q", [CALL, {**CALL, "id": "b"}], [RESULT]) + said([{**RESULT, "tool_use_id": "b"}])},
        {"messages": said("q", [SEARCH, FOUND], "more")},
        {"messages": said("q", [SEARCH])},
        {"messages": said("q", [{"type": "thinking", "thinking": "t", "signature": signature("t")}], "more")},
        {"messages": said("q", [{"type": "compaction", "content": "sum"}], "more")[1:]},
        {"messages": said([MARKED] * 4)},
        {"messages": said([MARKED]), "cache_control": MARK},
    ],
)
def test_good_requests_are_taken(change):
    assert refused(**change) == ""


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"max_tokens": None}, "max_tokens: Field required"),
        ({"model": None}, "model: Field required"),
        ({"messages": None}, "messages: Field required"),
        ({"messages": []}, "at least one message is required"),
        ({"messages": [{"role": "user"}]}, "messages.0.content: Field required"),
        ({"colour": "red"}, "colour: Extra inputs are not permitted"),
        ({"thread": {"type": "create"}}, "thread: not supported"),
        ({"messages": [*said("q", "a")[1:], USER]}, 'first message must use the "user" role'),
        ({"messages": said("q", "a")}, "does not support assistant message prefill"),
        ({"messages": said("q", [], "more")}, "non-empty content"),
        ({"messages": said(" ")}, "non-whitespace text"),
        ({"messages": said("q", [CALL], "no result")}, "without `tool_result` blocks immediately after: a"),
        ({"messages": said("q", [CALL], [{"type": "text", "text": "first"}, RESULT])}, "immediately after: a"),
        ({"messages": said([RESULT])}, "unexpected `tool_use_id` found in `tool_result` blocks: a"),
        ({"messages": said("q", [CALL], [RESULT], [CALL], [RESULT])}, "ids must be unique"),
        ({"messages": said("q", [SEARCH], "more")}, "without a corresponding `web_search_tool_result` block"),
        (
            {"messages": said("q", [{"type": "thinking", "thinking": "t", "signature": "forged"}], "more")},
            "Invalid `signature`",
        ),
        ({"messages": said([MARKED] * 5)}, "A maximum of 4 blocks with cache_control may be provided. Found 5."),
        ({"messages": said([MARKED] * 4 + [{"type": "text", "text": "x"}]), "cache_control": MARK}, "Found 5."),
        ({"messages": said([MARKED, {**MARKED, "cache_control": {**MARK, "ttl": "1h"}}])}, "must not come after"),
        ({"tools": [TOOL, TOOL]}, "Tool names must be unique"),
        ({"tools": [{"name": "a b", "input_schema": {"type": "object"}}]}, "should match pattern"),
        ({"tools": [{"name": "a"}]}, "input_schema.type"),
        ({"tool_choice": {"type": "any"}}, "only be specified while providing tools"),
        ({"thinking": {"type": "enabled", "budget_tokens": 100}}, "greater than or equal to 1024"),
        ({"thinking": {"type": "enabled", "budget_tokens": 2000}}, "must be greater than `thinking.budget_tokens`"),
        ({"context_management": {"edits": [{"type": "compact_20260112"}]}}, "compact-2026-01-12"),
    ],
)
def test_bad_requests_are_refused(change, message):
    assert message in refused(**change)


@pytest.mark.parametrize(
    ("schema", "message"),
    [
        ({"type": "object", "properties": {}}, "'additionalProperties' must be explicitly set to false"),
        ({"$defs": {"a": {"type": "object"}}}, "'additionalProperties'"),
        ({"anyOf": [{"type": "integer", "minimum": 1}]}, "For 'integer' type, properties minimum"),
        ({"type": "object", "additionalProperties": False, "properties": {"minimum": {"type": "integer"}}}, ""),
    ],
)
def test_schema_of_the_output_is_checked(schema, message):
    found = refused(output_config={"format": {"type": "json_schema", "schema": schema}})
    assert message in found
    assert bool(message) == bool(found)


def test_beta_allows_what_it_is_for():
    body = {"model": "m", "max_tokens": 9, "messages": [USER]}
    body["context_management"] = {"edits": [{"type": "compact_20260112"}]}
    assert refusal(asked(body, anthropic_beta="other, compact-2026-01-12")) is None
