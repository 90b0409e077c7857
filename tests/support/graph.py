"""The whole graph on a real bus: the real router, agents that follow a script, all in this process."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import nats.errors

from contracts import events as e
from contracts.envelope import Envelope
from contracts.pipeline import PipelineState, evolve
from contracts.services import AGENTS, Service
from infra.runtime import clock
from infra.runtime.agent import Agent, Job, Tools
from infra.runtime.bus import Bus
from infra.runtime.direct import StreamUnavailable
from infra.runtime.log import Conflict, States
from infra.runtime.nats_server import NatsServer
from infra.runtime.service import Runtime, running, serving
from infra.runtime.settings import BusSettings
from services.router.handler import router
from services.router.settings import Settings
from tests.support.nats import append
from tests.support.scripted import Cast, Scenario


@dataclass
class Stage:
    """Pipelines of this stage follow the scenario that they were submitted with."""

    bus: Bus
    casts: dict[str, tuple[Scenario, Cast]]
    services: list[Runtime] = field(default_factory=list)
    """The agents, then the routers."""
    released: set[str] = field(default_factory=set)
    """Pipelines in which nobody is held any more."""

    async def submit(self, scenario: Scenario) -> str:
        pipeline = clock.new_id()
        self.casts[pipeline] = (scenario, Cast(scenario.script))
        await append(self.bus, pipeline, scenario.submitted(), source=Service.GATEWAY)
        return pipeline

    async def held(self, scenario: Scenario, count: int) -> list[str]:
        """So many pipelines, interleaved, each as far as the service that ``scenario`` holds."""
        assert scenario.hold is not None
        service = scenario.hold[0]
        pipelines = [await self.submit(scenario) for _ in range(count)]
        for pipeline in pipelines:
            await self.until(pipeline, lambda state: any(task.service == service for task in state.tasks))
        return pipelines

    async def fork(self, parent: str, at: int) -> str:
        pipeline = clock.new_id()
        self.casts[pipeline] = self.casts[parent]
        await append(self.bus, pipeline, e.PipelineForked(parent=parent, at=at), source=Service.GATEWAY)
        return pipeline

    async def tell(self, pipeline: str, fact: e.Fact) -> None:
        """A user says ``fact``, as the gateway would: again, if another fact came first."""
        while True:
            try:
                await append(self.bus, pipeline, fact, source=Service.GATEWAY)
                return
            except Conflict:
                await asyncio.sleep(0.001)

    async def facts(self, pipeline: str) -> list[Envelope]:
        return [envelope for _, envelope in await self.bus.log.history(pipeline)]

    async def state(self, pipeline: str) -> PipelineState:
        """Folded anew from the log, apart from what the services keep."""
        return (await States(self.bus.log, evolve).load(pipeline)).state

    async def until(
        self, pipeline: str, reached: Callable[[PipelineState], bool], *, timeout_s: float = 40
    ) -> PipelineState:
        """The state, as soon as ``reached`` says so.

        Raises:
            TimeoutError: it did not come to that; the text has the pipeline's facts.
        """
        try:
            async with asyncio.timeout(timeout_s):
                while not reached(state := await self.state(pipeline)):
                    await asyncio.sleep(0.01)
                return state
        except TimeoutError:
            raise TimeoutError(f"not reached after {[fact.type for fact in await self.facts(pipeline)]}") from None

    async def end(self, pipeline: str) -> PipelineState:
        return await self.until(pipeline, lambda state: state.status.final)

    async def play(self, job: Job, workspace: Path, tools: Tools) -> e.Fact:
        scenario, cast = self.casts.get(job.state.id) or self.casts[str(job.state.parent)]
        service, fact = scenario.hold or (None, "")
        while service == job.task.service and not await self._released(job.state.id, fact):
            await asyncio.sleep(0.01)
        return cast.answer(job.state, job.task)

    async def _released(self, pipeline: str, fact: str) -> bool:
        """Also without the bus."""
        if pipeline in self.released:
            return True
        try:
            return any(said.type == fact for said in await self.facts(pipeline))
        except (StreamUnavailable, nats.errors.Error):
            return False


@asynccontextmanager
async def stage(
    server: NatsServer,
    bus: Bus,
    settings: BusSettings,
    *,
    routers: int = 1,
    slots: int = 2,
    before: Stage | None = None,
    themselves: Sequence[Agent] = (),
) -> AsyncIterator[Stage]:
    """All agents with ``slots`` each, and so many replicas of the router; they know the pipelines of ``before``.
    Those who play ``themselves`` follow no script."""
    theatre = Stage(bus, before.casts if before else {})
    real = {agent.service: agent for agent in themselves}
    async with AsyncExitStack() as stack:
        for service in AGENTS:
            own = server.settings(service, settings).model_copy(update={"slots": slots})
            agent = real.get(service) or Agent(service, theatre.play)
            theatre.services.append(await stack.enter_async_context(running(agent, own)))
        for _ in range(routers):
            theatre.services.append(await stack.enter_async_context(routing(server, settings)))
        yield theatre


@asynccontextmanager
async def routing(server: NatsServer, settings: BusSettings) -> AsyncIterator[Runtime]:
    """One replica of the router."""
    own = server.settings(Service.ROUTER, settings)
    async with serving(Service.ROUTER, router(Settings(code_version="test")), own) as runtime:
        yield runtime
