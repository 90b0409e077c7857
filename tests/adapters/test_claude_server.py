"""The scripted Messages API, driven by the real SDK."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from anthropic import AsyncAnthropic, BadRequestError, beta_async_tool
from anthropic.types.beta.parsed_beta_message import ParsedBetaMessage
from pydantic import BaseModel

from tests.support.claude_server import KEY, ClaudeServer, by_turn, call, outcome, say, serving, thinking
from tests.support.claude_server.scripts import Source

MODEL = "claude-opus-5-5"
HELLO = [{"role": "user", "content": "Hello"}]


@asynccontextmanager
async def talking(
    source: Source, *, retries: int = 0, key: str = KEY, **options: Any
) -> AsyncIterator[tuple[ClaudeServer, AsyncAnthropic]]:
    async with (
        serving(source, **options) as server,
        AsyncAnthropic(api_key=key, base_url=server.url, max_retries=retries) as client,
    ):
        yield server, client


@beta_async_tool
async def add(a: int, b: int) -> str:
    """Add two numbers."""
    return str(a + b)


class Sum(BaseModel):
    total: int


def asked(**more: Any) -> dict[str, Any]:
    return {"model": MODEL, "max_tokens": 100, "messages": HELLO, **more}


async def streamed(client: AsyncAnthropic, **more: Any) -> ParsedBetaMessage[Any]:
    async with client.beta.messages.stream(**asked(**more)) as stream:
        return await stream.get_final_message()


async def test_text_is_streamed_in_pieces():
    text = "The quick brown fox jumps over the lazy dog, and then again, and once more."
    async with talking([say(text)]) as (server, client), client.beta.messages.stream(**asked()) as stream:
        pieces = [piece async for piece in stream.text_stream]
        message = await stream.get_final_message()
    assert len(pieces) > 1
    assert "".join(pieces) == text
    assert message.stop_reason == "end_turn"
    assert message.usage.output_tokens == len(text) // 4 + 1
    assert server.requests[0].key == "expected"
    assert KEY not in str(server.requests)


async def test_without_a_stream_the_message_is_the_same():
    async with talking(by_turn(thinking("Hm.") + say("Hello") + call("add", a=1, b=2))) as (_, client):
        whole = await client.beta.messages.create(**asked())
        stream = await streamed(client)
    assert whole.to_dict()["content"] == [block.to_dict() for block in stream.content]
    assert whole.usage == stream.usage


async def test_tool_runner_sends_what_the_tools_answered():
    steps = [thinking("Twice") + call("add", a=1, b=2) + call("add", a=3, b=4), say("3 and 7")]
    async with talking(steps) as (server, client):
        runner = client.beta.messages.tool_runner(**asked(tools=[add], stream=True, thread=False))
        messages = [await stream.get_final_message() async for stream in runner]
    assert [message.stop_reason for message in messages] == ["tool_use", "end_turn"]
    assert sorted(server.requests[1].results.values()) == ["3", "7"]
    assert [request.turn for request in server.requests] == [0, 1]
    assert not server.refused


async def test_threads_are_refused_and_the_sdk_goes_on_without():
    steps = [call("add", a=1, b=2), say("3")]
    async with talking(steps) as (server, client):
        runner = client.beta.messages.tool_runner(**asked(tools=[add], stream=True))
        messages = [await stream.get_final_message() async for stream in runner]
    assert [message.stop_reason for message in messages] == ["tool_use", "end_turn"]
    assert [message for _, message in server.refused] == ["thread: not supported for this request"]


async def test_structured_output_is_parsed():
    async with talking([outcome({"total": 3})]) as (server, client):
        message = await streamed(client, output_format=Sum)
    assert message.parsed_output == Sum(total=3)
    assert server.requests[0].schema["properties"]["total"]["type"] == "integer"


async def test_agents_that_talk_at_the_same_time_have_scripts_of_their_own():
    scripts = {"# Tester": [say("tested")], "# Reviewer": lambda request: say(f"read {request.text}")}
    async with talking(scripts) as (server, client):
        systems = ("# Reviewer\nRead.", "# Tester 2\nTest.")
        messages = [await streamed(client, system=system) for system in systems]
    assert [message.content[0].text for message in messages] == ["read Hello", "tested"]
    assert [request.system for request in server.requests_of("# Tester")] == ["# Tester 2\nTest."]


async def test_script_at_its_end_is_a_refusal():
    async with talking([]) as (server, client):
        with pytest.raises(BadRequestError, match="has 0 answers"):
            await streamed(client)
    assert "has 0 answers" in server.refused[0][1]
