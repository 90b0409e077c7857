"""A fact, a timer or a start wakes the router for one pipeline; what it does then follows from the state alone."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from functools import partial
from typing import TypeVar

from nats.aio.msg import Msg
from pydantic import ValidationError

from contracts import subjects
from contracts.envelope import Envelope, UnknownFact, wrap
from contracts.errors import Transient
from contracts.pipeline import PipelineState
from contracts.services import Service
from infra.runtime import clock
from infra.runtime.log import PREVIOUS, Folded, append_decided
from infra.runtime.newer import KEEP_RETRIES, NewerFacts
from infra.runtime.patience import TROUBLES, insist
from infra.runtime.service import Runtime, Setup
from infra.runtime.telemetry.context import at
from infra.runtime.telemetry.spans import span
from infra.runtime.timers import SEEN, set_timer
from services.router.open_pipelines import open_pipelines
from services.router.policy import Decision, decide, elapsed, timers
from services.router.settings import Settings
from services.router.whole import tell_whole

logger = logging.getLogger(__name__)

_CLOCK_LOOK_S = 1.0
_CLOCK_STEP_S = 0.5
T = TypeVar("T")


def router(settings: Settings) -> Setup:
    """The service's setup: consume all facts and fired timers, and look at every open pipeline once."""

    async def setup(runtime: Runtime) -> None:
        desk = Router(runtime, settings)
        runtime.subscribe(desk.on_fact, slots=settings.slots)
        runtime.subscribe_timers(desk.on_timer)
        runtime.on_stop.append(desk.stop)
        runtime.spawn(desk.sweep(), "sweep")
        runtime.spawn(desk.mind_the_clock(), "clock")

    return setup


class Router:
    """One pipeline at a time per id, many ids at once."""

    def __init__(self, runtime: Runtime, settings: Settings) -> None:
        self._runtime = runtime
        self._settings = settings
        self._log = runtime.bus.log
        self._states = runtime.states
        self._newer = NewerFacts(runtime.health, keep_s=KEEP_RETRIES * runtime.settings.unknown_retry_s)
        self._locks: dict[str, tuple[asyncio.Lock, int]] = {}
        self._stopping = False

    async def stop(self) -> None:
        """What is being tried again is given back."""
        self._stopping = True

    # --- what wakes it --------------------------------------------------------------------------

    async def on_fact(self, msg: Msg) -> None:
        """A fact of the log; it was delivered at least once, so it may be old news."""

        async def work(pipeline: str) -> None:
            await self._settle(pipeline, await self._current(pipeline, msg))

        await self._handle(msg, msg.subject.split(".", 2)[1], work)

    async def on_timer(self, msg: Msg) -> None:
        """A back-off is over: say so in the log, if the pipeline still waits for it."""
        timer, seen = msg.data.decode(errors="replace"), (msg.headers or {}).get(SEEN, "")

        async def work(pipeline: str) -> None:
            try:
                folded = await self._states.load(pipeline, at_least=int(seen) if seen.isdigit() else 0)
            except Transient:  # no replica lags so long: that sequence was lost with the log, and not refilled
                folded = await self._states.load(pipeline)
            told = await self._append(pipeline, folded, lambda state: elapsed(state, timer))
            await self._settle(pipeline, told or folded)

        await self._handle(msg, msg.subject.rpartition(".")[2], work)

    async def sweep(self) -> None:
        """Look at all open pipelines: whatever was decided, scheduled or lost before this start."""
        found = await self._insist("sweep", lambda: open_pipelines(self._runtime.bus.nc))
        queue = iter(found)

        async def worker() -> None:
            for pipeline in queue:
                try:
                    await self._insist(pipeline, partial(self._look, pipeline))
                except UnknownFact as error:
                    logger.warning("left alone at the start: %s", error)

        await asyncio.gather(*(worker() for _ in range(self._settings.sweep_width)))
        logger.info("looked at %d open pipelines", len(found))

    async def mind_the_clock(self) -> None:
        """Timers that were set before the clock was set back would fire too late: look at all pipelines again."""
        before = clock.offset_s()
        while True:
            await asyncio.sleep(_CLOCK_LOOK_S)
            now = clock.offset_s()
            if now < before - _CLOCK_STEP_S:
                logger.warning("the clock was set back by %.0f s", before - now)
                await self.sweep()
            before = now

    async def _look(self, pipeline: str) -> None:
        async with self._alone(pipeline):
            with at(self._runtime.place(pipeline)):
                await self._settle(pipeline, await self._states.load(pipeline))

    # --- what it does ---------------------------------------------------------------------------

    async def _current(self, pipeline: str, msg: Msg) -> Folded:
        """The state with this message in it; the log is asked only if facts before it are missing here."""
        sequence = msg.metadata.sequence.stream
        known = self._states.peek(pipeline)
        if known is not None and known.last >= sequence:
            return known
        try:
            envelope = Envelope.decode(msg.data)
            envelope.fact()
        except ValidationError as error:
            logger.error("message %d on %s is ignored: %d faults", sequence, msg.subject, error.error_count())
        else:
            previous = (msg.headers or {}).get(PREVIOUS, "")
            folded = self._states.absorb(sequence, int(previous), envelope) if previous.isdigit() else None
            if folded is not None:
                return folded
        return await self._states.load(pipeline, at_least=sequence)

    async def _settle(self, pipeline: str, folded: Folded) -> None:
        """Append decisions until there is nothing to decide, then see to the timers. An imported history is only
        read: it was decided elsewhere."""
        if folded.state.imported:
            return
        while (after := await self._append(pipeline, folded, self._first)) is not None:
            folded = after
        folded = self._states.peek(pipeline) or folded
        for timer in timers(folded.state, folded.state.policy):
            # A failure may have been told by a clock that was ahead: nobody waits longer than the back-off.
            due = min(timer.due, clock.now() + timedelta(seconds=timer.wait_s))
            await set_timer(self._runtime.bus, pipeline, timer.id, due, seen=folded.last)

    def _first(self, state: PipelineState) -> Decision | None:
        return next(iter(decide(state, state.policy, code_version=self._settings.code_version)), None)

    async def _append(
        self, pipeline: str, folded: Folded, choose: Callable[[PipelineState], Decision | None]
    ) -> Folded | None:
        """Append what ``choose`` makes of the newest state; ``None`` if that is nothing."""
        said: Envelope | None = None

        def envelope(now: Folded) -> Envelope | None:
            nonlocal said
            if (decision := choose(now.state)) is None:
                return None
            said = wrap(
                decision.fact,
                id=decision.id,
                pipeline=pipeline,
                source=Service.ROUTER.value,
                time=clock.now(),
                causation=decision.causation,
            )
            return said

        with span("decide", kind="producer") as step:
            after = await append_decided(self._log, self._states, folded, pipeline, envelope)
            if after is None or said is None:
                step.drop()
            else:
                step.rename(f"decide {said.type}")
                step.set({"connectors.pipeline.id": pipeline, "connectors.fact.type": said.type})
        if said is not None and after is not None and after.state.status.final and not folded.state.status.final:
            await self._ended(pipeline, said, after.state)
        return after

    async def _ended(self, pipeline: str, final: Envelope, state: PipelineState) -> None:
        """Whoever still works for a pipeline that was cancelled or failed may stop."""
        logger.info("pipeline %s (%s): %s %s", pipeline, state.name, state.status, state.reason or "")
        if state.version is None:
            await self._runtime.bus.nc.publish(subjects.cancel(pipeline))
        if self._runtime.recorder is not None:
            await tell_whole(self._runtime.recorder, self._log, final, state)

    # --- the message ----------------------------------------------------------------------------

    async def _handle(self, msg: Msg, pipeline: str, work: Callable[[str], Awaitable[None]]) -> None:
        """Acknowledge a wake-up when its pipeline is settled."""

        async def alone() -> None:
            async with self._alone(pipeline):
                with at(self._runtime.place(pipeline, msg)):
                    await work(pipeline)

        try:
            await self._insist(pipeline, alone)
        except UnknownFact as error:
            self._newer.met(pipeline, error)
            logger.warning("%s; it is looked at again in %g s", error, self._runtime.settings.unknown_retry_s)
            await msg.nak(delay=self._runtime.settings.unknown_retry_s)
        except TROUBLES as error:
            logger.warning("pipeline %s is given back: %s", pipeline, error)
            await msg.nak()
        else:
            self._newer.read(pipeline)
            await msg.ack()

    async def _insist(self, what: str, operation: Callable[[], Awaitable[T]]) -> T:
        """Try again while the bus has trouble, until the process stops."""

        def in_trouble(error: Exception) -> None:
            if self._stopping:
                raise error
            logger.warning("the bus has trouble with %s, trying again: %r", what, error)

        return await insist(operation, in_trouble)

    @asynccontextmanager
    async def _alone(self, pipeline: str) -> AsyncIterator[None]:
        """One at a time for this pipeline; the lock goes with its last user."""
        lock, users = self._locks.get(pipeline, (asyncio.Lock(), 0))
        self._locks[pipeline] = (lock, users + 1)
        try:
            async with lock:
                yield
        finally:
            lock, users = self._locks[pipeline]
            if users == 1:
                del self._locks[pipeline]
            else:
                self._locks[pipeline] = (lock, users - 1)
