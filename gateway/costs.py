"""What a pipeline spends on model turns: read from the stream ``TURNS``, where agents keep it."""

from __future__ import annotations

import asyncio
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from contracts import subjects
from contracts.pipeline import PipelineState, ledgers
from contracts.turns import Account, Reply
from gateway.answers import Costs
from gateway.problems import unavailable
from gateway.reads import Reads
from infra.runtime.bus import Bus
from infra.runtime.direct import Stored

M = TypeVar("M", bound=BaseModel)


async def account_of(bus: Bus, pipeline: str) -> Account:
    """What the pipeline has spent and reserved; nothing, if it never had a turn.

    Raises:
        Problem: 503: what is there is newer than this code.
        StreamUnavailable: the bus did not answer.
    """
    stored = await bus.reader.last(subjects.TURNS_STREAM, subjects.account(pipeline))
    return _read(stored, Account) if stored else Account()


async def costs_of(bus: Bus, reads: Reads, state: PipelineState) -> Costs:
    """The account, and the turns that it paid, oldest first. What a fork's tasks are answered from the ledgers of
    its parent is not among them: the parent paid for it.

    Raises:
        Problem: 503: what is there is newer than this code.
        StreamUnavailable: the bus did not answer.
    """
    history = [recorded.event for recorded in await reads.in_log(state.id)]
    found = await asyncio.gather(*(_replies(bus, ledger) for ledger in ledgers(history)))
    turns = sorted((pair for pairs in found for pair in pairs), key=lambda pair: pair[0])
    paid = [reply for _, reply in turns if reply.pipeline == state.id]
    return Costs.of(state, await account_of(bus, state.id), paid)


async def _replies(bus: Bus, ledger: str) -> list[tuple[int, Reply]]:
    """By their sequences. What tool calls did is below, one token further down."""
    stored = await bus.reader.since(subjects.TURNS_STREAM, subjects.turn(ledger, "*"))
    return [(message.sequence, _read(message, Reply)) for message in stored]


def _read(stored: Stored, model: type[M]) -> M:
    try:
        return model.model_validate_json(stored.data)
    except ValidationError:
        what = f"message {stored.sequence} on {stored.subject} is no {model.__name__} that this gateway can read"
        raise unavailable(what) from None
