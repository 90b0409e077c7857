"""One agent's work as one conversation, driven by the SDK's tool runner: what is done in each case.

The history only grows (a compaction begins a new one), so each request has the one before as its prefix, and the
cache of the API serves it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import anthropic
from anthropic.lib.streaming import BetaAsyncMessageStream
from anthropic.lib.tools import BetaAsyncStreamingToolRunner
from anthropic.types.beta import BetaMessageParam, BetaToolResultBlockParam
from anthropic.types.beta.parsed_beta_message import ParsedBetaMessage
from pydantic import BaseModel, ValidationError

from contracts.errors import Permanent
from infra.runtime.claude.brief import Brief
from infra.runtime.claude.failures import failure_of, refusal
from infra.runtime.claude.keeper import Keeper, KeptTool
from infra.runtime.claude.tools import Tool, faults, server_tools
from infra.runtime.claude.transport import LedgerTransport

T = TypeVar("T", bound=BaseModel)

COMPACT_FROM_TOKENS = 150_000
"""Input of one turn, above which the history is summed up before the next: the API's own default for it."""

COMPACTION_BETA = "compact-2026-09-04"
MAX_COMPACTIONS = 5
MAX_CUT = 3
"""Replies that ``max_tokens`` may cut off."""

MAX_CORRECTIONS = 2
"""Further tries after an outcome that does not validate."""

MAX_REJECTIONS = 3
"""Outcomes that the agent may call unfinished before the task is given up."""

_CACHED: Any = {"type": "ephemeral"}

Message = ParsedBetaMessage[None]
Runner = BetaAsyncStreamingToolRunner[None]


@dataclass
class _Counts:
    """What is bounded."""

    turns: int = 0
    compactions: int = 0
    cut: int = 0
    corrections: int = 0
    rejections: int = 0


class Conversation(Generic[T]):
    """``run`` it once."""

    def __init__(
        self,
        client: anthropic.AsyncAnthropic,
        model: str,
        brief: Brief[T],
        max_tokens: int,
        tools: list[Tool],
        keeper: Keeper,
        transport: LedgerTransport,
    ) -> None:
        self._client = client
        self._model = model
        self._brief = brief
        self._max_tokens = max_tokens
        self._tools = [KeptTool(tool, keeper) for tool in tools]
        self._keeper = keeper
        self._transport = transport
        self._counts = _Counts()
        self._history: list[BetaMessageParam] = [{"role": "user", "content": brief.task}]

    async def run(self) -> T:
        """The outcome, valid and accepted.

        Raises:
            Permanent: the work cannot be done like this: refused, out of turns, loops, never valid, a wrong key.
            Transient: the API is not there or overloaded, after the SDK's retries.
            BudgetReached: the next turn could cost more than is left.
        """
        try:
            while True:
                message = await self._until_stop()
                outcome = await self._outcome(message)
                if outcome is not None:
                    return outcome
        except (anthropic.APIStatusError, anthropic.APIConnectionError) as error:
            raise failure_of(error, self._client.api_key or "") from error
        except anthropic.AnthropicError:
            if self._transport.failure is not None:
                raise self._transport.failure from None
            raise

    async def _until_stop(self) -> Message:
        """Turns until one that calls no tool: the SDK runs the calls and asks again."""
        runner = self._runner()
        message = None
        try:
            async for stream in runner:
                message = await self._turn(runner, stream)
        finally:
            await runner.close()
        if message is None:
            raise Permanent("the model was not asked at all")
        return message

    def _runner(self) -> Runner:
        """The SDK's loop, from the history on. The outcome's schema is given as ``output_config``, not as
        ``output_format``: with that the SDK validates every text as if it were the outcome, the words before a
        tool call too, and breaks off."""
        schema = anthropic.transform_schema(self._brief.outcome)
        return self._client.beta.messages.tool_runner(
            model=self._model,
            max_tokens=self._max_tokens,
            system=[{"type": "text", "text": self._brief.system, "cache_control": _CACHED}],
            messages=list(self._history),
            tools=[*self._tools, *server_tools(self._brief)],
            output_config={"format": {"type": "json_schema", "schema": schema}},
            cache_control=_CACHED,
            betas=[COMPACTION_BETA],
            stream=True,
            thread=False,
        )

    async def _turn(self, runner: Runner, stream: BetaAsyncMessageStream[None]) -> Message:
        """Take in one reply: its calls are run here, so that their failures end the conversation before it is told
        of them."""
        message = await stream.get_final_message()
        self._keeper.answered(self._transport.request)
        self._counts.turns += 1
        if message.stop_reason == "compaction":
            if any(block.type == "compaction" and block.content for block in message.content):
                self._history = [message.to_param()]  # as the runner does; without a summary all stays as it is
            return message
        self._history.append(message.to_param())
        if message.stop_reason in ("tool_use", "pause_turn") and self._counts.turns >= self._brief.max_turns:
            raise Permanent(f"the model did not finish within {self._brief.max_turns} turns")
        if message.stop_reason == "tool_use":
            results = await runner.generate_tool_call_response()
            if self._keeper.failure is not None:
                raise self._keeper.failure
            if results is not None:
                self._history.append(results)
            self._compact_if_large(runner, message)
        return message

    def _compact_if_large(self, runner: Runner, message: Message) -> None:
        usage = message.usage
        read = usage.input_tokens + (usage.cache_read_input_tokens or 0) + (usage.cache_creation_input_tokens or 0)
        if read + usage.output_tokens < COMPACT_FROM_TOKENS:
            return
        self._counts.compactions += 1
        if self._counts.compactions > MAX_COMPACTIONS:
            raise Permanent(
                f"the work is too large for one task: its history was summed up {MAX_COMPACTIONS} times"
            )
        runner.compact_before_next_turn()

    async def _outcome(self, message: Message) -> T | None:
        """What the work came to, or None if it goes on: the history then ends with what the model is told."""
        match message.stop_reason:
            case "end_turn" | "stop_sequence":
                return await self._judged(message)
            case "max_tokens":
                self._go_on_smaller(message)
            case "refusal":
                raise refusal(message)
            case "model_context_window_exceeded":
                raise Permanent("the model's context is full: the task's files are too large to be read like this")
            case "tool_use" | "compaction":
                self._say("Go on.")
            case other:
                raise Permanent(f"the model stopped for a reason that is not known: {other}")
        if self._counts.turns >= self._brief.max_turns:
            raise Permanent(f"the model did not finish within {self._brief.max_turns} turns")
        return None

    async def _judged(self, message: Message) -> T | None:
        text = next((block.text for block in reversed(message.content) if block.type == "text"), "")
        try:
            outcome = self._brief.outcome.model_validate_json(text)
        except ValidationError as error:
            self._correct(faults(error))
            return None
        accept = self._brief.accept
        words = await self._keeper.accepted(lambda: accept(outcome)) if accept else None
        if words is None:
            return outcome
        self._counts.rejections += 1
        if self._counts.rejections > MAX_REJECTIONS:
            raise Permanent(f"the model says that it is done and is not: {words[:300]}")
        self._say(f"The work is not done: {words}\n\nGo on, and answer again when it is.")
        return None

    def _correct(self, what: str) -> None:
        self._counts.corrections += 1
        if self._counts.corrections > MAX_CORRECTIONS:
            raise Permanent(f"the model's answer is not valid after {MAX_CORRECTIONS} corrections: {what[:300]}")
        self._say(
            f"Your answer is not valid: {what}\n\nAnswer again with the JSON alone, in the shape that is asked for."
        )

    def _go_on_smaller(self, message: Message) -> None:
        """A reply that ``max_tokens`` cut off. Its calls are not run, and their results say so; where it was all
        thinking, which only counts whole, it may write twice as much the next time."""
        self._counts.cut += 1
        if self._counts.cut > MAX_CUT:
            raise Permanent(f"the model's replies were cut off at {self._max_tokens} tokens {MAX_CUT + 1} times")
        self._history.pop()
        kept = [block for block in message.content if block.type != "thinking" or block.signature]
        if not any(block.type not in ("thinking", "redacted_thinking") for block in kept):
            self._max_tokens *= 2
            return
        self._history.append(
            {"role": "assistant", "content": message.model_copy(update={"content": kept}).to_param()["content"]}
        )
        told = f"Your reply was cut off at {self._max_tokens} tokens: go on in smaller steps, large files in parts."
        calls: list[BetaToolResultBlockParam] = [
            {"type": "tool_result", "tool_use_id": block.id, "content": f"Not run. {told}", "is_error": True}
            for block in kept
            if block.type == "tool_use"
        ]
        if calls:
            self._history.append({"role": "user", "content": calls})
        else:
            self._say(told)

    def _say(self, text: str) -> None:
        self._history.append({"role": "user", "content": text})
