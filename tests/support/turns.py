"""Turns with a model as the ledger keeps them, and what they cost: as if an agent had had them."""

from __future__ import annotations

import hashlib

from contracts import subjects
from contracts.artifacts import ArtifactRef
from contracts.pipeline import Task
from contracts.turns import Account, Effect, Reply, Usage
from infra.runtime.bus import Bus

USAGE = Usage(input_tokens=100, output_tokens=20, cache_read_input_tokens=1000, cache_creation_input_tokens=50)


def reply(pipeline: str, task: Task, turn: int, cost_usd: float, *, priced: bool = True) -> Reply:
    """The ``turn``-th of a task; its body is nowhere."""
    return Reply(
        pipeline=pipeline,
        task=task.id,
        service=task.service,
        model="claude-test" if priced else "local-test",
        turn=turn,
        request=hashlib.sha256(f"{task.id} {task.service} {turn}".encode()).hexdigest(),
        body=ArtifactRef.of(b"event: message_stop", "text/event-stream"),
        usage=USAGE,
        cost_usd=cost_usd,
        priced=priced,
        duration_s=1.5,
    )


async def put_turn(bus: Bus, task: Task, said: Reply) -> None:
    """The reply in the task's ledger, and after it what a tool call did."""
    await bus.js.publish(subjects.turn(task.ledger, said.request), said.model_dump_json().encode())
    effect = Effect(request=said.request, call=1, tool="read", content=said.body)
    await bus.js.publish(subjects.effect(task.ledger, said.request, 1), effect.model_dump_json().encode())


async def put_account(bus: Bus, pipeline: str, *paid: Reply, reserved_usd: float = 0) -> None:
    """The pipeline's account after these replies; something is reserved for a turn that runs."""
    account = Account()
    for said in paid:
        settled = account.model_copy(update={"reserved": {said.request: said.cost_usd}}).settle(said)
        assert settled is not None
        account = settled
    account = account.model_copy(update={"reserved": {"f" * 64: reserved_usd} if reserved_usd else {}})
    await bus.js.publish(subjects.account(pipeline), account.model_dump_json().encode())
