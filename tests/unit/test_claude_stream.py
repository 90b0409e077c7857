from __future__ import annotations

import json
from typing import Any

import pytest

from contracts.turns import Usage
from infra.runtime.claude.stream import Received, usage_of
from infra.runtime.claude.transport import request_hash


def sse(*events: dict[str, Any]) -> bytes:
    return b"".join(f"event: {e['type']}\ndata: {json.dumps(e)}\n\n".encode() for e in events)


START = {"type": "message_start", "message": {"model": "m", "usage": {"input_tokens": 7, "output_tokens": 1}}}
TEXT = {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "x" * 20}}
END = {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 5}}
STOP = {"type": "message_stop"}


def received(content: bytes, size: int = 7) -> Received:
    taken = Received()
    for start in range(0, len(content), size):
        taken.feed(content[start : start + size])
    return taken


@pytest.mark.parametrize("size", [1, 7, 10_000])
def test_a_whole_reply_is_told_whatever_the_pieces(size: int) -> None:
    whole = received(sse(START, TEXT, END, STOP), size)

    assert whole.why_not is None
    assert (whole.model, whole.usage) == ("m", Usage(input_tokens=7, output_tokens=5))


def test_a_reply_that_was_cut_off_is_none_and_what_came_is_counted() -> None:
    cut = received(sse(START, TEXT))

    assert cut.why_not == "the reply was cut off"
    assert cut.started
    assert cut.usage == Usage(input_tokens=7, output_tokens=10)  # of 20 bytes: more than it can have been


def test_an_error_event_ends_it() -> None:
    error = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}

    assert received(sse(START, error)).why_not == "the server ended the reply with overloaded_error: Overloaded"


@pytest.mark.parametrize("content", [b"<html>not yours</html>\n", b"data: {broken\n\n", b""])
def test_what_is_no_stream_is_no_reply(content: bytes) -> None:
    assert received(content).why_not is not None
    assert not received(content).started


@pytest.mark.parametrize(
    ("text", "well"), [('{"a": 1}', True), ('{"a": "cut', True), ('{"a": }', False), ("", True)]
)
def test_the_input_of_a_call_is_json_or_its_beginning(text: str, well: bool) -> None:
    piece = {"type": "content_block_delta", "index": 1, "delta": {"type": "input_json_delta", "partial_json": text}}

    assert (received(sse(START, piece, END, STOP)).why_not is None) is well


def test_a_compaction_is_paid_on_top_of_the_totals() -> None:
    told = {
        "input_tokens": 10,
        "output_tokens": 2,
        "server_tool_use": {"web_search_requests": 3, "web_fetch_requests": 0},
        "iterations": [
            {"type": "compaction", "input_tokens": 100, "output_tokens": 20},
            {"type": "message", "input_tokens": 10, "output_tokens": 2},
        ],
    }
    assert usage_of(told) == Usage(input_tokens=110, output_tokens=22, web_search_requests=3)


def test_a_request_has_one_hash_however_it_is_spelled() -> None:
    assert request_hash(b'{"b": 1, "a": "\\u00e4"}') == request_hash('{"a":"ä","b":1}'.encode())
    assert request_hash(b'{"a": 1}') != request_hash(b'{"a": 2}')
