"""The loop of every agent: a fact arrives, its task is done, the answer is appended (design.md, rules 4 to 11).

A message only wakes the loop. What is to be done is read from the folded state: the task that this very fact
opened, if it is still open. One task has one answer, whoever gives it; an answer that comes too late is dropped.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

import nats.errors
from faststream.nats import NatsMessage
from nats.aio.msg import Msg
from pydantic import ValidationError

from contracts import subjects
from contracts.envelope import Envelope, UnknownFact, event_id, wrap
from contracts.errors import Permanent
from contracts.events import Fact
from contracts.pipeline import Task, open_task, startable
from contracts.queries import Capability, Presence
from infra.runtime import clock
from infra.runtime.agent import Agent, Job, Tools
from infra.runtime.attempt import Attempts, Ended, failed
from infra.runtime.log import Folded, append_decided
from infra.runtime.measured import measured
from infra.runtime.newer import KEEP_RETRIES, NewerFacts
from infra.runtime.patience import PatientArtifacts, insist
from infra.runtime.service import Runtime
from infra.runtime.strikes import Strikes
from infra.runtime.telemetry import metrics
from infra.runtime.telemetry.context import at
from infra.runtime.telemetry.spans import Span, span

if TYPE_CHECKING:
    from infra.runtime.claude.model import Models

logger = logging.getLogger(__name__)

_UNCONFIRMED_CANCEL_S = 1.0

T = TypeVar("T")


class _Stopping(Exception):
    """The process ends: the message goes back at once."""


class AgentLoop:
    """The handler of one agent's durable, and what it is working on."""

    def __init__(self, agent: Agent, runtime: Runtime) -> None:
        settings = runtime.settings
        self._service = agent.service
        self._models = agent.models
        self._claude = _models(agent)
        self._runtime = runtime
        self._settings = settings
        self._attempts = Attempts(agent, folder=settings.data_dir / "workspaces", timeout_s=settings.task_timeout_s)
        self._strikes = Strikes(runtime.bus, agent.service)
        self._newer = NewerFacts(runtime.health, keep_s=KEEP_RETRIES * settings.unknown_retry_s)
        self._active: dict[str, asyncio.Event] = {}
        self._stopping = False

    def subscribe(self) -> None:
        """Consume this agent's facts, hear cancels, and give work back at the end."""
        self._runtime.subscribe(self.on_message, slots=self._settings.slots)
        self._runtime.listen(subjects.CANCELS, self.on_cancel)
        self._runtime.broker.subscriber(subjects.PRESENCE)(self.on_presence)
        if self._models:
            self._runtime.broker.subscriber(subjects.CAPABILITIES)(self.on_capabilities)
        self._runtime.on_stop.append(self.hand_back)

    async def on_cancel(self, msg: Msg) -> None:
        """Somebody cancelled a pipeline: stop its work here. Whether it really is cancelled, the log says."""
        self._attempts.end(Ended.CANCELLED, msg.subject.split(".")[1])

    async def on_presence(self, message: NatsMessage) -> bytes:
        """Somebody asks who is there: this process, and what it works on."""
        return Presence(service=self._service, tasks=tuple(self._active)).model_dump_json().encode()

    async def on_capabilities(self, message: NatsMessage) -> bytes:
        """Somebody asks who has a model."""
        return Capability(service=self._service, models=self._models).model_dump_json().encode()

    async def hand_back(self) -> None:
        """The process ends: stop all work; each handler gives its message back at once."""
        self._stopping = True
        self._attempts.end(Ended.STOPPED)
        while self._active:
            await next(iter(self._active.values())).wait()
        await self._attempts.close()

    async def on_message(self, msg: Msg) -> None:
        """One delivery: in the end it is acknowledged, given back, or buried."""
        with self._heartbeats(msg):
            try:
                envelope = Envelope.decode(msg.data)
            except ValidationError as error:
                await self._bury(msg, f"this is no envelope: {error.error_count()} faults")
                return
            try:
                envelope.fact()
                await self._one_at_a_time(msg, envelope)
            except ValidationError as error:
                await self._bury(msg, f"this is no {envelope.type}: {error.error_count()} faults")
            except UnknownFact as error:
                self._newer.met(envelope.id, error)
                logger.warning("%s; it is looked at again in %g s", error, self._settings.unknown_retry_s)
                await self._give_back(msg, envelope.id, delay_s=self._settings.unknown_retry_s)
            except _Stopping:
                await self._give_back(msg, envelope.id)

    async def _one_at_a_time(self, msg: Msg, envelope: Envelope) -> None:
        """A second delivery of what this process is working on waits, and then finds the task closed."""
        while (other := self._active.get(envelope.id)) is not None:
            await other.wait()
        self._active[envelope.id] = done = asyncio.Event()
        try:
            with at(self._runtime.place(envelope.pipeline, msg, envelope.id)):
                await self._handle(msg, envelope)
        finally:
            del self._active[envelope.id]
            done.set()

    async def _handle(self, msg: Msg, envelope: Envelope) -> None:
        """Do the task that ``envelope`` opened, if it is still to be done."""
        pipeline, sequence = envelope.pipeline, msg.metadata.sequence.stream
        folded = await self._persist(lambda: self._runtime.states.load(pipeline, at_least=sequence))
        self._newer.read(envelope.id)
        task = startable(folded.state, self._service, envelope.id)
        if task is None:
            await self._done(msg)
            return
        with span(f"{self._service} {task.mode or ''}".rstrip(), kind="consumer") as work:
            answer = await self._attempted(msg, Job(task, folded.state), work)
            if answer is Ended.CANCELLED:
                await self._after_cancel(msg, pipeline, task)
            elif isinstance(answer, Fact):
                await self._answer(folded, pipeline, task, answer)
                await self._done(msg)
            else:
                raise _Stopping

    async def _attempted(self, msg: Msg, job: Job, work: Span) -> Fact | Ended:
        """What came of one attempt. ``work`` ends with it: the answer is said afterwards, and not part of it."""
        strikes = await self._persist(lambda: self._strikes.count(job.task.id, _delivered(msg)))
        if strikes:
            metrics.STRIKES.labels(self._service).inc()
        with measured(self._service, job, work) as came:
            if strikes >= self._settings.max_strikes:
                answer: Fact | Ended = await self._give_up(msg, job, strikes)
            else:
                answer = await self._attempts.run(job, self._tools(job), job.state.id)
            came(answer)
        return answer

    async def _answer(self, folded: Folded, pipeline: str, task: Task, fact: Fact) -> None:
        """Append the answer unless the task was closed in the meantime."""
        envelope = wrap(
            fact,
            id=event_id(pipeline, task.id, self._service),
            pipeline=pipeline,
            source=self._service.value,
            time=clock.now(),
            causation=task.id,
        )

        def decide(now: Folded) -> Envelope | None:
            return envelope if open_task(now.state, self._service, task.id) else None

        log, states = self._runtime.bus.log, self._runtime.states
        if await self._persist(lambda: append_decided(log, states, folded, pipeline, decide, fold=False)) is None:
            logger.info("the answer to task %s came too late and is dropped", task.id)

    async def _after_cancel(self, msg: Msg, pipeline: str, task: Task) -> None:
        """Cancelled in the log too: done. If not (yet), the task must not be lost: look again soon."""
        folded = await self._persist(lambda: self._runtime.states.load(pipeline))
        if startable(folded.state, self._service, task.id) is None:
            logger.info("stopped the work on task %s: its pipeline was cancelled", task.id)
            await self._done(msg)
        else:
            await self._give_back(msg, task.id, delay_s=_UNCONFIRMED_CANCEL_S)

    async def _give_up(self, msg: Msg, job: Job, strikes: int) -> Fact:
        """Too many attempts ended without any answer: a dead letter, and `agent.failed` as the answer."""
        what = f"{self._service} was started {strikes} times on this task and never answered: it died or hung"
        await self._dead_letter(msg, what)
        return failed(self._service, job, Permanent(what))

    # --- the message ----------------------------------------------------------------------------

    async def _done(self, msg: Msg) -> None:
        try:
            await msg.ack()  # without waiting: should it get lost, the next delivery finds the task closed
        except nats.errors.Error as error:
            logger.warning("an acknowledgement was not sent: %r", error)

    async def _give_back(self, msg: Msg, task: str, *, delay_s: float | None = None) -> None:
        """Not done, and no strike: somebody gets it again, at once or after ``delay_s``."""
        try:
            await self._strikes.excuse(task, _delivered(msg), "handed_back")
            await msg.nak(delay=delay_s)
        except (TimeoutError, nats.errors.Error) as error:
            logger.warning("a task could not be given back and waits for its time-out: %r", error)

    async def _bury(self, msg: Msg, what: str) -> None:
        """Nobody can ever handle this: keep it in the stream of dead letters."""
        logger.error("message %d on %s is buried: %s", msg.metadata.sequence.stream, msg.subject, what)
        try:
            await self._dead_letter(msg, what)
        except _Stopping:
            await msg.nak()
            return
        await self._done(msg)

    async def _dead_letter(self, msg: Msg, what: str) -> None:
        pipeline = msg.subject.split(".")[1]
        sequence = msg.metadata.sequence.stream
        headers = {
            "Nats-Msg-Id": f"{self._service.value}/{sequence}",
            "Connectors-Sequence": str(sequence),
            "Connectors-Subject": msg.subject,
            "Connectors-Cause": what,
        }
        publish = self._runtime.bus.js.publish
        await self._persist(
            lambda: publish(subjects.dead(self._service.value, pipeline), msg.data, headers=headers)
        )
        metrics.DEAD_LETTERS.labels(self._service).inc()

    @contextmanager
    def _heartbeats(self, msg: Msg) -> Iterator[None]:
        """Tell the server at a third of ``ack_wait`` that the message is being worked on."""
        loop = asyncio.get_running_loop()
        interval = self._settings.ack_wait_s / 3
        beats: set[asyncio.Task[None]] = set()
        timer: asyncio.TimerHandle

        def beat() -> None:
            nonlocal timer
            task = loop.create_task(_in_progress(msg))
            beats.add(task)
            task.add_done_callback(beats.discard)
            timer = loop.call_later(interval, beat)

        timer = loop.call_later(interval, beat)  # no task for the many messages that are handled at once
        try:
            yield
        finally:
            timer.cancel()

    # --- around it ------------------------------------------------------------------------------

    async def _persist(self, operation: Callable[[], Awaitable[T]]) -> T:
        """Repeat ``operation`` while the bus has trouble: work that is done must not be lost to it.

        Raises:
            _Stopping: the process ends.
        """
        result = await insist(operation, self._in_trouble)
        self._runtime.health.problems.pop("log", None)
        return result

    def _in_trouble(self, error: Exception) -> None:
        logger.warning("the bus has trouble, trying again: %r", error)
        self._runtime.health.problems["log"] = str(error) or type(error).__name__
        if self._stopping:
            raise _Stopping

    def _tools(self, job: Job) -> Tools:
        nc, service = self._runtime.bus.nc, self._service.value

        async def progress(message: str, *, done: int | None = None, total: int | None = None) -> None:
            told = {"service": service, "task": job.task.id, "message": message, "done": done, "total": total}
            told["time"] = clock.now().isoformat()
            try:
                await nc.publish(subjects.progress(job.state.id), json.dumps(told).encode())
            except nats.errors.Error as error:
                logger.debug("progress was not told: %r", error)

        bus, health = self._runtime.bus, self._runtime.health
        artifacts = PatientArtifacts(bus.artifacts, health)
        model = self._claude.on_bus(bus, health, job, artifacts, progress) if self._claude else None
        return Tools(artifacts, progress, model)


def _models(agent: Agent) -> Models | None:
    """Loaded only where it is used: every agent would start later for it."""
    if not agent.models:
        return None
    from infra.runtime.claude.model import Models

    return Models(agent)


async def _in_progress(msg: Msg) -> None:
    try:
        await msg.in_progress()
    except nats.errors.Error as error:
        logger.debug("a heartbeat was not sent: %r", error)


def _delivered(msg: Msg) -> int:
    """How often this message was delivered, this time included."""
    return int(msg.metadata.num_delivered or 1)
