"""One attempt at a task: the agent runs in an empty folder, can be stopped from outside, and has an outcome."""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
import tempfile
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

import nats.errors

from contracts.errors import BudgetReached, ConnectorsError, Transient
from contracts.events import AgentFailed, Fact
from contracts.services import FACES, Service
from infra.runtime.agent import Agent, Job, Tools
from infra.runtime.logs import redact

logger = logging.getLogger(__name__)

GRACE_S = 1.0
"""How long an attempt may clean up after it was told to stop; then it is left behind. All of a cancel takes 2 s."""

_MAX_TEXT = 500


class Ended(StrEnum):
    """Why an attempt was stopped from outside: it has no answer then."""

    CANCELLED = "cancelled"
    STOPPED = "stopped"


@dataclass
class _Running:
    pipeline: str
    work: asyncio.Task[Fact]
    told: asyncio.Future[None]
    why: Ended | None = None


class Attempts:
    """The attempts that run in this process."""

    def __init__(self, agent: Agent, *, folder: Path, timeout_s: float) -> None:
        self._agent = agent
        self._workspaces = Workspaces(folder.resolve(), f"{agent.service.value}-")
        self._timeout_s = timeout_s
        self._running: list[_Running] = []

    def end(self, why: Ended, pipeline: str | None = None) -> None:
        """Stop the attempts of ``pipeline``, or all."""
        for running in self._running:
            if pipeline in (None, running.pipeline):
                running.why = running.why or why
                if not running.told.done():
                    running.told.set_result(None)

    async def close(self) -> None:
        """Remove what the attempts have left behind; none may run any more."""
        await self._workspaces.close()

    async def run(self, job: Job, tools: Tools, pipeline: str) -> Fact | Ended:
        """What the agent returned, `agent.failed` for what it raised, or why it was stopped."""
        service = self._agent.service
        folder = self._workspaces.take()
        work = asyncio.ensure_future(self._agent.run(job, folder, tools))
        running = _Running(pipeline, work, asyncio.get_running_loop().create_future())
        self._running.append(running)
        try:
            await self._wait(running)
        finally:
            self._running.remove(running)
            self._workspaces.give_back(folder, reuse=work.done())
            work.cancel()
        if running.why is Ended.CANCELLED or (running.why and (not work.done() or work.cancelled())):
            return running.why
        if not work.done() or work.cancelled():
            return failed(service, job, Transient(f"{service} took longer than {self._timeout_s:g} s"))
        return _result(service, job, work)

    async def _wait(self, running: _Running) -> None:
        """Until the work is done, is told to stop, or took too long; then for `GRACE_S` while it cleans up."""
        work = running.work
        ends: set[asyncio.Future[Any]] = {work, running.told}
        await asyncio.wait(ends, timeout=self._timeout_s, return_when=asyncio.FIRST_COMPLETED)
        if not work.done():
            work.cancel()
            await asyncio.wait({work}, timeout=GRACE_S)
        if not work.done():
            logger.error("an attempt of %s does not stop; it is left behind", self._agent.service)


def _result(service: Service, job: Job, work: asyncio.Task[Fact]) -> Fact:
    error = work.exception()
    if error is not None:
        return failed(service, job, error)
    fact = work.result()
    if type(fact) not in FACES[service].emits:
        return failed(service, job, TypeError(f"{type(fact).__name__} is no answer of {service}"))
    return fact


def failed(service: Service, job: Job, error: BaseException) -> AgentFailed:
    """The fact for an error: readable, without a trace. The trace of an unexpected one goes to the log."""
    where = budget_usd = None
    kind = "permanent"
    if isinstance(error, ConnectorsError):
        what, where = error.what, error.where
        if isinstance(error, Transient):
            kind = "transient"
        elif isinstance(error, BudgetReached):
            kind, budget_usd = "budget", job.state.budget_usd
    else:
        logger.error("%s failed on task %s", service, job.task.id, exc_info=error)
        if isinstance(error, OSError | nats.errors.Error):  # TimeoutError is an OSError
            kind = "transient"
        what = (
            f"{service} stopped on an internal error ({type(error).__name__}); see its log for task {job.task.id}"
        )
    return AgentFailed.model_validate(
        {
            "service": service.value,
            "kind": kind,
            "what": redact(what)[:_MAX_TEXT],
            "where": redact(where)[:_MAX_TEXT] if where else None,
            "attempt": job.task.attempt,
            "budget_usd": budget_usd,
        }
    )


class Workspaces:
    """An empty folder for each attempt. One that stayed empty serves again; others are removed in the background.

    Folders are slow to make and to remove while others sync to the same disk: 5 ms each were measured.
    """

    def __init__(self, parent: Path, prefix: str) -> None:
        self._parent = parent
        self._prefix = prefix
        self._spare: list[Path] = []
        self._removals: set[asyncio.Task[None]] = set()

    def take(self) -> Path:
        """A folder that nobody else has."""
        return self._spare.pop() if self._spare else self._made()

    def give_back(self, folder: Path, *, reuse: bool) -> None:
        """``reuse`` false: somebody may still write there."""
        if reuse and not self._spare and not os.listdir(folder):
            self._spare.append(folder)
        else:
            self._remove(folder)

    async def close(self) -> None:
        """Remove what is left."""
        while self._spare:
            self._remove(self._spare.pop())
        await asyncio.gather(*self._removals)

    def _made(self) -> Path:
        self._parent.mkdir(parents=True, exist_ok=True)
        return Path(tempfile.mkdtemp(prefix=self._prefix, dir=self._parent))

    def _remove(self, folder: Path) -> None:
        task = asyncio.create_task(asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True))
        self._removals.add(task)
        task.add_done_callback(self._removals.discard)
