"""The command line asks something of pipelines of a real bus, through a real gateway."""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator
from pathlib import Path

import httpx2
import pytest
import pytest_asyncio
from rich.console import Console

from contracts import events as e
from contracts.errors import Rejected
from contracts.pipeline import Status
from contracts.services import Service
from infra.cli.client import Gateway
from infra.cli.control import Decision, Options, answer, command, fork
from infra.cli.generate import watch
from tests.support.scripted import Scenario, bad_code, broke, decided
from tests.support.site import Site, site
from tests.support.stack import connectors

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def theatre(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Site]:
    async with site(tmp_path_factory.mktemp("control")) as theatre:
        yield theatre


def options(client: httpx2.AsyncClient) -> Options:
    return Options(str(client.base_url).rstrip("/"), Path("nowhere"))


def console() -> Console:
    return Console(file=io.StringIO(), width=200)


def text(out: Console) -> str:
    assert isinstance(out.file, io.StringIO)
    return out.file.getvalue()


async def test_a_pipeline_is_paused_resumed_and_cancelled(theatre: Site) -> None:
    stage, client = theatre.stage, theatre.client
    id = await stage.submit(Scenario("held", "", hold=(Service.TESTER, e.PipelineCancelled.TYPE)))
    await stage.until(id, lambda state: any(task.service == Service.TESTER for task in state.tasks))

    assert await command("pause", id, options(client), console()) == 0
    await stage.until(id, lambda state: state.status is Status.PAUSED)
    assert await command("resume", id, options(client), console()) == 0
    await stage.until(id, lambda state: state.status is Status.RUNNING)
    asked = await asyncio.to_thread(connectors, "cancel", id, "--url", str(client.base_url))  # as a user does
    assert (asked.returncode, asked.stderr) == (0, "")
    assert (await stage.end(id)).status is Status.CANCELLED

    with pytest.raises(Rejected, match="has ended: cancelled"):
        await command("pause", id, options(client), console())
    with pytest.raises(Rejected, match="there is no pipeline"):
        await command("cancel", "0" * 32, options(client), console())


@pytest.mark.parametrize(("decision", "status"), [("granted", Status.SUCCESS), ("denied", Status.FAILED)])
async def test_publishing_is_approved_or_denied_with_a_name_and_a_reason(
    theatre: Site, decision: Decision, status: Status
) -> None:
    stage, client = theatre.stage, theatre.client
    id = await stage.submit(Scenario("approval", "", policy={"approval": "required"}))
    board, watched = console(), Gateway(options(client).url or "")
    async with watched:
        watching = asyncio.create_task(watch(watched, f"/pipelines/{id}/live", board))
        async with asyncio.timeout(20):
            while f"connectors approve {id}" not in text(board):
                await asyncio.sleep(0.02)

        assert await answer(decision, id, "ada", "read it", options(client), console()) == 0
        assert (await watching).status is status
    said = next(fact for fact in await stage.facts(id) if fact.type == f"approval.{decision}")
    assert (said.data["by"], said.data["reason"]) == ("ada", "read it")
    with pytest.raises(Rejected, match=f"waits for no approval; it is {status}"):
        await answer(decision, id, "ada", "", options(client), console())


@pytest.mark.parametrize(
    ("decision", "status", "said"),
    [
        ("granted", Status.SUCCESS, "may spend its budget for model turns once more"),
        ("denied", Status.FAILED, "may spend no more on model turns: the pipeline ends"),
    ],
)
async def test_more_budget_is_asked_for_in_the_watch_and_granted_or_denied(
    theatre: Site, decision: Decision, status: Status, said: str
) -> None:
    stage, client = theatre.stage, theatre.client
    script = {Service.GENERATOR: [broke], Service.FIXTURES: [broke]}
    id = await stage.submit(Scenario("budget", "", script=script, policy={"budget_usd": 5}))
    board, out, watched = console(), console(), Gateway(options(client).url or "")
    async with watched:
        watching = asyncio.create_task(watch(watched, f"/pipelines/{id}/live", board))
        await stage.until(id, lambda state: state.approval is not None and len(state.failures) == 2)
        async with asyncio.timeout(20):
            while f"connectors approve {id}   (or deny; 5.00 USD more)" not in text(board):
                await asyncio.sleep(0.02)

        assert await answer(decision, id, "ada", "", options(client), out) == 0
        assert (await watching).status is status
    assert said in text(out)
    for line in (
        "generator     stops at the budget of 5.00 USD",
        "waits for approval to spend more on model turns",
    ):
        assert line in text(board)
    assert decided(await stage.facts(id)).count("approval:budget") == 1


async def test_a_fork_with_another_policy_goes_another_way_and_is_watched(theatre: Site, tmp_path: Path) -> None:
    """The parent gave up after its only repair; the fork, from just before that, may repair once more."""
    stage, client = theatre.stage, theatre.client
    limits = {"code_repairs": 1, "researches": 0}
    id = await stage.submit(Scenario("", "", script={Service.TEST_REVIEWER: [bad_code()] * 2}, policy=limits))
    parent = await stage.end(id)
    assert parent.status is Status.FAILED
    policy = tmp_path / "patient.yaml"
    policy.write_text("code_repairs: 2\n")

    out = console()
    assert await fork(id, parent.position - 1, policy, None, options(client), out) == 0

    assert f"forked from {id}" in text(out)
    newest = (await client.get("/pipelines?limit=1")).json()["pipelines"][0]["pipeline"]["id"]
    assert decided(await stage.facts(newest))[0] == "generation:FIX"
    with pytest.raises(Rejected, match=r"had ended \(failed\)"):
        await fork(id, parent.position, None, None, options(client), console())
