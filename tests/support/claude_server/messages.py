"""What a client of the Messages API sends: one request, as the server and its scripts see it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

Block = Mapping[str, Any]
"""A content block as in the API's JSON."""


@dataclass(frozen=True)
class MessagesRequest:
    """One request that arrived.

    ``headers`` have lower-case names and no credential. ``key``: what the credential was: ``expected``, ``wrong``
    or ``missing``. ``arrival``: how many requests with the same `marker` came before. ``attempt``: how many with
    the same `fingerprint` came before. ``at_s``: when it came, in seconds, by the server's clock.
    """

    body: Mapping[str, Any]
    headers: Mapping[str, str]
    key: str
    arrival: int = 0
    attempt: int = 0
    at_s: float = 0.0

    @property
    def model(self) -> str:
        return str(self.body.get("model", ""))

    @cached_property
    def fingerprint(self) -> str:
        """The same for requests that ask the same, streamed or not."""
        return digest({name: value for name, value in self.body.items() if name != "stream"})

    @property
    def streams(self) -> bool:
        return self.body.get("stream") is True

    @property
    def system(self) -> str:
        """The system prompt as one text."""
        return text_of(self.body.get("system"))

    @property
    def marker(self) -> str:
        """The first line of the system prompt: who asks."""
        return self.system.strip().partition("\n")[0].strip()

    @property
    def messages(self) -> list[dict[str, Any]]:
        found = self.body.get("messages")
        return [message for message in found if isinstance(message, dict)] if isinstance(found, list) else []

    @property
    def turn(self) -> int:
        """How many turns the model has had in this conversation."""
        return sum(message.get("role") == "assistant" for message in self.messages)

    @property
    def text(self) -> str:
        """The text of the last message."""
        return text_of(self.messages[-1].get("content")) if self.messages else ""

    @property
    def results(self) -> dict[str, str]:
        """What the tools answered in the last message, by the id of the call."""
        last = self.messages[-1] if self.messages else {}
        return {
            str(block.get("tool_use_id")): text_of(block.get("content"))
            for block in blocks_of(last.get("content"))
            if block.get("type") == "tool_result"
        }

    @property
    def told(self) -> list[str]:
        """What the tools have answered in the whole conversation, oldest first."""
        blocks = (block for _, _, block in all_blocks(self.messages) if block.get("type") == "tool_result")
        return [text_of(block.get("content")) for block in blocks]

    @property
    def tools(self) -> list[str]:
        """The names of the tools that are offered."""
        return [str(tool.get("name")) for tool in self.body.get("tools") or [] if isinstance(tool, dict)]

    @property
    def betas(self) -> set[str]:
        return {beta.strip() for beta in self.headers.get("anthropic-beta", "").split(",")} - {""}

    @property
    def schema(self) -> Mapping[str, Any] | None:
        """The JSON schema of the output that is asked for."""
        asked = (self.body.get("output_config") or {}).get("format") or {}
        return asked.get("schema")


def blocks_of(content: Any) -> list[Block]:
    """Content as blocks; a string is short for one block of text."""
    if isinstance(content, str):
        return [{"type": "text", "text": content}]
    return [block for block in content if isinstance(block, Mapping)] if isinstance(content, list | tuple) else []


def turns(messages: list[dict[str, Any]]) -> list[tuple[str, list[Block]]]:
    """Messages as roles and blocks; the API takes consecutive messages of one role as one turn."""
    made: list[tuple[str, list[Block]]] = []
    for message in messages:
        role, blocks = str(message.get("role")), blocks_of(message.get("content"))
        if made and made[-1][0] == role:
            made[-1][1].extend(blocks)
        else:
            made.append((role, [*blocks]))
    return made


def text_of(content: Any) -> str:
    return "\n".join(str(block.get("text", "")) for block in blocks_of(content) if block.get("type") == "text")


def all_blocks(messages: list[dict[str, Any]]) -> Iterator[tuple[int, int, Block]]:
    """Every block of every message: number of the message, number in it, block."""
    for at, message in enumerate(messages):
        for number, block in enumerate(blocks_of(message.get("content"))):
            yield at, number, block


def digest(*parts: object) -> str:
    """40 hexadecimal digits that the same parts always give."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:40]
