"""What an agent asks a model for. Pure: no SDK, no I/O."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, Literal, TypeVar

from pydantic import BaseModel

T = TypeVar("T", bound=BaseModel)

ToolName = Literal["read", "write", "edit", "glob", "grep", "bash"]
MUTATING: frozenset[str] = frozenset({"write", "edit", "bash"})
"""After a call of these the workspace is kept again."""

Accept = Callable[[T], Awaitable[str | None]]
"""Looks at an outcome: None if the work is done, else in words why it is not. It is asked once for each outcome,
also when the task is done again (its answer is kept), and must not change the workspace."""


@dataclass(frozen=True)
class AgentTool:
    """A tool of an agent's own. ``run`` gets its validated input and the workspace's folder, and returns text; what
    it raises as `Permanent` (`Rejected`) is told to the model, a `Transient` ends the attempt. With ``mutates``
    the workspace is kept after each call. ``timeout_s`` bounds one call."""

    name: str
    description: str
    input: type[BaseModel]
    run: Callable[[Any, Path], Awaitable[str]]
    mutates: bool = False
    timeout_s: float = 120.0


@dataclass(frozen=True)
class WebSearch:
    """Anthropic's web search, which runs on their side; ``max_uses`` in one turn (each costs money)."""

    max_uses: int = 5
    allowed_domains: tuple[str, ...] = ()


@dataclass(frozen=True)
class WebFetch:
    """Anthropic's web fetch, which runs on their side; ``max_uses`` in one turn."""

    max_uses: int = 10
    max_content_tokens: int = 30_000
    allowed_domains: tuple[str, ...] = ()


@dataclass(frozen=True)
class Brief(Generic[T]):
    """One agent's work as one conversation. Requests are made of this and of nothing else, so that the same brief
    gives the same request on every machine: no time, no id, no path of the machine.

    Args:
        system: the prompt, text of a versioned file.
        task: the first message. What is large is a file of the workspace (to the model ``/workspace``), not in it.
        outcome: the shape of the answer; small.
        tools: the only tools that exist, with ``own`` and ``web``; without ``write``, ``edit`` and ``bash`` the
            workspace cannot be changed.
        max_turns: replies, those that only call tools included.
        max_tokens: of one reply; default: the setting ``CONNECTORS_CLAUDE_MAX_TOKENS``.
        accept: see `Accept`. A model that says it is done and is not is told so, and goes on.
    """

    system: str
    task: str
    outcome: type[T]
    tools: tuple[ToolName, ...] = ()
    own: tuple[AgentTool, ...] = ()
    web: tuple[WebSearch | WebFetch, ...] = field(default=())
    max_turns: int = 50
    max_tokens: int | None = None
    accept: Accept[T] | None = None
