"""Two gateways beside each other: the same request to both at once, and a live stream that goes on at the other."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import httpx2
import pytest

from contracts import events as e
from contracts.artifacts import ArtifactRef
from contracts.policy import Policy
from contracts.services import Service
from infra.runtime.bus import Bus
from infra.runtime.nats_server import NatsServer
from infra.runtime.settings import BusSettings
from tests.adapters.test_gateway import SPEC, gateway
from tests.support.facts import life, pipeline_id
from tests.support.gateway import sent_events
from tests.support.log import Log
from tests.support.steps import TO_REVIEW, until
from tests.support.store import copied, running_store


@pytest.fixture
async def two(
    nats_server: NatsServer, bus: Bus, bus_settings: BusSettings, tmp_path: Path
) -> AsyncIterator[list[httpx2.AsyncClient]]:
    async with AsyncExitStack() as stack:
        yield [await stack.enter_async_context(gateway(nats_server, bus_settings)) for _ in range(2)]


async def test_the_same_submission_to_two_gateways_at_once_is_one_pipeline(
    two: list[httpx2.AsyncClient], bus: Bus
) -> None:
    for number in range(8):
        key = {"Idempotency-Key": f"key-{number}"}
        answers = await asyncio.gather(*(client.post("/generate", json=SPEC, headers=key) for client in two))
        assert [answer.status_code for answer in answers] == [202, 202]
        (pipeline,) = {answer.json()["pipeline_id"] for answer in answers}
        assert len(await bus.log.history(pipeline)) == 1


async def test_of_two_answers_to_one_request_at_once_one_counts_and_the_other_is_told(
    two: list[httpx2.AsyncClient], bus: Bus
) -> None:
    for number in range(8):
        pipeline = pipeline_id(number)
        asked = Log(pipeline)
        asked.say(Service.GATEWAY, e.PipelineSubmitted(name="asks", policy=Policy(approval="required")))
        until(asked, *TO_REVIEW, Service.REVIEWER)
        assert asked.state.approval
        await put(bus, asked)
        decisions = ("granted", "denied")
        answers = await asyncio.gather(
            *(
                client.post(
                    f"/pipelines/{pipeline}/approval", json={"request": asked.state.approval, "decision": decision}
                )
                for client, decision in zip(two, decisions, strict=True)
            )
        )
        assert sorted(answer.status_code for answer in answers) == [202, 409]
        said = [fact.type for _, fact in await bus.log.history(pipeline)][len(asked.facts) :]
        counted = next(d for answer, d in zip(answers, decisions, strict=True) if answer.status_code == 202)
        assert said == [f"approval.{counted}"]


async def put(bus: Bus, log: Log) -> None:
    """The pipeline in memory into the real log."""
    last = 0
    for fact in log.facts:
        last = await bus.log.append(fact, expected_last=last)


async def test_a_live_stream_shows_at_once_what_the_copy_does_not_have_yet(
    nats_server: NatsServer, bus: Bus, bus_settings: BusSettings, tmp_path: Path
) -> None:
    """As when a client goes on at another gateway right after it has seen a fact."""
    late = ArtifactRef.of(b"late", "application/json")
    submitted, researched = life(pipeline_id(1), artifact=late)[:2]
    async with (
        running_store(nats_server, tmp_path, artifact_patience_s=60, min_seq_timeout_s=0.2),
        gateway(nats_server, bus_settings) as client,
    ):
        first = await bus.log.append(submitted, expected_last=0)
        await copied(bus)
        await bus.log.append(researched, expected_last=first)  # the copy waits for what it names
        headers = {"Last-Event-ID": "1"}
        async with (
            asyncio.timeout(5),
            client.stream("GET", f"/pipelines/{pipeline_id(1)}/live", headers=headers) as response,
        ):
            shown = await anext(sent_events(response))
        assert (shown.id, shown.data["type"]) == ("2", e.ResearchCompleted.TYPE)
        await bus.artifacts.put(b"late", "application/json")
