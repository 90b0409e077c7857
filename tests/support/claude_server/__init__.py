"""A scripted Messages API: what stands in for Claude where there is no key.

Over real HTTP, with the API's own events, errors, refusals and cache figures, for the real SDK::

    async with serving([call("add", a=1, b=2), say("It is 3.")]) as server:
        client = AsyncAnthropic(api_key=KEY, base_url=server.url)

As a command: ``python -m tests.support.claude_server --script FILE --port N``.
"""

from tests.support.claude_server.messages import MessagesRequest
from tests.support.claude_server.replies import (
    Failure,
    Page,
    Reply,
    call,
    call_with_broken_json,
    compaction,
    invalid_key,
    invalid_request,
    outcome,
    overloaded,
    rate_limited,
    say,
    server_error,
    thinking,
    web_fetch,
    web_search,
)
from tests.support.claude_server.scripts import Script, ScriptError, by_turn, script, seeing
from tests.support.claude_server.server import KEY, ClaudeServer, serving

__all__ = [
    "KEY",
    "ClaudeServer",
    "Failure",
    "MessagesRequest",
    "Page",
    "Reply",
    "Script",
    "ScriptError",
    "by_turn",
    "call",
    "call_with_broken_json",
    "compaction",
    "invalid_key",
    "invalid_request",
    "outcome",
    "overloaded",
    "rate_limited",
    "say",
    "script",
    "seeing",
    "server_error",
    "serving",
    "thinking",
    "web_fetch",
    "web_search",
]
