"""Keeps what each tool call did before the runner sees it; a call whose effect is kept is not run again."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable
from typing import Any

from anthropic.lib.tools import BetaAsyncBuiltinFunctionTool, ToolError
from anthropic.types.beta import BetaToolUnionParam
from pydantic import ValidationError

from contracts import subjects
from contracts.artifacts import JSON_MEDIA_TYPE, ArtifactRef
from contracts.errors import Permanent, Transient
from contracts.turns import Effect
from infra.runtime.agent import Artifacts
from infra.runtime.claude import genai
from infra.runtime.claude.ledger import Turns
from infra.runtime.claude.tools import Content, Tool, bounded, faults
from infra.runtime.claude.workspace import Workspace
from infra.runtime.telemetry.spans import span

logger = logging.getLogger(__name__)

REPEATS_TOLD = 5
REPEATS_MOST = 8
"""The same call with the same result: told to the model, and then given up."""

ACCEPT = "accept"
"""The name under which the agent's own judgement of an outcome is kept."""


class Keeper:
    """The effects of one conversation. ``failure`` must end it; the SDK would tell the model of it."""

    def __init__(self, ledger: str, turns: Turns, artifacts: Artifacts, workspace: Workspace) -> None:
        self.failure: Exception | None = None
        self._ledger = ledger
        self._turns = turns
        self._artifacts = artifacts
        self._workspace = workspace
        self._request = ""
        self._call = 0
        self._base: ArtifactRef | None = None
        self._last: tuple[str, str] | None = None
        self._repeats = 0

    def answered(self, request: str) -> None:
        """Calls from here on follow the reply to ``request``."""
        self._request, self._call = request, 0

    async def call(self, tool: Tool, given: dict[str, Any]) -> Content:
        """What ``tool`` says to ``given``, kept.

        Raises:
            ToolError: the same, where it is an error that the model is told.
        """
        effect = await self._effect(tool.name, tool.mutates, lambda: self._run(tool, given))
        content: Content = json.loads(await self._artifacts.get(effect.content))
        content = self._with_warning(tool.name, given, content)
        if effect.is_error:
            raise ToolError(content)  # type: ignore[arg-type]
        return content

    async def accepted(self, judge: Callable[[], Awaitable[str | None]]) -> str | None:
        """The agent's judgement of the outcome that the last reply holds, kept like a tool's result."""

        async def run() -> tuple[Content, bool]:
            return (await judge()) or "", False

        effect = await self._effect(ACCEPT, False, run)
        words: str = json.loads(await self._artifacts.get(effect.content))
        return words or None

    async def _effect(self, name: str, mutates: bool, run: Callable[[], Awaitable[tuple[Content, bool]]]) -> Effect:
        self._call += 1
        subject = subjects.effect(self._ledger, self._request, self._call)
        known = await self._turns.get(subject)
        if known is None:
            known = await self._live(subject, name, mutates, run)
        effect = Effect.model_validate_json(known)
        if effect.workspace is not None:
            self._workspace.recorded(effect.workspace)
            self._base = effect.workspace
        return effect

    async def _live(
        self, subject: str, name: str, mutates: bool, run: Callable[[], Awaitable[tuple[Content, bool]]]
    ) -> bytes:
        """Run it, and write down what it did; where another worker was first, what that one wrote."""
        await self._workspace.ready()
        if mutates and self._base is None:
            self._base = await self._workspace.keep()
        content, is_error = await run()
        tree = None
        if mutates:
            try:
                tree = await self._workspace.keep()
            except Permanent as error:
                assert self._base is not None
                await self._workspace.undo(self._base)
                content, is_error, tree = error.what, True, self._base
        effect = Effect(
            request=self._request,
            call=self._call,
            tool=name,
            content=await self._artifacts.put(json.dumps(content, ensure_ascii=False).encode(), JSON_MEDIA_TYPE),
            is_error=is_error,
            workspace=tree,
        )
        return await self._turns.put(subject, effect.model_dump_json().encode())

    async def _run(self, tool: Tool, given: dict[str, Any]) -> tuple[Content, bool]:
        """The result, and whether it is an error. Whatever a tool breaks on is told to the model, which may go on
        in another way; trouble of ours (`Transient`) is not."""
        with span(f"execute_tool {tool.name}", attributes=genai.tool(tool.name)) as told:
            content, is_error = await self._said(tool, given)
            if is_error:
                told.fail("tool_error")
        return content, is_error

    async def _said(self, tool: Tool, given: dict[str, Any]) -> tuple[Content, bool]:
        folder = self._workspace.folder
        try:
            async with asyncio.timeout(tool.timeout_s):
                return bounded(await tool.run(given), folder), False
        except Transient:
            raise
        except ToolError as error:
            return bounded(error.content, folder), True  # type: ignore[arg-type]
        except Permanent as error:
            return bounded(error.what, folder), True
        except TimeoutError:
            return f"{tool.name} took longer than {tool.timeout_s:g} s and was stopped", True
        except ValueError as error:  # the SDK's: the pydantic error is its cause
            cause = error.__cause__
            return f"{error}: {faults(cause)}" if isinstance(cause, ValidationError) else str(error), True
        except Exception as error:
            logger.error("the tool %s failed", tool.name, exc_info=error)
            return f"{tool.name} failed on an internal error ({type(error).__name__})", True

    def _with_warning(self, name: str, given: dict[str, Any], content: Content) -> Content:
        """``content``, and what the model is told when it makes the same call over and over.

        Raises:
            Permanent: it was told, and went on.
        """
        seen = (json.dumps([name, given], sort_keys=True), json.dumps(content))
        self._repeats = self._repeats + 1 if seen == self._last else 1
        self._last = seen
        if self._repeats >= REPEATS_MOST:
            raise Permanent(
                f"the model loops: it called {name} {self._repeats} times in a row with the same input and result"
            )
        if self._repeats != REPEATS_TOLD:
            return content
        note = (
            f"[This is the same call as the {REPEATS_TOLD - 1} before it, with the same result. Do something else,"
            " or finish with what you have.]"
        )
        return f"{content}\n{note}" if isinstance(content, str) else [*content, {"type": "text", "text": note}]


class KeptTool(BetaAsyncBuiltinFunctionTool):
    """A tool as the SDK's runner calls it."""

    def __init__(self, tool: Tool, keeper: Keeper) -> None:
        self._tool = tool
        self._keeper = keeper

    def to_dict(self) -> BetaToolUnionParam:
        return self._tool.definition

    async def call(self, input: object) -> Any:
        """The runner tells the model of every error: one that must end the conversation is left in the keeper."""
        if self._keeper.failure is not None:
            raise ToolError("not run")
        try:
            return await self._keeper.call(self._tool, input if isinstance(input, dict) else {})
        except ToolError:
            raise
        except Exception as error:
            self._keeper.failure = error
            raise
