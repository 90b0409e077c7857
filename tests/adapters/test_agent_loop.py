"""The agent loop on a real server: one task, one answer, whatever happens in between."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

import nats.errors
import pytest

from contracts import subjects
from contracts.artifacts import ArtifactRef
from contracts.envelope import Envelope, event_id
from contracts.errors import BudgetReached, Rejected, Transient
from contracts.events import (
    AgentFailed,
    Fact,
    FixturesCreated,
    PipelineCancelRequested,
    PipelinePaused,
    PipelinePauseRequested,
    PipelineSubmitted,
    ResearchCompleted,
    ResearchRequested,
)
from contracts.queries import Capability
from contracts.services import Service
from infra.runtime import clock
from infra.runtime.agent import Agent, Job, Tools
from infra.runtime.bus import Bus, connect
from infra.runtime.nats_server import NatsServer
from infra.runtime.service import running
from infra.runtime.settings import BusSettings
from infra.runtime.strikes import Strikes
from tests.support.nats import append, fact_of, submit

ANSWER = ResearchCompleted(blueprint=ArtifactRef.of(b"{}", "application/json"), streams=1)


@dataclass
class Researcher:
    """An agent whose work is a given coroutine; keeps what it was called with."""

    work: Callable[[Job, Path, Tools], Awaitable[Fact]] | None = None
    jobs: list[Job] = field(default_factory=list)
    workspaces: list[Path] = field(default_factory=list)
    started: asyncio.Event = field(default_factory=asyncio.Event)

    async def run(self, job: Job, workspace: Path, tools: Tools) -> Fact:
        self.jobs.append(job)
        self.workspaces.append(workspace)
        self.started.set()
        return await self.work(job, workspace, tools) if self.work else ANSWER

    @property
    def agent(self) -> Agent:
        return Agent(Service.RESEARCH, self.run)


@pytest.fixture
def settings(nats_server: NatsServer, bus_settings: BusSettings) -> BusSettings:
    return nats_server.settings(Service.RESEARCH, bus_settings)


async def pending(bus: Bus) -> tuple[int, int]:
    """Messages of research that are delivered but not acknowledged, and not delivered yet."""
    info = await bus.js.consumer_info(subjects.EVENTS_STREAM, "research")
    return info.num_ack_pending or 0, info.num_pending or 0


async def settled(bus: Bus, *, timeout_s: float = 8.0) -> None:
    async with asyncio.timeout(timeout_s):
        while await pending(bus) != (0, 0):
            await asyncio.sleep(0.02)


async def dead_letters(bus: Bus) -> list[dict[str, str]]:
    return [message.headers for message in await bus.reader.since(subjects.DEAD_STREAM, subjects.ALL_DEAD)]


async def forever(job: Job, workspace: Path, tools: Tools) -> Fact:
    await asyncio.Event().wait()
    raise AssertionError


async def test_answer_names_its_task_and_the_workspace_was_empty_and_is_gone(
    bus: Bus, nats_server: NatsServer, settings: BusSettings
) -> None:
    async def work(job: Job, workspace: Path, tools: Tools) -> Fact:
        assert list(workspace.iterdir()) == []
        (workspace / "deep").mkdir()
        (workspace / "deep" / "file").write_text("x")
        ref = await tools.artifacts.put(b"blueprint", "text/plain")
        await tools.progress("reading", done=1, total=2)
        return ANSWER.model_copy(update={"blueprint": ref})

    told: list[dict[str, object]] = []
    researcher = Researcher(work)
    gateway = connect(nats_server.settings(Service.GATEWAY, settings), Service.GATEWAY)
    async with gateway as hearer, running(researcher.agent, settings):
        listening = await hearer.nc.subscribe(subjects.PROGRESS)
        await hearer.nc.flush()
        pipeline = await submit(bus)
        answer = await fact_of(bus, pipeline, ResearchCompleted)
        told.append(json.loads((await listening.next_msg(timeout=2)).data))
        await settled(bus)
    task = researcher.jobs[0].task.id
    assert (answer.causation, answer.id, answer.source) == (task, event_id(pipeline, task, "research"), "research")
    assert await bus.artifacts.get(ArtifactRef.model_validate(answer.data["blueprint"])) == b"blueprint"
    assert told[0]["message"] == "reading"
    assert not researcher.workspaces[0].exists()


async def test_agent_that_has_a_model_says_so_and_no_other_answers(bus: Bus, settings: BusSettings) -> None:
    async with running(Researcher().agent, settings):
        with pytest.raises(nats.errors.NoRespondersError):
            await bus.nc.request(subjects.CAPABILITIES, timeout=2)
    async with running(Agent(Service.RESEARCH, Researcher().run, models=("a", "b")), settings):
        told = await bus.nc.request(subjects.CAPABILITIES, timeout=2)
    assert Capability.model_validate_json(told.data) == Capability(service="research", models=("a", "b"))


async def test_other_facts_in_between_do_not_lose_the_answer(bus: Bus, settings: BusSettings) -> None:
    async def work(job: Job, workspace: Path, tools: Tools) -> Fact:
        await append(bus, job.state.id, PipelinePauseRequested())
        return ANSWER

    async with running(Researcher(work).agent, settings):
        pipeline = await submit(bus)
        await fact_of(bus, pipeline, ResearchCompleted)


async def test_delivery_of_a_closed_task_runs_nothing(bus: Bus, settings: BusSettings) -> None:
    pipeline = await submit(bus)
    (_, submitted), *_ = await bus.log.history(pipeline)
    await append(bus, pipeline, ANSWER, source="research", causation=submitted.id)
    researcher = Researcher()
    async with running(researcher.agent, settings):
        await settled(bus)
    assert researcher.jobs == []
    assert len(await bus.log.history(pipeline)) == 2


async def test_second_delivery_while_working_runs_nothing_again(bus: Bus, settings: BusSettings) -> None:
    release = asyncio.Event()

    async def work(job: Job, workspace: Path, tools: Tools) -> Fact:
        await release.wait()
        return ANSWER

    researcher = Researcher(work)
    async with running(researcher.agent, settings.model_copy(update={"slots": 2})):
        pipeline = await submit(bus)
        await researcher.started.wait()
        await bus.nc.publish("$JS.ACK.EVENTS.research.1.1.1.1.0", b"-NAK")  # as if the server had lost a heartbeat
        async with asyncio.timeout(3):
            while await deliveries(bus) < 2:
                await asyncio.sleep(0.02)
        release.set()
        await fact_of(bus, pipeline, ResearchCompleted)
        await settled(bus)
    assert len(researcher.jobs) == 1


async def deliveries(bus: Bus) -> int:
    info = await bus.js.consumer_info("EVENTS", "research")
    assert info.delivered is not None
    return info.delivered.consumer_seq


async def test_slots_work_at_the_same_time_and_refill_one_by_one(bus: Bus, settings: BusSettings) -> None:
    release = asyncio.Event()

    async def work(job: Job, workspace: Path, tools: Tools) -> Fact:
        if job.state.name == "slow":
            await release.wait()
        return ANSWER

    async with running(Researcher(work).agent, settings.model_copy(update={"slots": 2})):
        slow = await submit(bus, name="slow")
        for pipeline in [await submit(bus) for _ in range(5)]:
            await fact_of(bus, pipeline, ResearchCompleted)
        release.set()
        await fact_of(bus, slow, ResearchCompleted)


async def test_two_processes_on_one_task_give_one_answer(bus: Bus, settings: BusSettings) -> None:
    async def slow(job: Job, workspace: Path, tools: Tools) -> Fact:
        await asyncio.sleep(0.6)
        return ANSWER

    one, other = Researcher(slow), Researcher(slow)
    dull = settings.model_copy(update={"ack_wait_s": 30.0})
    async with running(one.agent, dull), running(other.agent, dull):
        # The server waits shorter than the heartbeats come: it believes that the first process is gone.
        config = (await bus.js.consumer_info("EVENTS", "research")).config
        await bus.js.add_consumer("EVENTS", config.evolve(ack_wait=0.2))
        pipeline = await submit(bus)
        await fact_of(bus, pipeline, ResearchCompleted)
        await asyncio.sleep(1)
        await settled(bus)
    assert len(one.jobs) + len(other.jobs) >= 2
    facts = [envelope.type for _, envelope in await bus.log.history(pipeline)]
    assert facts == ["pipeline.submitted", "research.completed"]


@pytest.mark.parametrize(
    ("error", "kind", "what"),
    [
        (Transient("the API did not answer", where="https://x"), "transient", "the API did not answer"),
        (Rejected("no list endpoint", where="/paths"), "permanent", "no list endpoint"),
        (BudgetReached("a turn may cost 0.5 USD", where="x"), "budget", "a turn may cost"),
        (TimeoutError("socket"), "transient", "internal error (TimeoutError)"),
        (KeyError("token=topsecretvalue"), "permanent", "internal error (KeyError)"),
        (Transient("got 401 for Authorization: Bearer abcdefghijklmnop"), "transient", "got 401"),
    ],
)
async def test_error_becomes_a_readable_answer(
    bus: Bus, settings: BusSettings, error: Exception, kind: str, what: str
) -> None:
    async def work(job: Job, workspace: Path, tools: Tools) -> Fact:
        raise error

    async with running(Researcher(work).agent, settings):
        pipeline = await submit(bus)
        envelope = await fact_of(bus, pipeline, AgentFailed)
    fact = envelope.fact()
    assert isinstance(fact, AgentFailed)
    assert (fact.kind, fact.service, fact.attempt) == (kind, "research", 1)
    assert fact.budget_usd == (20 if kind == "budget" else None)
    assert what in fact.what
    for leak in ("Traceback", "topsecret", "abcdefghijklmnop"):
        assert leak not in fact.what


async def test_fact_that_is_not_the_services_own_is_refused(bus: Bus, settings: BusSettings) -> None:
    async def work(job: Job, workspace: Path, tools: Tools) -> Fact:
        return FixturesCreated(fixtures=ANSWER.blueprint)

    async with running(Researcher(work).agent, settings):
        pipeline = await submit(bus)
        envelope = await fact_of(bus, pipeline, AgentFailed)
    assert envelope.data["kind"] == "permanent"


async def test_cancel_stops_the_work_within_two_seconds_and_publishes_nothing(
    bus: Bus, settings: BusSettings
) -> None:
    stopped = asyncio.Event()

    async def work(job: Job, workspace: Path, tools: Tools) -> Fact:
        try:
            return await forever(job, workspace, tools)
        finally:
            stopped.set()

    researcher = Researcher(work)
    async with running(researcher.agent, settings):
        pipeline = await submit(bus)
        await researcher.started.wait()
        await append(bus, pipeline, PipelineCancelRequested(), source="gateway")
        await bus.nc.publish(subjects.cancel(pipeline), b"")
        await asyncio.wait_for(stopped.wait(), 2)
        await settled(bus)
    assert [e.type for _, e in await bus.log.history(pipeline)] == [
        "pipeline.submitted",
        "pipeline.cancel_requested",
    ]


async def test_agent_that_ignores_its_cancellation_is_left_behind_in_time(bus: Bus, settings: BusSettings) -> None:
    release = asyncio.Event()

    async def stubborn(job: Job, workspace: Path, tools: Tools) -> Fact:
        while not release.is_set():
            try:
                await release.wait()
            except asyncio.CancelledError:
                (workspace / "still here").touch()
        return ANSWER

    researcher = Researcher(stubborn)
    async with running(researcher.agent, settings):
        pipeline = await submit(bus)
        await researcher.started.wait()
        await append(bus, pipeline, PipelineCancelRequested(), source="gateway")
        await bus.nc.publish(subjects.cancel(pipeline), b"")
        await settled(bus, timeout_s=2)
        release.set()
        await asyncio.sleep(0.1)
    assert len(await bus.log.history(pipeline)) == 2


async def test_cancel_that_is_not_in_the_log_does_not_lose_the_task(bus: Bus, settings: BusSettings) -> None:
    researcher = Researcher(forever)
    async with running(researcher.agent, settings):
        pipeline = await submit(bus)
        await researcher.started.wait()
        researcher.work = None
        await bus.nc.publish(subjects.cancel(pipeline), b"")
        await fact_of(bus, pipeline, ResearchCompleted)
    assert len(researcher.jobs) == 2


async def test_paused_pipeline_is_left_alone(bus: Bus, settings: BusSettings) -> None:
    pipeline = await submit(bus)
    wanted = await append(bus, pipeline, PipelinePauseRequested())
    await append(bus, pipeline, PipelinePaused(), causation=wanted.id)
    researcher = Researcher()
    async with running(researcher.agent, settings):
        await settled(bus)
    assert researcher.jobs == []


async def test_stop_gives_the_task_back_at_once_and_that_is_no_strike(bus: Bus, settings: BusSettings) -> None:
    patient = settings.model_copy(update={"ack_wait_s": 60.0})
    researcher = Researcher(forever)
    pipeline = ""
    for stops in range(5):
        researcher.started.clear()
        async with running(researcher.agent, patient):
            pipeline = pipeline or await submit(bus)
            await asyncio.wait_for(researcher.started.wait(), 3)
        assert len(researcher.jobs) == stops + 1
    last = Researcher()
    async with running(last.agent, patient):
        await fact_of(bus, pipeline, ResearchCompleted, timeout_s=3)
    assert await dead_letters(bus) == []


async def test_fourth_attempt_after_three_lost_ones_is_given_up(bus: Bus, settings: BusSettings) -> None:
    pipeline = await submit(bus)
    sub = await bus.js.pull_subscribe_bind(durable="research", stream="EVENTS")
    for _ in range(3):  # three workers that take the task and die
        (msg,) = await sub.fetch(1, timeout=5)
        await msg.nak()
    researcher = Researcher()
    async with running(researcher.agent, settings):
        envelope = await fact_of(bus, pipeline, AgentFailed)
        await settled(bus)
    assert researcher.jobs == []
    assert envelope.data["kind"] == "permanent"
    assert "3 times" in envelope.data["what"]
    (letter,) = await dead_letters(bus)
    assert (letter["Connectors-Subject"], letter["Connectors-Sequence"]) == (
        subjects.event(pipeline, PipelineSubmitted),
        "1",
    )


async def test_attempt_that_advanced_is_no_strike(bus: Bus, settings: BusSettings) -> None:
    pipeline = await submit(bus)
    (_, submitted), *_ = await bus.log.history(pipeline)
    sub = await bus.js.pull_subscribe_bind(durable="research", stream="EVENTS")
    for delivery in range(1, 5):
        (msg,) = await sub.fetch(1, timeout=5)
        await Strikes(bus, Service.RESEARCH).excuse(submitted.id, delivery, "advanced")
        await msg.nak()
    async with running(Researcher().agent, settings):
        await fact_of(bus, pipeline, ResearchCompleted)


async def test_attempt_that_takes_too_long_fails(bus: Bus, settings: BusSettings) -> None:
    hasty = settings.model_copy(update={"task_timeout_s": 0.2})
    async with running(Researcher(forever).agent, hasty):
        pipeline = await submit(bus)
        envelope = await fact_of(bus, pipeline, AgentFailed)
    assert envelope.data["kind"] == "transient"
    assert "longer than 0.2 s" in envelope.data["what"]


async def test_work_longer_than_ack_wait_is_delivered_once(bus: Bus, settings: BusSettings) -> None:
    async def work(job: Job, workspace: Path, tools: Tools) -> Fact:
        await asyncio.sleep(2)
        return ANSWER

    researcher = Researcher(work)
    quick = settings.model_copy(update={"ack_wait_s": 0.6, "slots": 2})  # the other one would take it
    async with running(researcher.agent, quick):
        pipeline = await submit(bus)
        await fact_of(bus, pipeline, ResearchCompleted)
        await settled(bus)
    assert (len(researcher.jobs), await deliveries(bus)) == (1, 1)


async def test_fact_of_a_newer_version_is_kept_and_reported(bus: Bus, settings: BusSettings) -> None:
    pipeline = clock.new_id()
    newer = {
        "id": "newer",
        "source": "gateway",
        "type": "pipeline.submitted",
        "dataversion": 99,
        "time": clock.now().isoformat(),
        "subject": pipeline,
        "data": {"name": "x"},
    }
    await bus.js.publish(subjects.event(pipeline, "pipeline.submitted"), json.dumps(newer).encode())
    researcher = Researcher()
    async with running(researcher.agent, settings) as runtime:
        other = await submit(bus)
        await fact_of(bus, other, ResearchCompleted)
        await asyncio.sleep(1)  # looked at again three times, at 0.3 s each, and still no strike
        _, report = await runtime.health.report()
        assert "pipeline.submitted version 99 is newer than this code" in str(report["warnings"])
        assert set(report["problems"]) == {"event_store"}  # there is none: the fact itself makes nobody unready
    delivered = await bus.reader.since(subjects.TURNS_STREAM, subjects.attempts("research", "newer"))
    assert len(delivered) >= 2
    assert (await pending(bus))[0] == 1
    assert await dead_letters(bus) == []
    assert len(researcher.jobs) == 1


@pytest.mark.parametrize("payload", [b"rubbish", b"{}", b"\xff\xfe"])
async def test_rubbish_is_buried_and_work_goes_on(bus: Bus, settings: BusSettings, payload: bytes) -> None:
    await bus.js.publish(subjects.event(clock.new_id(), "pipeline.submitted"), payload)
    async with running(Researcher().agent, settings):
        pipeline = await submit(bus)
        await fact_of(bus, pipeline, ResearchCompleted)
        await settled(bus)
    (letter,) = await dead_letters(bus)
    assert "no envelope" in letter["Connectors-Cause"]


async def test_envelope_with_unreadable_data_is_buried(bus: Bus, settings: BusSettings) -> None:
    pipeline, unreadable = clock.new_id(), {"attempt": "twice"}
    broken = Envelope(
        id="b",
        source="g",
        type="research.requested",
        dataversion=1,
        time=clock.now(),
        subject=pipeline,
        data=unreadable,
    )
    await bus.js.publish(subjects.event(pipeline, ResearchRequested), broken.encode())
    async with running(Researcher().agent, settings):
        await settled(bus)
    (letter,) = await dead_letters(bus)
    assert "research.requested" in letter["Connectors-Cause"]


async def test_killed_server_costs_nothing(bus: Bus, nats_server: NatsServer, settings: BusSettings) -> None:
    release = asyncio.Event()

    async def work(job: Job, workspace: Path, tools: Tools) -> Fact:
        await release.wait()
        return ANSWER

    researcher = Researcher(work)
    async with running(researcher.agent, settings):
        pipeline = await submit(bus)
        await researcher.started.wait()
        await nats_server.kill()
        release.set()  # the work is done while the bus is away
        await asyncio.sleep(0.5)
        await nats_server.start()
        await fact_of(bus, pipeline, ResearchCompleted)
        await settled(bus)
        after = await submit(bus)
        await fact_of(bus, after, ResearchCompleted)
    assert [e.type for _, e in await bus.log.history(pipeline)] == ["pipeline.submitted", "research.completed"]


async def test_bus_that_is_away_while_an_agent_stores_something_does_not_fail_its_task(
    bus: Bus, nats_server: NatsServer, settings: BusSettings
) -> None:
    hasty = settings.model_copy(update={"request_timeout_s": 0.2, "ack_wait_s": 30})

    async def work(job: Job, workspace: Path, tools: Tools) -> Fact:
        await nats_server.kill()
        asyncio.get_running_loop().call_later(1.5, lambda: back.append(asyncio.create_task(nats_server.start())))
        blueprint = await tools.artifacts.put(b"a blueprint", "application/json")
        return ResearchCompleted(blueprint=blueprint, streams=len(await tools.artifacts.get(blueprint)))

    back: list[asyncio.Task[None]] = []
    researcher = Researcher(work)
    async with running(researcher.agent, hasty) as runtime:
        pipeline = await submit(bus)
        async with asyncio.timeout(10):
            while "artifacts" not in runtime.health.problems:
                await asyncio.sleep(0.01)
        answer = await fact_of(bus, pipeline, ResearchCompleted)
        assert answer.data["streams"] == len(b"a blueprint")
        assert "artifacts" not in runtime.health.problems
    assert len(researcher.jobs) == 1


async def test_artifact_that_nobody_has_is_a_failure_at_once(bus: Bus, settings: BusSettings) -> None:
    async def work(job: Job, workspace: Path, tools: Tools) -> Fact:
        await tools.artifacts.get(ArtifactRef.of(b"never stored", "text/plain"))
        return ANSWER

    async with running(Researcher(work).agent, settings):
        answer = await fact_of(bus, await submit(bus), AgentFailed)
    assert answer.data["kind"] == "transient"
    assert "has no text/plain" in answer.data["what"]
