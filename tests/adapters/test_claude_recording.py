"""Recordings of the Messages API, by the real SDK: the scripted server plays the real one."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anthropic
import pytest
from anthropic import APIStatusError, AsyncAnthropic, BadRequestError, InternalServerError, beta_async_tool

from tests.support.claude_server import KEY, by_turn, call, overloaded, say, serving, thinking
from tests.support.claude_server.recording import recording, replaying

MODEL = "claude-opus-5-5"
SYSTEM = "<!-- agent: test mode: ADD version: 1 -->\nAdd."


@asynccontextmanager
async def connected(url: str, *, key: str = KEY, retries: int = 0) -> AsyncIterator[AsyncAnthropic]:
    http = anthropic.DefaultAsyncHttpxClient(verify=False, trust_env=False)
    async with AsyncAnthropic(api_key=key, base_url=url, max_retries=retries, http_client=http) as client:
        yield client


@beta_async_tool
async def add(a: int, b: int) -> str:
    """Add two numbers."""
    return str(a + b)


async def conversation(client: AsyncAnthropic, task: str = "What is 1 + 2?") -> list[dict[str, Any]]:
    """Every message of the model until it calls no tool any more."""
    runner = client.beta.messages.tool_runner(
        model=MODEL,
        max_tokens=100,
        system=SYSTEM,
        messages=[{"role": "user", "content": task}],
        tools=[add],
        stream=True,
        thread=False,
    )
    return [(await stream.get_final_message()).model_dump() async for stream in runner]


async def streamed(client: AsyncAnthropic) -> str:
    """The text of one answer."""
    messages: Any = [{"role": "user", "content": "What is 1 + 2?"}]
    async with client.beta.messages.stream(model=MODEL, max_tokens=100, messages=messages) as stream:
        return await stream.get_final_text()


SCRIPT = by_turn(thinking("Both are small.") + call("add", a=1, b=2), say("It is 3."))


async def test_a_recording_answers_as_the_api_did_without_its_key(tmp_path: Path) -> None:
    async with serving(SCRIPT) as api:
        async with recording(tmp_path, api.url) as url, connected(url) as client:
            first = await conversation(client)
        asked = len(api.requests)
    async with replaying(tmp_path) as url, connected(url, key="of-nobody") as client:
        again = await conversation(client)
    assert again == first
    assert [message["stop_reason"] for message in first] == ["tool_use", "end_turn"]
    assert asked == len(list(tmp_path.iterdir())) == 2


async def test_the_key_reaches_the_api_and_no_file(tmp_path: Path) -> None:
    async with serving(SCRIPT) as api:
        async with recording(tmp_path, api.url) as url, connected(url) as client:
            await conversation(client)
        assert {request.key for request in api.requests} == {"expected"}
    kept = [path.read_text() + path.name for path in tmp_path.iterdir()]
    assert kept
    assert not any(KEY in text or "x-api-key" in text.lower() for text in kept)


async def test_what_is_recorded_is_not_asked_again(tmp_path: Path) -> None:
    async with serving(SCRIPT) as api:
        for _ in range(2):
            async with recording(tmp_path, api.url) as url, connected(url) as client:
                await conversation(client)
        assert len(api.requests) == 2


async def test_a_request_that_was_not_recorded_is_refused_by_name(tmp_path: Path) -> None:
    async with serving(SCRIPT) as api, recording(tmp_path, api.url) as url, connected(url) as client:
        await conversation(client)
    async with replaying(tmp_path) as url, connected(url, retries=3) as client:
        with pytest.raises(BadRequestError, match=r"not recorded: request [0-9a-f]{64} of '<!-- agent: test"):
            await conversation(client, "What is 2 + 2?")


async def test_failures_are_passed_on_and_not_kept(tmp_path: Path) -> None:
    failing = {0: [overloaded(), say("It").cut(after_events=4), say("It").broken(after_events=4)]}
    async with serving(by_turn(say("It is 3."), before=failing)) as api:
        async with recording(tmp_path, api.url) as url, connected(url) as client:
            for words in ("Overloaded", "broke off: RemoteProtocolError", "Overloaded"):
                with pytest.raises(APIStatusError, match=words):
                    await streamed(client)
            assert not list(tmp_path.iterdir())
            assert await streamed(client) == "It is 3."
        assert len(api.requests) == 4
    assert len(list(tmp_path.iterdir())) == 1


async def test_an_api_that_is_not_there_is_said_to_be_so(tmp_path: Path) -> None:
    async with serving(SCRIPT) as api:
        gone = api.url
    async with recording(tmp_path, gone) as url, connected(url) as client:
        with pytest.raises(InternalServerError, match=f"the API at {gone} cannot be reached"):
            await conversation(client)
