"""The ``usage`` of an answer, as the API reports it. Pure."""

from __future__ import annotations

from collections import Counter
from typing import Any

from tests.support.claude_server.cache import Usage, tokens_of
from tests.support.claude_server.replies import Reply


def written_tokens(reply: Reply) -> int:
    """The tokens of the answer; even of an empty one there are some."""
    return tokens_of([block for block in reply.content if block["type"] != "compaction"]) + 1


def usage_of(reply: Reply, usage: Usage) -> dict[str, Any]:
    """``usage`` in the API's JSON.

    A compaction read the whole prompt and is paid for apart, in ``iterations``; what was written after it read the
    summary, and after a pause nothing was (platform.claude.com/docs/en/build-with-claude/compaction).
    """
    summary = tokens_of([block for block in reply.content if block["type"] == "compaction"])
    if not summary:
        return _figures(usage, written_tokens(reply)) | _others(reply)
    compacted = {"type": "compaction", **_figures(usage, summary)}
    if reply.stop == "compaction":
        return _figures(Usage(0), 0) | _others(reply) | {"iterations": [compacted]}
    answered = _figures(Usage(summary), written_tokens(reply))
    return answered | _others(reply) | {"iterations": [compacted, {"type": "message", **answered}]}


def _figures(usage: Usage, output_tokens: int) -> dict[str, Any]:
    return {
        "input_tokens": usage.input_tokens,
        "cache_read_input_tokens": usage.read_tokens,
        "cache_creation_input_tokens": usage.written_tokens,
        "cache_creation": {
            "ephemeral_5m_input_tokens": usage.written_5m_tokens,
            "ephemeral_1h_input_tokens": usage.written_1h_tokens,
        },
        "output_tokens": output_tokens,
    }


def _others(reply: Reply) -> dict[str, Any]:
    asked = Counter(str(block["name"]) for block in reply.content if block["type"] == "server_tool_use")
    counts = {"web_search_requests": asked["web_search"], "web_fetch_requests": asked["web_fetch"]}
    return {"service_tier": "standard", "server_tool_use": counts if asked else None}
