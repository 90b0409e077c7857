"""What a script may answer, and the words to write it with.

``thinking("Which file?") + call("read", file_path="a.py") + call("read", file_path="b.py")`` is one reply of three
blocks. ``say("Half an answ").stopping("max_tokens")``, ``say("Hello").cut(after_events=3)`` change how it ends.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from tests.support.claude_server.messages import Block, digest

StopReason = Literal[
    "end_turn",
    "max_tokens",
    "stop_sequence",
    "tool_use",
    "pause_turn",
    "compaction",
    "refusal",
    "model_context_window_exceeded",
]


@dataclass(frozen=True)
class Cut:
    """The connection breaks off after so many events of the stream."""

    after_events: int


@dataclass(frozen=True)
class Stall:
    """Nothing comes for a while after so many events of the stream; then it goes on."""

    after_events: int
    silence_s: float


@dataclass(frozen=True)
class StreamError:
    """An ``error`` event after so many events of the stream, and its end."""

    after_events: int
    kind: str
    message: str


@dataclass(frozen=True)
class Reply:
    """A turn of the model.

    Without ``stop_reason`` it stops with ``tool_use`` if it calls a tool of the client, else with ``end_turn``. The
    blocks have no ids yet: `tests.support.claude_server.stream.message` gives them.
    """

    content: tuple[Block, ...] = ()
    stop_reason: StopReason | None = None
    interruption: Cut | Stall | StreamError | None = None
    latency_s: float = 0.0

    def __add__(self, other: Reply) -> Reply:
        return replace(self, content=self.content + other.content)

    @property
    def stop(self) -> StopReason:
        if self.stop_reason:
            return self.stop_reason
        return "tool_use" if any(block["type"] == "tool_use" for block in self.content) else "end_turn"

    def stopping(self, reason: StopReason) -> Reply:
        return replace(self, stop_reason=reason)

    def after(self, latency_s: float) -> Reply:
        """The first byte of the answer comes so much later."""
        return replace(self, latency_s=latency_s)

    def cut(self, *, after_events: int) -> Reply:
        return replace(self, interruption=Cut(after_events))

    def stalled(self, *, after_events: int, silence_s: float) -> Reply:
        return replace(self, interruption=Stall(after_events, silence_s))

    def broken(self, *, after_events: int, kind: str = "overloaded_error", message: str = "Overloaded") -> Reply:
        return replace(self, interruption=StreamError(after_events, kind, message))


@dataclass(frozen=True)
class Failure:
    """An error with a status of its own and a body as the API sends it (platform.claude.com/docs/en/api/errors)."""

    status: int
    kind: str
    message: str
    headers: Mapping[str, str] = field(default_factory=dict)
    details: Mapping[str, Any] | None = None

    def retry_after(self, retry_after_s: float) -> Failure:
        """With the header that says when to ask again. The API sends whole seconds; the SDK takes parts of one."""
        return replace(self, headers={**self.headers, "retry-after": f"{retry_after_s:g}"})


Answer = Reply | Failure


def say(text: str) -> Reply:
    return Reply(({"type": "text", "text": text},))


def outcome(value: Mapping[str, Any]) -> Reply:
    """The final text of structured output."""
    return say(json.dumps(value))


def thinking(text: str) -> Reply:
    return Reply(({"type": "thinking", "thinking": text, "signature": signature(text)},))


def signature(thought: str) -> str:
    """What the API signs a thought with: it comes back unchanged or the request is refused."""
    return digest("thinking", thought)


def call(tool: str, /, **given: Any) -> Reply:
    """The model calls ``tool``, which need not exist, with this input, which need not fit."""
    return Reply(({"type": "tool_use", "name": tool, "input": given},))


def call_with_broken_json(tool: str, json_text: str) -> Reply:
    """A call whose input is streamed as ``json_text``, which does not parse."""
    return Reply(({"type": "tool_use", "name": tool, "input": {}, "json_text": json_text},))


def compaction(summary: str) -> Reply:
    """What came before is summed up; ``.stopping("compaction")`` is the pause after it."""
    return Reply(({"type": "compaction", "content": summary},))


@dataclass(frozen=True)
class Page:
    """A page of the web as the provider's search finds it."""

    url: str
    title: str = ""
    content: str = ""
    page_age: str | None = None


def web_search(query: str, *pages: Page, error_code: str | None = None) -> Reply:
    """The provider searches; with ``error_code`` (such as ``max_uses_exceeded``) it could not."""
    found: Any = [
        {
            "type": "web_search_result",
            "url": page.url,
            "title": page.title,
            "encrypted_content": digest("page", page.content),
            "page_age": page.page_age,
        }
        for page in pages
    ]
    if error_code:
        found = {"type": "web_search_tool_result_error", "error_code": error_code}
    return _server_tool("web_search", {"query": query}, found)


def web_fetch(page: Page, *, error_code: str | None = None) -> Reply:
    """The provider fetches ``page``; its content is in the reply, hostile or not."""
    found: Any = {
        "type": "web_fetch_result",
        "url": page.url,
        "retrieved_at": None,
        "content": {
            "type": "document",
            "title": page.title or None,
            "source": {"type": "text", "media_type": "text/plain", "data": page.content},
        },
    }
    if error_code:
        found = {"type": "web_fetch_tool_result_error", "error_code": error_code}
    return _server_tool("web_fetch", {"url": page.url}, found)


def _server_tool(name: str, given: Mapping[str, Any], found: Any) -> Reply:
    return Reply(
        (
            {"type": "server_tool_use", "name": name, "input": given},
            {"type": f"{name}_tool_result", "content": found},
        )
    )


def rate_limited(retry_after_s: float = 1) -> Failure:
    message = "This request would exceed your organization's rate limit of input tokens per minute."
    return Failure(429, "rate_limit_error", message).retry_after(retry_after_s)


def overloaded() -> Failure:
    return Failure(529, "overloaded_error", "Overloaded")


def server_error() -> Failure:
    return Failure(500, "api_error", "Internal server error")


def invalid_key() -> Failure:
    return Failure(401, "authentication_error", "invalid x-api-key")


def invalid_request(message: str) -> Failure:
    return Failure(400, "invalid_request_error", message)
