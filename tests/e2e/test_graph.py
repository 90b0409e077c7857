"""Every edge of the graph on a real bus: the real router and agent loop, agents that follow a script."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from contracts import events as e
from contracts.pipeline import Status
from contracts.services import AGENTS, Service
from infra.runtime.bus import connect
from infra.runtime.bus_users import ADMIN
from infra.runtime.nats_server import NatsServer
from tests.support.graph import Stage, stage
from tests.support.nats import fast, provision_all
from tests.support.scripted import GRAPH, Scenario, bad_code, decided, transient

pytestmark = pytest.mark.asyncio(loop_scope="module")

STEPS = "tests:GENERATE review publish:success completed:success"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def theatre(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stage]:
    """One bus, one router and one of each agent for all tests of this file; each test has pipelines of its own."""
    folder: Path = tmp_path_factory.mktemp("graph")
    server, settings = NatsServer(folder / "nats", sync_always=False), fast(folder / "data")
    await server.start()
    try:
        admin = server.settings(ADMIN, settings)
        async with connect(admin, ADMIN) as bus:
            await provision_all(bus, admin)
            async with stage(server, bus, settings) as theatre:
                yield theatre
    finally:
        await server.kill()


@pytest.mark.parametrize("scenario", GRAPH, ids=lambda scenario: scenario.name)
async def test_graph_decides_as_the_table_says(theatre: Stage, scenario: Scenario) -> None:
    pipeline = await theatre.submit(scenario)

    state = await theatre.end(pipeline)

    assert decided(await theatre.facts(pipeline)) == scenario.expected
    assert state.status is scenario.status
    assert scenario.says in (state.reason or "")


@pytest.mark.parametrize("service", AGENTS, ids=str)
async def test_cancel_ends_a_pipeline_wherever_it_is(theatre: Stage, service: Service) -> None:
    """``service`` works when the cancel comes; its answer, if it comes, is dropped."""
    pipeline = await theatre.submit(Scenario("cancel", "", hold=(service, e.PipelineCancelled.TYPE)))
    await theatre.until(pipeline, lambda state: any(task.service == service for task in state.tasks))

    await theatre.tell(pipeline, e.PipelineCancelRequested())
    state = await theatre.end(pipeline)

    assert state.status is Status.CANCELLED
    facts = await theatre.facts(pipeline)
    assert decided(facts)[-1] == "cancelled"
    assert sum(fact.type in e.FINAL for fact in facts) == 1


@pytest.mark.parametrize("service", AGENTS, ids=str)
async def test_cancel_during_a_back_off_ends_a_pipeline(theatre: Stage, service: Service) -> None:
    scenario = Scenario("cancel", "", script={service: [transient]}, policy={"retry_backoff_s": 600})
    pipeline = await theatre.submit(scenario)
    await theatre.until(pipeline, lambda state: bool(state.failures))

    await theatre.tell(pipeline, e.PipelineCancelRequested())

    assert (await theatre.end(pipeline)).status is Status.CANCELLED


@pytest.mark.parametrize(
    ("answer", "status", "decisions"),
    [
        (e.ApprovalGranted, Status.SUCCESS, "approval:success publish:success completed:success"),
        (e.ApprovalDenied, Status.FAILED, "approval:success failed"),
    ],
    ids=["granted", "denied"],
)
async def test_publishing_waits_for_approval(
    theatre: Stage, answer: type[e.Fact], status: Status, decisions: str
) -> None:
    pipeline = await theatre.submit(Scenario("approval", "", policy={"approval": "required"}))
    waiting = await theatre.until(pipeline, lambda state: state.approval is not None)

    await theatre.tell(pipeline, answer(request="another"))
    await theatre.tell(pipeline, answer(request=waiting.approval))
    state = await theatre.end(pipeline)

    assert state.status is status
    assert decided(await theatre.facts(pipeline)) == ["tests:GENERATE", "review", *decisions.split()]


@pytest.mark.parametrize("service", AGENTS, ids=str)
async def test_pause_holds_and_resume_goes_on(theatre: Stage, service: Service) -> None:
    """``service`` works through the pause; what it said is taken, and nothing happens before the resume."""
    pipeline = await theatre.submit(Scenario("pause", "", hold=(service, e.PipelinePaused.TYPE)))
    await theatre.until(pipeline, lambda state: any(task.service == service for task in state.tasks))

    await theatre.tell(pipeline, e.PipelinePauseRequested())
    await theatre.until(
        pipeline, lambda state: state.status is Status.PAUSED and all(t.service != service for t in state.tasks)
    )
    held = decided(await theatre.facts(pipeline))
    assert held[-1] == "paused"
    await theatre.tell(pipeline, e.PipelineResumeRequested())
    state = await theatre.end(pipeline)

    assert state.status is Status.SUCCESS
    assert decided(await theatre.facts(pipeline))[len(held)] == "resumed"


async def test_task_that_arrives_in_a_pause_is_done_after_it(theatre: Stage) -> None:
    """The agents leave what research opens during the pause; the resume requests it anew."""
    pipeline = await theatre.submit(Scenario("pause", "", hold=(Service.RESEARCH, e.PipelinePaused.TYPE)))
    await theatre.tell(pipeline, e.PipelinePauseRequested())
    await theatre.until(pipeline, lambda state: len(state.tasks) == 2)

    await theatre.tell(pipeline, e.PipelineResumeRequested())
    state = await theatre.end(pipeline)

    assert state.status is Status.SUCCESS
    assert decided(await theatre.facts(pipeline)) == [
        "paused", "resumed", "generation:GENERATE", "fixtures", *STEPS.split()
    ]  # fmt: skip


async def test_fork_at_each_fact_of_a_finished_pipeline_ends(theatre: Stage) -> None:
    """All at once, and each a fork of the fork before it in turn: what is shared is not copied, what is its own is
    there once, and nothing of the parent's changes."""
    repaired = Scenario("parent", "", script={Service.TEST_REVIEWER: [bad_code()]})
    parent = await theatre.submit(repaired)
    await theatre.end(parent)
    before = await theatre.facts(parent)

    forks = [await theatre.fork(parent, at) for at in range(1, len(before))]
    states = [await theatre.end(fork) for fork in forks]

    assert {state.status for state in states} == {Status.SUCCESS}
    ids = [fact.id for fact in before]
    for at, fork in enumerate(forks, start=1):
        own = await theatre.facts(fork)
        assert [fact.type for fact in own].count(e.PipelineForked.TYPE) == 1 == sum(f.type in e.FINAL for f in own)
        assert {fact.pipeline for fact in own} == {fork}
        assert [fact.id for _, fact in await theatre.bus.log.whole_history(fork)][:at] == ids[:at]
        ids += [fact.id for fact in own]
    assert len(set(ids)) == len(ids)
    assert await theatre.facts(parent) == before


async def test_fork_of_a_fork_goes_on_from_what_both_share(theatre: Stage) -> None:
    """Before, at and after the point where the parent was forked itself."""
    first = await theatre.submit(Scenario("first", ""))
    await theatre.end(first)
    types = [fact.type for fact in await theatre.facts(first)]
    tested = types.index(e.TestsPassed.TYPE) + 1
    second = await theatre.fork(first, tested)
    await theatre.end(second)
    after = ["review", "publish:success", "completed:success"]
    assert decided(await theatre.facts(second)) == ["test_review", *after]

    for at, decisions in {
        1: ["research", "tests:GENERATE", *after],
        tested: ["test_review", *after],
        tested + 1: ["test_review", *after],  # `pipeline.forked` itself is shared
        tested + 3: after,  # the parent's own answer to test_review
    }.items():
        third = await theatre.fork(second, at)
        assert (await theatre.end(third)).status is Status.SUCCESS
        assert decided(await theatre.facts(third)) == decisions
