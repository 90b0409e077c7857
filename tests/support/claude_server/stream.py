"""A reply as the API's JSON, and as the events of its stream. Pure.

The order and the fields of the events are those of platform.claude.com/docs/en/build-with-claude/streaming, and
what `anthropic.lib.streaming._beta_messages.accumulate_event` reads.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from tests.support.claude_server.cache import Usage
from tests.support.claude_server.messages import MessagesRequest, digest
from tests.support.claude_server.replies import Failure, Reply
from tests.support.claude_server.usage import usage_of

Event = Mapping[str, Any]
_PIECE_CHARS = 48
_OPENED_WHOLE = {"web_search_tool_result", "web_fetch_tool_result"}


def message(reply: Reply, request: MessagesRequest, usage: Usage) -> dict[str, Any]:
    """The whole message. Ids follow from the request's body, so who repeats itself is asked the same again."""
    return {
        "id": "msg_" + digest(request.fingerprint, request.attempt)[:24],
        "type": "message",
        "role": "assistant",
        "model": request.model,
        "content": _with_ids(reply, request),
        "stop_reason": reply.stop,
        "stop_sequence": None,
        "stop_details": _refusal() if reply.stop == "refusal" else None,
        "context_management": {"applied_edits": []} if request.body.get("context_management") else None,
        "usage": usage_of(reply, usage),
    }


def _with_ids(reply: Reply, request: MessagesRequest) -> list[dict[str, Any]]:
    made: list[dict[str, Any]] = []
    for number, block in enumerate(reply.content):
        kind, rest = block["type"], {name: value for name, value in block.items() if name != "type"}
        own = digest(request.fingerprint, number)[:24]
        if kind == "tool_use":
            made.append({"type": kind, "id": f"toolu_{own}", **rest})
        elif kind == "server_tool_use":
            made.append({"type": kind, "id": f"srvtoolu_{own}", **rest})
        elif kind in _OPENED_WHOLE:
            made.append({"type": kind, "tool_use_id": made[-1]["id"], **rest})
        else:
            made.append(dict(block))
    return made


def _refusal() -> dict[str, Any]:
    return {"type": "refusal", "category": None, "explanation": None}


def plain(whole: Mapping[str, Any]) -> dict[str, Any]:
    """The message without a stream: there, input that does not parse cannot be told."""
    content = [{name: value for name, value in block.items() if name != "json_text"} for block in whole["content"]]
    return {**whole, "content": content}


def events(whole: Mapping[str, Any]) -> Iterator[Event]:
    """The message, event by event."""
    known_at_the_end = ("stop_reason", "stop_details", "context_management")
    opened = {**whole, "content": [], **dict.fromkeys(known_at_the_end)}
    opened["usage"] = {**whole["usage"], "output_tokens": 1, "iterations": None, "server_tool_use": None}
    yield {"type": "message_start", "message": opened}
    for index, block in enumerate(whole["content"]):
        yield {"type": "content_block_start", "index": index, "content_block": _opening(block)}
        if index == 0:
            yield {"type": "ping"}
        for delta in _deltas(block):
            yield {"type": "content_block_delta", "index": index, "delta": delta}
        yield {"type": "content_block_stop", "index": index}
    ending = {name: whole[name] for name in ("stop_reason", "stop_sequence", "stop_details")}
    managed = whole["context_management"]
    yield {"type": "message_delta", "delta": ending, "usage": whole["usage"], "context_management": managed}
    yield {"type": "message_stop"}


def _opening(block: Mapping[str, Any]) -> dict[str, Any]:
    """A block as it is before its deltas."""
    empty: dict[str, dict[str, Any]] = {
        "text": {"text": ""},
        "thinking": {"thinking": "", "signature": ""},
        "tool_use": {"input": {}},
        "server_tool_use": {"input": {}},
        "compaction": {"content": None},
    }
    opened = {**block, **empty.get(block["type"], {})}
    opened.pop("json_text", None)
    return opened


def _deltas(block: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    kind = block["type"]
    if kind == "text":
        for piece in _pieces(block["text"]):
            yield {"type": "text_delta", "text": piece}
    elif kind == "thinking":
        for piece in _pieces(block["thinking"]):
            yield {"type": "thinking_delta", "thinking": piece}
        yield {"type": "signature_delta", "signature": block["signature"]}
    elif kind in ("tool_use", "server_tool_use"):
        yield {"type": "input_json_delta", "partial_json": ""}
        for piece in _pieces(block.get("json_text") or json.dumps(block["input"])):
            yield {"type": "input_json_delta", "partial_json": piece}
    elif kind == "compaction":
        yield {"type": "compaction_delta", "content": block["content"]}


def _pieces(text: str) -> Iterator[str]:
    for begin in range(0, len(text), _PIECE_CHARS):
        yield text[begin : begin + _PIECE_CHARS]


def error_body(failure: Failure, request_id: str) -> dict[str, Any]:
    error: dict[str, Any] = {"type": failure.kind, "message": failure.message}
    if failure.details:
        error["details"] = dict(failure.details)
    return {"type": "error", "error": error, "request_id": request_id}


def sse(event: Event) -> bytes:
    return f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode()
