"""``python -m tests.benchmarks.store_alone DATABASE_URL``: the event store's answers on the bus, no copying.

So a history can be asked for that was written straight into the database.
"""

from __future__ import annotations

import asyncio
import os
import sys

from nats.aio.msg import Msg

from contracts import subjects
from contracts.services import Service
from infra.runtime.bus import connect
from infra.runtime.settings import BusSettings
from services.event_store.database.copy import Copy
from services.event_store.database.engine import open_engine
from services.event_store.questions import Questions
from services.event_store.verify import Verifier
from services.event_store.watermark import Watermark


async def main(url: str) -> None:
    engine, watermark = open_engine(url), Watermark()
    Copy(engine).forget_milestones()
    watermark.problem = None
    await watermark.advance(Copy(engine).last_sequence())
    async with connect(BusSettings(), Service.EVENT_STORE) as bus:
        limit = bus.nc.max_payload - 4096
        verifier = Verifier(bus, engine, watermark)
        questions = Questions(engine, watermark, verifier, min_seq_timeout_s=3, max_answer_bytes=limit)
        running: set[asyncio.Task[None]] = set()

        async def answer(msg: Msg) -> None:
            await msg.respond(await questions.answer(msg.subject.rpartition(".")[2], msg.data))

        async def ask(msg: Msg) -> None:
            task = asyncio.create_task(answer(msg))
            running.add(task)
            task.add_done_callback(running.discard)

        await bus.nc.subscribe(subjects.query("*"), queue=Service.EVENT_STORE, cb=ask)
        await bus.nc.flush()
        print("ready", os.getpid(), file=sys.stderr, flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
