"""How spans of model calls are spelled: OpenTelemetry's GenAI conventions 0.1.0, and no content of a conversation.

https://github.com/open-telemetry/semantic-conventions-genai/blob/v0.1.0/docs/gen-ai/client-inference.md
"""

from __future__ import annotations

import httpx2

from contracts.turns import Reply
from infra.runtime.telemetry.spans import Attributes

_PROVIDER: Attributes = {"gen_ai.provider.name": "anthropic"}


def agent(name: str, model: str) -> Attributes:
    """Of ``invoke_agent``: one conversation."""
    return {
        **_PROVIDER,
        "gen_ai.operation.name": "invoke_agent",
        "gen_ai.agent.name": name,
        "gen_ai.request.model": model,
    }


def tool(name: str) -> Attributes:
    """Of ``execute_tool``."""
    return {
        **_PROVIDER,
        "gen_ai.operation.name": "execute_tool",
        "gen_ai.tool.name": name,
        "gen_ai.tool.type": "function",
    }


def request(url: httpx2.URL, model: str, max_tokens: int) -> Attributes:
    """Of ``chat``: one request. The conventions want one span for all retries; here each has its own, for each is
    paid."""
    return {
        **_PROVIDER,
        "gen_ai.operation.name": "chat",
        "gen_ai.request.model": model,
        "gen_ai.request.max_tokens": max_tokens,
        "gen_ai.request.stream": True,
        "gen_ai.output.type": "json",
        "server.address": url.host,
        "server.port": url.port or (443 if url.scheme == "https" else 80),
    }


def response(reply: Reply) -> Attributes:
    """What was paid. Input tokens are all of them, those of the cache too."""
    used = reply.usage
    return {
        "gen_ai.response.model": reply.model,
        "gen_ai.usage.input_tokens": used.all_input_tokens,
        "gen_ai.usage.output_tokens": used.output_tokens,
        "gen_ai.usage.cache_read.input_tokens": used.cache_read_input_tokens,
        "gen_ai.usage.cache_write.input_tokens": used.cache_creation_input_tokens,
        "connectors.cost_usd": reply.cost_usd,
    }
