"""Turns with a model: what the ledger keeps of them (stream ``TURNS``), and what a pipeline has spent. Pure.

Kept under a task's ledger (`contracts.state.Task.ledger`): each reply before anybody uses it, and what each tool
call did. A worker that does the task again asks the ledger first, so no token is paid twice.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from contracts.artifacts import ArtifactRef
from contracts.base import Frozen, PipelineId, Sha256


class Usage(Frozen):
    """What one or more replies used. ``input_tokens`` were neither read from nor written to the cache. The names of
    the Messages API: https://platform.claude.com/docs/en/api/messages"""

    input_tokens: int = Field(default=0, ge=0)
    output_tokens: int = Field(default=0, ge=0)
    cache_read_input_tokens: int = Field(default=0, ge=0)
    cache_creation_input_tokens: int = Field(default=0, ge=0)
    web_search_requests: int = Field(default=0, ge=0)
    web_fetch_requests: int = Field(default=0, ge=0)

    def __add__(self, other: Usage) -> Usage:
        return Usage(**{name: getattr(self, name) + getattr(other, name) for name in Usage.model_fields})

    @property
    def all_input_tokens(self) -> int:
        return self.input_tokens + self.cache_read_input_tokens + self.cache_creation_input_tokens


class Reply(Frozen):
    """One reply of a model, kept before it is used. ``request`` is the hash of the request's body and the reply's
    key; ``body`` is what was received, a stream of server-sent events. ``turn`` counts a task's turns from 1. Where
    nobody knows the model's price (not ``priced``), ``cost_usd`` is the most that it can have cost, by the dearest
    price known."""

    kind: Literal["reply"] = "reply"
    pipeline: PipelineId
    task: str
    service: str
    model: str
    turn: int = Field(ge=1)
    request: Sha256
    body: ArtifactRef
    usage: Usage
    cost_usd: float = Field(ge=0)
    priced: bool = True
    duration_s: float = Field(default=0, ge=0)


class Effect(Frozen):
    """What the ``call``-th tool call after the reply to ``request`` did: the content of its result (JSON), and the
    workspace after it, a tree."""

    kind: Literal["effect"] = "effect"
    request: Sha256
    call: int = Field(ge=1)
    tool: str
    content: ArtifactRef
    is_error: bool = False
    workspace: ArtifactRef | None = None


class Spent(Frozen):
    """By one agent. ``unpriced`` of the ``turns`` are in ``cost_usd`` with the most that they can have cost."""

    turns: int = 0
    usage: Usage = Usage()
    cost_usd: float = 0
    unpriced: int = 0

    def __add__(self, other: Spent) -> Spent:
        return Spent(
            turns=self.turns + other.turns,
            usage=self.usage + other.usage,
            cost_usd=self.cost_usd + other.cost_usd,
            unpriced=self.unpriced + other.unpriced,
        )


class Account(Frozen):
    """What a pipeline has spent, by agent, and what is ``reserved`` for turns that run (request hash -> USD)."""

    spent: dict[str, Spent] = {}
    reserved: dict[str, float] = {}

    @property
    def total(self) -> Spent:
        return sum(self.spent.values(), Spent())

    def reserve(self, request: str, most_usd: float, limit_usd: float) -> Account | None:
        """With room for a turn that costs ``most_usd`` at the most; ``None``: it could exceed the limit. A turn
        that was reserved by a worker that died takes the same room again."""
        others = {key: usd for key, usd in self.reserved.items() if key != request}
        if self.total.cost_usd + sum(others.values()) + most_usd > limit_usd:
            return None
        return Account(spent=self.spent, reserved={**others, request: most_usd})

    def settle(self, reply: Reply) -> Account | None:
        """With what the turn really cost, instead of what was reserved; ``None``: it was settled before."""
        if reply.request not in self.reserved:
            return None
        reserved = {key: usd for key, usd in self.reserved.items() if key != reply.request}
        turn = Spent(turns=1, usage=reply.usage, cost_usd=reply.cost_usd, unpriced=int(not reply.priced))
        before = self.spent.get(reply.service, Spent())
        return Account(spent={**self.spent, reply.service: before + turn}, reserved=reserved)

    def release(self, request: str) -> Account:
        """Without what was reserved for a turn that never came."""
        return Account(spent=self.spent, reserved={k: usd for k, usd in self.reserved.items() if k != request})
