"""Joins log, database and questions into one service."""

from __future__ import annotations

import asyncio
import logging
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from faststream.nats import NatsMessage
from sqlalchemy import Engine
from sqlalchemy.exc import OperationalError

from contracts import subjects
from contracts.errors import Transient
from contracts.queries import StoreReady
from infra.runtime.health import Health, Shared
from infra.runtime.service import Runtime, Setup
from services.event_store.archive import Archive
from services.event_store.beside import Beside
from services.event_store.database.copy import Copy
from services.event_store.database.engine import answers, open_engine, told
from services.event_store.database.ledger import ledgers
from services.event_store.database.writer_lock import WriterLock, writer_lock
from services.event_store.leadership import Leadership, Term
from services.event_store.questions import Questions
from services.event_store.reader import Reader
from services.event_store.refill import Refill
from services.event_store.seen import looks
from services.event_store.settings import Settings
from services.event_store.verify import Verifier
from services.event_store.watermark import Watermark

logger = logging.getLogger(__name__)

QUESTIONS_AT_A_TIME = 64
"""Most of them wait for their ``min_seq``; the database works on a few (`questions.READERS`)."""

DATABASE_RETRY_S = 1.0
DATABASE_TIMEOUT_S = 1.4
ENVELOPE_BYTES = 4096
"""Left of the bus's payload limit for headers."""


def store(settings: Settings) -> Setup:
    """The service's setup: opens the database, starts the copy, answers questions."""

    async def setup(runtime: Runtime) -> None:
        engine = await _opened(settings.database_url(runtime.settings.data_dir), runtime.health)
        writer = ThreadPoolExecutor(max_workers=1, thread_name_prefix="copy")
        lock, watermark, bus = writer_lock(engine), Watermark(), runtime.bus

        def term() -> Term:
            copy, others = Copy(engine), ledgers(engine)
            archive = Archive(bus.artifacts, copy, writer, patience_s=settings.artifact_patience_s)
            refill = Refill(bus, [*others, copy], copy, writer)
            beside = Beside(bus, others, archive, writer)
            return Term(Reader(lock, bus.js, copy, archive, refill, beside, writer, watermark), archive)

        leadership = Leadership(lock, term, Copy(engine), bus.js, writer, watermark)
        questions = Questions(
            engine,
            watermark,
            Verifier(bus, engine, watermark),
            min_seq_timeout_s=settings.min_seq_timeout_s,
            max_answer_bytes=bus.nc.max_payload - ENVELOPE_BYTES,
        )
        condition = Condition(engine, watermark)
        _listen(runtime, questions, condition)
        runtime.spawn(_lead(leadership, lock, engine, writer), "copy")
        runtime.spawn(_look_again(leadership, settings.missing_retry_s), "missing-artifacts")
        _report(runtime.health, condition, engine)
        runtime.health.looks += looks(bus.js, engine, watermark)

    return setup


def _listen(runtime: Runtime, questions: Questions, condition: Condition) -> None:
    @runtime.broker.subscriber(subjects.STORE_READY, queue=runtime.service.value, title="store.ready")
    async def ready(message: NatsMessage) -> bytes:
        return StoreReady(problem=await condition.problem()).model_dump_json().encode()

    @runtime.broker.subscriber(
        subjects.query("*"), queue=runtime.service.value, max_workers=QUESTIONS_AT_A_TIME, title="store.questions"
    )
    async def ask(message: NatsMessage) -> bytes:
        question = message.raw_message
        return await questions.answer(question.subject.rpartition(".")[2], question.data)


class Condition:
    """How the store is; its database is asked at most once at a time: each question that hangs takes a thread."""

    def __init__(self, engine: Engine, watermark: Watermark) -> None:
        self._answers = Shared(partial(asyncio.to_thread, answers, engine))
        self._watermark = watermark

    async def database(self) -> str | None:
        """What is wrong with it, if anything."""
        try:
            async with asyncio.timeout(DATABASE_TIMEOUT_S):
                return await self._answers()
        except TimeoutError:
            return f"the database does not answer within {DATABASE_TIMEOUT_S:g} s"

    async def copy(self) -> str | None:
        """Why it does not go on, if so."""
        return self._watermark.problem

    async def problem(self) -> str | None:
        """The first of both."""
        return await self.database() or await self.copy()


def _report(health: Health, condition: Condition, engine: Engine) -> None:
    async def missing() -> str | None:
        lost = await asyncio.to_thread(Copy(engine).missing)
        return f"{len(lost)} artifacts that facts name are not in the object store" if lost else None

    health.checks |= {"copy": condition.copy, "database": condition.database}
    health.warnings["artifacts"] = missing


async def _opened(url: str, health: Health) -> Engine:
    """Wait for a database that is not there yet, and say so meanwhile."""
    while True:
        try:
            engine = await asyncio.to_thread(open_engine, url)
        except OperationalError as error:
            if health.problems.get("database") is None:
                logger.warning("waiting for the database: %s", error.orig)
            health.problems["database"] = told(error)
            await asyncio.sleep(DATABASE_RETRY_S)
        else:
            health.problems.pop("database", None)
            return engine


async def _lead(leadership: Leadership, lock: WriterLock, engine: Engine, writer: ThreadPoolExecutor) -> None:
    try:
        await leadership.run()
    finally:
        try:
            await asyncio.to_thread(writer.shutdown)  # what is being written is finished
        finally:
            lock.release()
            engine.dispose()


async def _look_again(leadership: Leadership, every_s: float) -> None:
    while True:
        await asyncio.sleep(every_s)
        if (term := leadership.term) is None:
            continue
        try:
            if found := await term.archive.look_again():
                logger.info("%d missing artifacts were found", found)
        except Transient as error:
            logger.warning("cannot look for missing artifacts: %s", error)
