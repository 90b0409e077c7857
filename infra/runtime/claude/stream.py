"""A reply as it arrives: server-sent events, what they say of tokens, and whether they came to their end. Pure.

https://platform.claude.com/docs/en/build-with-claude/streaming
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from contracts.turns import Usage

_BYTES_PER_TOKEN = 2
"""Of text that was received before a stream was cut off: more tokens than it can have had."""


class Received:
    """What was received of one reply so far. ``block``: the kind of block that is coming; of a call, the tool."""

    def __init__(self) -> None:
        self.body = bytearray()
        self.model = ""
        self.block = ""
        self.error: str | None = None
        self.complete = False
        self._told: dict[str, Any] = {}
        self._written = 0
        self._inputs: dict[int, str] = {}
        self._scanned = 0

    def feed(self, chunk: bytes) -> None:
        """Take in the next bytes."""
        self.body += chunk
        for event in self._events():
            self._fold(event)

    @property
    def why_not(self) -> str | None:
        """Why this is no reply that can be used; None: it is one."""
        if self.error is not None:
            return self.error
        if not self.complete:
            return "the reply was cut off"
        return self._broken_input()

    @property
    def started(self) -> bool:
        """Whether the model began to answer: what it read and wrote so far costs money."""
        return bool(self._told)

    @property
    def output_tokens(self) -> int:
        """As told; while it is coming, at least as many as its text can be."""
        told = int(self._told.get("output_tokens") or 0)
        return told if self.complete else max(told, self._written // _BYTES_PER_TOKEN)

    @property
    def usage(self) -> Usage:
        """All that was used, a compaction on the server's side included: the totals leave that out."""
        return usage_of({**self._told, "output_tokens": self.output_tokens})

    def _events(self) -> Iterator[dict[str, Any]]:
        """Each ``data`` line that has arrived whole. The API sends each event's JSON in one line."""
        while (end := self.body.find(b"\n", self._scanned)) >= 0:
            line = bytes(self.body[self._scanned : end]).rstrip(b"\r")
            self._scanned = end + 1
            if line.startswith(b"data:"):
                try:
                    event = json.loads(line[5:])
                except ValueError:
                    self.error = "the reply holds an event that is no JSON"
                    return
                if isinstance(event, dict):
                    yield event

    def _fold(self, event: dict[str, Any]) -> None:
        match event.get("type"):
            case "message_start":
                message = event.get("message") or {}
                self.model = str(message.get("model", ""))
                self._told.update(message.get("usage") or {})
            case "message_delta":
                self._told.update({k: v for k, v in (event.get("usage") or {}).items() if v is not None})
            case "message_stop":
                self.complete = True
            case "content_block_start":
                block = event.get("content_block") or {}
                self.block = str(block.get("name") or block.get("type") or "")
            case "content_block_delta":
                self._delta(event.get("index", 0), event.get("delta") or {})
            case "error":
                error = event.get("error") or {}
                self.error = f"the server ended the reply with {error.get('type')}: {error.get('message')}"

    def _delta(self, index: int, delta: dict[str, Any]) -> None:
        text = delta.get("text") or delta.get("thinking") or delta.get("partial_json") or ""
        self._written += len(str(text).encode())
        if delta.get("type") == "input_json_delta":
            self._inputs[index] = self._inputs.get(index, "") + str(delta.get("partial_json") or "")

    def _broken_input(self) -> str | None:
        """An input that is no JSON breaks the SDK's accumulation; one that ``max_tokens`` cut off does not. Read as
        it is read there (`anthropic.lib.streaming`)."""
        from jiter import from_json

        for text in self._inputs.values():
            try:
                from_json(text.encode() or b"{}", partial_mode=True)
            except ValueError:
                return "the reply holds a tool call whose input is no JSON"
        return None


def usage_of(told: dict[str, Any]) -> Usage:
    """Our `Usage` of the ``usage`` that a reply told; a compaction's tokens are not in its totals and are added."""
    searches = told.get("server_tool_use") or {}
    total = Usage(
        **{name: told.get(name) or 0 for name in _TOKENS},
        web_search_requests=searches.get("web_search_requests") or 0,
        web_fetch_requests=searches.get("web_fetch_requests") or 0,
    )
    for iteration in told.get("iterations") or ():
        if iteration.get("type") == "compaction":
            total += Usage(**{name: iteration.get(name) or 0 for name in _TOKENS})
    return total


_TOKENS = ("input_tokens", "output_tokens", "cache_read_input_tokens", "cache_creation_input_tokens")
