"""What the Messages API refuses, with the words it uses. Pure.

The rules are those of platform.claude.com/docs/en/api/messages, .../api/errors, .../agents-and-tools/tool-use and
.../build-with-claude/prompt-caching. Not all of them: those that a client of ours could break.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from tests.support.claude_server.messages import Block, MessagesRequest, all_blocks, blocks_of, turns
from tests.support.claude_server.replies import Failure, invalid_key, invalid_request, signature

_KNOWN = {
    *("model", "max_tokens", "messages", "system", "tools", "tool_choice", "stream", "thinking", "output_config"),
    *("cache_control", "metadata", "stop_sequences", "service_tier", "speed", "inference_geo", "container"),
    *("context_management", "compaction", "mcp_servers", "fallbacks", "fallback_credit_token", "diagnostics"),
}
_BETAS = {"clear_": "context-management-2025-06-27", "compact_": "compact-2026-01-12"}
_COMPACTION_BETA = "compact-2026-09-04"
_MIN_THINKING_TOKENS = 1024
_UNSUPPORTED = {
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "exclusiveMaximum",
    "multipleOf",
    "minLength",
    "maxLength",
}
_MAX_BREAKPOINTS = 4
_TOOL_NAME = re.compile(r"[a-zA-Z0-9_-]{1,128}")
_SERVER_RESULTS = {"web_search_tool_result", "web_fetch_tool_result"}
_UNMARKED = {"thinking", "redacted_thinking"}


def refusal(request: MessagesRequest) -> Failure | None:
    """The error that the API answers, or nothing if it would take the request."""
    if request.key == "missing":
        return Failure(401, "authentication_error", "x-api-key header is required")
    if request.key == "wrong":
        return invalid_key()
    if "anthropic-version" not in request.headers:
        return invalid_request("anthropic-version: header is required")
    if request.body.get("thread"):
        return _unthreaded()
    problem = next(_problems(request), None)
    return invalid_request(problem) if problem else None


def _unthreaded() -> Failure:
    """No conversation is held here, as on many a server of this API: the SDK then sends all of it each time.

    A request that continues a thread does not hold what came before it, so a ledger cannot know it by its body: ask
    with ``thread=False``. A client that does not is seen in what was refused.
    """
    details = {"error_code": "thread_unsupported_request", "unsupported": ["thread"]}
    return Failure(400, "invalid_request_error", "thread: not supported for this request", details=details)


def _problems(request: MessagesRequest) -> Iterator[str]:
    yield from _fields(request.body)
    yield from _tools(request.body)
    yield from _settings(request)
    yield from _order(request)
    yield from _contents(request.messages)
    yield from _pairs(request.messages)
    yield from _breakpoints(request.body)


def _fields(body: Mapping[str, Any]) -> Iterator[str]:
    for name in ("model", "max_tokens", "messages"):
        if name not in body:
            yield f"{name}: Field required"
    if not isinstance(body.get("model"), str):
        yield "model: Input should be a valid string"
    if type(body["max_tokens"]) is not int or body["max_tokens"] < 0:
        yield "max_tokens: Input should be greater than or equal to 0"
    if not isinstance(body["messages"], list):
        yield "messages: Input should be a valid list"
    if not body["messages"]:
        yield "messages: at least one message is required"
    for at, message in enumerate(body["messages"]):
        if not isinstance(message, dict) or not isinstance(message.get("content"), str | list):
            yield f"messages.{at}.content: Field required"
    for name in sorted(body.keys() - _KNOWN):
        yield f"{name}: Extra inputs are not permitted"


def _tools(body: Mapping[str, Any]) -> Iterator[str]:
    names: set[str] = set()
    for at, tool in enumerate(body.get("tools") or []):
        name = str(tool.get("name", ""))
        if not _TOOL_NAME.fullmatch(name):
            yield f"tools.{at}.custom.name: String should match pattern '^[a-zA-Z0-9_-]{{1,128}}$'"
        if name in names:
            yield "tools: Tool names must be unique."
        names.add(name)
        if tool.get("type") in (None, "custom") and (tool.get("input_schema") or {}).get("type") != "object":
            yield f"tools.{at}.custom.input_schema.type: Input should be 'object'"
    if body.get("tool_choice") and not names:
        yield "tool_choice: may only be specified while providing tools."


def _settings(request: MessagesRequest) -> Iterator[str]:
    budget = (request.body.get("thinking") or {}).get("budget_tokens")
    if budget is not None and budget < _MIN_THINKING_TOKENS:
        yield f"thinking.enabled.budget_tokens: Input should be greater than or equal to {_MIN_THINKING_TOKENS}"
    if budget is not None and budget >= request.body["max_tokens"]:
        yield "`max_tokens` must be greater than `thinking.budget_tokens`"
    if request.body.get("compaction") and _COMPACTION_BETA not in request.betas:
        yield f"compaction: Extra inputs are not permitted (without the beta {_COMPACTION_BETA})"
    for edit in (request.body.get("context_management") or {}).get("edits", []):
        needed = next((beta for kind, beta in _BETAS.items() if str(edit.get("type")).startswith(kind)), None)
        if needed not in request.betas:
            yield f"context_management: Extra inputs are not permitted (without the beta {needed})"
    if request.schema is not None:
        yield from (f"output_config.format.schema: {problem}" for problem in _schema(request.schema))


def _schema(schema: Any) -> Iterator[str]:
    """What structured outputs do not take (build-with-claude/structured-outputs, "JSON Schema limitations")."""
    if isinstance(schema, list):
        for part in schema:
            yield from _schema(part)
    if not isinstance(schema, Mapping):
        return
    kind = schema.get("type")
    if kind == "object" and schema.get("additionalProperties") is not False:
        yield "For 'object' type, 'additionalProperties' must be explicitly set to false"
    if isinstance(kind, str) and (found := sorted(schema.keys() & _UNSUPPORTED)):
        yield f"For '{kind}' type, properties {', '.join(found)} are not supported"
    for name in ("properties", "$defs", "definitions"):
        yield from _schema([*(schema.get(name) or {}).values()])
    for name in ("items", "anyOf", "allOf", "oneOf"):
        yield from _schema(schema.get(name))


def _order(request: MessagesRequest) -> Iterator[str]:
    for at, message in enumerate(request.messages):
        if message.get("role") not in ("user", "assistant", "system"):
            yield f"messages.{at}.role: Input should be 'user', 'assistant' or 'system'"
    first, last = request.messages[0], request.messages[-1]
    if first["role"] != "user" and not _has(first, {"compaction"}):
        yield 'messages: first message must use the "user" role'
    if last["role"] == "assistant" and not _has(last, {"server_tool_use", "compaction"}):
        yield (
            "This model does not support assistant message prefill. The conversation must end with a user message."
        )


def _has(message: Mapping[str, Any], kinds: set[str]) -> bool:
    return any(block.get("type") in kinds for block in blocks_of(message.get("content")))


def _contents(messages: list[dict[str, Any]]) -> Iterator[str]:
    for at, message in enumerate(messages):
        if not blocks_of(message.get("content")):
            yield f"messages.{at}: all messages must have non-empty content"
    for at, number, block in all_blocks(messages):
        place = f"messages.{at}.content.{number}"
        if block.get("type") == "text" and not str(block.get("text", "")).strip():
            yield "messages: text content blocks must contain non-whitespace text"
        if block.get("type") == "thinking" and block.get("signature") != signature(str(block.get("thinking"))):
            yield f"{place}: Invalid `signature` in `thinking` block"


def _pairs(messages: list[dict[str, Any]]) -> Iterator[str]:
    """Every call of a tool is answered at the beginning of the next message, and nothing else is."""
    seen: set[str] = set()
    called: list[str] = []
    said = turns(messages)
    for at, (_, blocks) in enumerate(said):
        answered = {block.get("tool_use_id") for block in _leading_results(blocks)}
        if missing := [call for call in called if call not in answered]:
            yield _unanswered(at - 1, missing)
        for number, block in enumerate(blocks):
            if block.get("type") == "tool_result" and block.get("tool_use_id") not in called:
                yield _unexpected(at, number, block)
        called = [str(block.get("id")) for block in blocks if block.get("type") == "tool_use"]
        if len({*called}) < len(called) or seen & {*called}:
            yield f"messages.{at}: `tool_use` ids must be unique"
        seen |= {*called}
        yield from _server_pairs(at, blocks, is_last=at == len(said) - 1)
    if called:
        yield _unanswered(len(said) - 1, called)


def _unanswered(at: int, calls: list[str]) -> str:
    return (
        f"messages.{at}: `tool_use` ids were found without `tool_result` blocks immediately after: "
        f"{', '.join(calls)}. Each `tool_use` block must have a corresponding `tool_result` block in the next "
        "message."
    )


def _unexpected(at: int, number: int, result: Block) -> str:
    return (
        f"messages.{at}.content.{number}: unexpected `tool_use_id` found in `tool_result` blocks: "
        f"{result.get('tool_use_id')}. Each `tool_result` block must have a corresponding `tool_use` block in the "
        "previous message."
    )


def _leading_results(blocks: list[Block]) -> Iterator[Block]:
    for block in blocks:
        if block.get("type") != "tool_result":
            return
        yield block


def _server_pairs(at: int, blocks: list[Block], *, is_last: bool) -> Iterator[str]:
    results = {block.get("tool_use_id") for block in blocks if block.get("type") in _SERVER_RESULTS}
    for block in blocks:
        if block.get("type") == "server_tool_use" and block.get("id") not in results and not is_last:
            name = block.get("name")
            yield (
                f"messages.{at}: `{name}` tool use with id `{block.get('id')}` was found without a corresponding "
                f"`{name}_tool_result` block"
            )


def _breakpoints(body: Mapping[str, Any]) -> Iterator[str]:
    said = [block for _, _, block in all_blocks(body["messages"])]
    marked = [
        block
        for block in [*(body.get("tools") or []), *blocks_of(body.get("system")), *said]
        if block.get("cache_control")
    ]
    if any(block.get("type") in _UNMARKED for block in marked):
        yield "messages: thinking blocks cannot be marked with cache_control"
    if any(block.get("type") == "text" and not block.get("text") for block in marked):
        yield "messages: cache_control cannot be set for empty text blocks"
    count = len(marked) + bool(body.get("cache_control") and not (said and said[-1].get("cache_control")))
    if count > _MAX_BREAKPOINTS:
        yield f"A maximum of {_MAX_BREAKPOINTS} blocks with cache_control may be provided. Found {count}."
    ttls = [str(block["cache_control"].get("ttl") or "5m") for block in marked]
    if "5m" in ttls and "1h" in ttls[ttls.index("5m") :]:
        yield "a ttl='1h' cache_control block must not come after a ttl='5m' cache_control block"
