"""Questions from the bus, answered out of the database without ever blocking the event loop."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from functools import partial
from typing import Any

import nats.errors
from pydantic import BaseModel, ValidationError
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from contracts.envelope import UnknownFact
from contracts.errors import Transient
from contracts.queries import QUERIES, Answer, Query, Refusal, VerifyQuery
from services.event_store.database import read
from services.event_store.database.histories import histories
from services.event_store.database.snapshots import Snapshots
from services.event_store.verify import Verifier
from services.event_store.watermark import Watermark

logger = logging.getLogger(__name__)

READERS = 4
"""Questions that the database works on at a time; one connection of the pool stays free for the writer."""

_READ: dict[str, Callable[[Engine, Any], BaseModel]] = {
    "history": read.history,
    "histories": histories,
    "state": read.state,
    "pipelines": read.pipelines,
    "artifact": read.artifact,
}


class Questions:
    """``min_seq_timeout_s``: how long a question waits for the copy to reach its ``min_seq``."""

    def __init__(
        self,
        engine: Engine,
        watermark: Watermark,
        verifier: Verifier,
        *,
        min_seq_timeout_s: float,
        max_answer_bytes: int,
    ) -> None:
        self._engine = engine
        self._verifier = verifier
        self._watermark = watermark
        self._min_seq_timeout_s = min_seq_timeout_s
        self._max_answer_bytes = max_answer_bytes
        self._slots = asyncio.Semaphore(READERS)
        state = partial(read.state, snapshots=Snapshots())
        self._read: dict[str, Callable[[Engine, Any], BaseModel]] = {**_READ, "state": state}

    async def answer(self, name: str, payload: bytes) -> bytes:
        """The `Answer` to question ``name`` as JSON; whatever goes wrong is a `Refusal` in it."""
        try:
            query = QUERIES[name].model_validate_json(payload)
        except KeyError:
            return _refuse("invalid", f"there is no question {name!r}; there are {', '.join(QUERIES)}")
        except ValidationError as error:
            return _refuse("invalid", _faults(error))
        if not await self._watermark.reached(query.min_seq, self._min_seq_timeout_s):
            behind = f"the copy is at sequence {self._watermark.last} of the log, not yet at {query.min_seq}"
            return _refuse("behind", f"{behind}: {self._watermark.problem or 'ask again'}")
        async with self._slots:
            if isinstance(query, VerifyQuery):
                answer = await self._verify(query)
            else:
                answer = await asyncio.to_thread(self._answer, name, query)
        if len(answer) > self._max_answer_bytes:
            return _refuse("unavailable", f"an answer of {len(answer)} bytes does not fit into one message")
        return answer

    async def _verify(self, query: VerifyQuery) -> bytes:
        try:
            return _result(await self._verifier.page(query))
        except (Transient, nats.errors.Error) as error:
            return _refuse("unavailable", f"the bus did not show its side: {error}")
        except SQLAlchemyError as error:
            return _refuse("unavailable", f"the database did not answer ({type(error).__name__})")

    def _answer(self, name: str, query: Query) -> bytes:
        try:
            if name == "counts":
                result: BaseModel = read.counts(self._engine, self._watermark.problem)
            else:
                result = self._read[name](self._engine, query)
        except read.NotHere as error:
            return _refuse("not_found", str(error))
        except (UnknownFact, ValidationError) as error:
            return _refuse("unreadable", f"this pipeline holds a fact that this code cannot read: {error}")
        except SQLAlchemyError as error:
            logger.exception("the database did not answer %s", name)
            return _refuse("unavailable", f"the database did not answer ({type(error).__name__})")
        return _result(result)


def _result(result: BaseModel) -> bytes:
    return Answer(result=result).model_dump_json(exclude_none=True).encode()


def _refuse(kind: Any, what: str) -> bytes:
    return Answer[None](refusal=Refusal(kind=kind, what=what)).model_dump_json().encode()


def _faults(error: ValidationError) -> str:
    faults = ((".".join(map(str, fault["loc"])) or "the question", fault["msg"]) for fault in error.errors())
    return "; ".join(f"{where}: {what}" for where, what in faults)
