"""What Anthropic's prompt cache would serve of a request. Pure: a cache is a mapping, the time an argument.

The rules are those of platform.claude.com/docs/en/build-with-claude/prompt-caching (section in brackets):

- The prompt is tools, then system, then messages; an entry is a hash of all of it up to a block, per model. A
  change of tools empties all, of the speed system and messages, of tool choice, thinking or effort the messages
  ("What invalidates the cache"; for thinking and effort some models lose more). The format of the output is
  rendered into the system prompt (build-with-claude/structured-outputs).
- Entries are written at breakpoints only, one each, and nowhere before ("How automatic prefix checking works").
- A read looks backward from each breakpoint over 20 positions, itself the first; a run of ``tool_use`` blocks is
  one position, and so is a run of ``tool_result`` blocks (same section).
- A ``cache_control`` of the whole request is a breakpoint on its last block that can be cached ("Automatic
  caching"). Thinking and empty text cannot be marked, and count as part of the prefix ("What cannot be cached").
- A prefix below the model's minimum is not cached, without an error ("Cache limitations").
- An entry lives for 5 minutes or 1 hour from the beginning of the request that last wrote or read it, and can be
  read when the first answer has begun.
- ``input_tokens`` are those after the last breakpoint ("Tracking cache performance"); with both lifetimes, what is
  written up to the last breakpoint of an hour is an hour's ("Mixing different TTLs").

Ours: a token is four bytes of UTF-8. Images count as their base64 text, which is too much.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tests.support.claude_server.messages import Block, blocks_of

LOOK_BACK_POSITIONS = 20
TTL_S = {"5m": 300.0, "1h": 3600.0}
_BYTES_PER_TOKEN = 4
_UNMARKED = {"thinking", "redacted_thinking"}
_RUNS = {"tool_use", "tool_result"}

_MINIMUM_TOKENS = {
    "claude-opus-5": 512,
    "claude-sonnet-5-5": 512,
    "claude-fable-5": 512,
    "claude-mythos-5": 512,
    "claude-mythos-preview": 2048,
    "claude-opus-4-7": 2048,
    "claude-opus-4-6": 4096,
    "claude-opus-4-5": 4096,
    "claude-haiku-4-5": 4096,
}


@dataclass(frozen=True)
class Entry:
    ttl: str
    expires_at_s: float


Cache = Mapping[str, Entry]
"""What is cached, by the hash of its prefix."""


@dataclass(frozen=True)
class Usage:
    """Input tokens of one request; their sum is the prompt."""

    input_tokens: int
    read_tokens: int = 0
    written_5m_tokens: int = 0
    written_1h_tokens: int = 0

    @property
    def written_tokens(self) -> int:
        return self.written_5m_tokens + self.written_1h_tokens

    @property
    def prompt_tokens(self) -> int:
        return self.input_tokens + self.read_tokens + self.written_tokens


@dataclass(frozen=True)
class Prefix:
    """The prompt up to and including one block. ``position`` is counted as the look-back does."""

    hash: str
    tokens: int
    position: int
    ttl: str | None
    """The lifetime of the breakpoint here, if there is one."""


def minimum_tokens(model: str) -> int:
    """The shortest prefix that is cached."""
    known = [name for name in _MINIMUM_TOKENS if model.startswith(name)]
    return _MINIMUM_TOKENS[max(known, key=len)] if known else 1024


def account(cache: Cache, body: Mapping[str, Any], now_s: float) -> tuple[Usage, Cache]:
    """What a request costs, and the entries that it writes or refreshes."""
    prompt = prefixes(body)
    if not prompt:
        return Usage(0), {}
    total = prompt[-1].tokens
    least = minimum_tokens(str(body.get("model", "")))
    marked = [n for n, prefix in enumerate(prompt) if prefix.ttl and prefix.tokens >= least]
    hit = max((n for at in marked for n in _found(cache, prompt, at, now_s)), default=None)
    entries = {prompt[n].hash: _entry(prompt[n].ttl or "5m", now_s) for n in marked}
    if hit is not None:
        known = cache[prompt[hit].hash]
        entries.setdefault(prompt[hit].hash, _entry(known.ttl, now_s))
    read = prompt[hit].tokens if hit is not None else 0
    end = max([read, *(prompt[n].tokens for n in marked)])
    hour = max([read, *(prompt[n].tokens for n in marked if prompt[n].ttl == "1h")])
    return Usage(total - end, read, end - hour, hour - read), entries


def repeated_tokens(bodies: Iterable[Mapping[str, Any]]) -> int:
    """Of these requests in their order, what one of those before began with, too: the most that any cache could
    have served, whatever its breakpoints, minimum and lifetime."""
    seen: set[str] = set()
    repeated = 0
    for body in bodies:
        prompt = prefixes(body)
        repeated += max((prefix.tokens for prefix in prompt if prefix.hash in seen), default=0)
        seen.update(prefix.hash for prefix in prompt)
    return repeated


def _entry(ttl: str, now_s: float) -> Entry:
    return Entry(ttl, now_s + TTL_S[ttl])


def _found(cache: Cache, prompt: list[Prefix], breakpoint_at: int, now_s: float) -> Iterator[int]:
    """The entries that a look back from a breakpoint sees."""
    last = prompt[breakpoint_at].position
    for n in range(breakpoint_at, -1, -1):
        if last - prompt[n].position >= LOOK_BACK_POSITIONS:
            return
        entry = cache.get(prompt[n].hash)
        if entry and entry.expires_at_s > now_s:
            yield n


def prefixes(body: Mapping[str, Any]) -> list[Prefix]:
    """Every prefix of the prompt that ends with a block, in order."""
    parts = list(_parts(body))
    ttls = [_ttl(block.get("cache_control")) for _, block in parts]
    markable = [n for n, (_, block) in enumerate(parts) if _can_be_marked(block)]
    if body.get("cache_control") and markable:
        ttls[markable[-1]] = ttls[markable[-1]] or _ttl(body["cache_control"])
    made: list[Prefix] = []
    chain, sent_bytes, position, before = hashlib.sha256(), 0, -1, ""
    for (setting, block), ttl in zip(parts, ttls, strict=True):
        rendered, kind = _rendered(block), str(block.get("type", ""))
        chain.update(json.dumps([setting, rendered]).encode())
        sent_bytes += len(rendered.encode())
        position += not (kind in _RUNS and kind == before)
        before = kind
        made.append(Prefix(chain.hexdigest(), sent_bytes // _BYTES_PER_TOKEN, position, ttl))
    return made


def _parts(body: Mapping[str, Any]) -> Iterator[tuple[list[Any], Block]]:
    """Each block of the prompt, with what else it depends on."""
    output = body.get("output_config") or {}
    for tool in body.get("tools") or []:
        yield ["tools", body.get("model")], {**tool, "type": tool.get("type", "tool")}
    for block in blocks_of(body.get("system")):
        yield ["system", body.get("model"), body.get("speed"), output.get("format")], block
    settings = [body.get("model"), body.get("speed"), output.get("format")]
    settings += [body.get("tool_choice"), body.get("thinking"), output.get("effort")]
    said = [(message.get("role"), block) for message in body["messages"] for block in blocks_of(message["content"])]
    compacted = [n for n, (_, block) in enumerate(said) if block.get("type") == "compaction"]
    for role, block in said[compacted[-1] if compacted else 0 :]:
        yield ["messages", role, *settings], block


def _can_be_marked(block: Block) -> bool:
    return block.get("type") not in _UNMARKED and not (block.get("type") == "text" and not block.get("text"))


def _ttl(control: Any) -> str | None:
    return str(control.get("ttl") or "5m") if control else None


def _rendered(block: Block) -> str:
    if block.get("type") == "text":
        return str(block["text"])
    kept = {name: value for name, value in block.items() if name != "cache_control"}
    return json.dumps(kept, ensure_ascii=False, separators=(",", ":"))


def tokens_of(content: Any) -> int:
    """The tokens of content that the model wrote."""
    return sum(len(_rendered(block).encode()) for block in blocks_of(content)) // _BYTES_PER_TOKEN
