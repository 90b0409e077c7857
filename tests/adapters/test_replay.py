"""`connectors replay` over a real gateway, event store and bus."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import httpx2
import pytest
from rich.console import Console

from contracts.envelope import Envelope
from contracts.errors import Rejected
from gateway.settings import Settings
from infra.cli.policy_file import read_policy
from infra.cli.replay import DIFFERS, SAME, TROUBLE, Options, replay_all, replay_one
from infra.runtime.bus import Bus
from infra.runtime.nats_server import NatsServer
from infra.runtime.settings import BusSettings
from tests.adapters.test_gateway import event_store
from tests.support import scripted as s
from tests.support.facts import pipeline_id
from tests.support.gateway import running_gateway
from tests.support.lives import scripted
from tests.support.stack import connectors

FACTS = 37
"""Of the three pipelines."""


async def record(bus: Bus, facts: Sequence[Envelope]) -> None:
    last = 0
    for fact in facts:
        last = await bus.log.append(fact, expected_last=last)


@pytest.fixture
async def url(nats_server: NatsServer, bus: Bus, bus_settings: BusSettings) -> AsyncIterator[str]:
    """A gateway whose history has a repaired pipeline (1), one that failed (2) and one that is plain (3)."""
    lives = (
        scripted(s.bad_code(7), s.good(), pipeline=pipeline_id(1), researches=0),
        scripted(s.bad_code(7), pipeline=pipeline_id(2), code_repairs=0, researches=0),
        scripted(s.good(), pipeline=pipeline_id(3)),
    )
    for life in lives:
        await record(bus, life.facts)
    assert sum(len(life.facts) for life in lives) == FACTS
    own = nats_server.settings("gateway", bus_settings)
    async with event_store(nats_server, bus_settings), running_gateway(Settings(), own) as client:
        await caught_up(client, FACTS)
        yield str(client.base_url)


async def caught_up(client: httpx2.AsyncClient, facts: int) -> None:
    async with asyncio.timeout(15):
        while True:
            found = (await client.get("/histories")).json().get("histories", ())
            if sum(len(history["facts"]) for history in found) >= facts:
                return
            await asyncio.sleep(0.02)


def options(url: str, tmp_path: Path, policy: str | None = None, **given: Any) -> Options:
    file = None
    if policy is not None:
        file = tmp_path / "policy.yaml"
        file.write_text(policy)
    return Options(**{"policy": file, "as_json": False, "show": 20, "url": url, "data": tmp_path, **given})


async def played_all(options: Options) -> tuple[int, str]:
    out = Console(file=io.StringIO(), width=200)
    code = await replay_all(options, out, Console(file=io.StringIO()))
    return code, out.file.getvalue()  # type: ignore[attr-defined]


async def test_replay_of_all_tells_what_another_policy_would_have_done(url: str, tmp_path: Path) -> None:
    assert (await played_all(options(url, tmp_path)))[0] == SAME

    code, text = await played_all(options(url, tmp_path, "code_repairs: 0\n"))
    assert code == DIFFERS
    assert f"{pipeline_id(1)}  sample at 8: generation FIX -> failed" in text
    assert pipeline_id(2) not in text
    assert "1 of 3 pipelines differ" in text
    assert "saved: 5 steps, 1 repair of them" in text
    assert "1 that were published would have failed" in text

    code, text = await played_all(options(url, tmp_path, '{"code_repairs": 2}', as_json=True))
    lines = [json.loads(line) for line in text.splitlines()]
    assert code == DIFFERS
    assert [line["differs"]["pipeline"] for line in lines[:-1]] == [pipeline_id(2)]
    assert lines[0]["differs"]["difference"]["today"]["text"] == "generation FIX"
    assert {key: lines[-1]["summary"][key] for key in ("pipelines", "differ", "added_steps", "revived")} == {
        "pipelines": 3,
        "differ": 1,
        "added_steps": 1,
        "revived": 1,
    }


async def test_replay_of_one_shows_each_decision_beside_todays(url: str, tmp_path: Path) -> None:
    out = Console(file=io.StringIO(), width=200)
    assert await replay_one(pipeline_id(1), options(url, tmp_path), out) == SAME
    assert "6 decisions, all as they would be decided today" in out.file.getvalue()  # type: ignore[attr-defined]

    out = Console(file=io.StringIO(), width=200)
    wanted = options(url, tmp_path, "code_repairs: 0", as_json=True)
    assert await replay_one(pipeline_id(1), wanted, out) == DIFFERS
    told = json.loads(out.file.getvalue())  # type: ignore[attr-defined]
    assert [one["same"] for one in told["compared"]] == [True, False]
    assert told["rest"]["steps"] == 5
    with pytest.raises(Rejected, match="no pipeline"):
        await replay_one("f" * 32, options(url, tmp_path), out)


async def test_replay_says_which_pipeline_it_cannot_play_and_goes_on(url: str, bus: Bus, tmp_path: Path) -> None:
    newer = [fact.model_copy(update={"subject": pipeline_id(9)}) for fact in scripted(s.good()).facts[:3]]
    newer[2] = newer[2].model_copy(update={"dataversion": 99})
    await record(bus, newer)
    async with httpx2.AsyncClient(base_url=url, trust_env=False) as client:
        await caught_up(client, FACTS + len(newer))

    code, text = await played_all(options(url, tmp_path))

    assert code == TROUBLE
    assert f"{pipeline_id(9)}  cannot be played: {newer[2].type} version 99 is newer than this code" in text
    assert "0 of 4 pipelines differ" in text
    assert "1 pipeline could not be played" in text


async def test_replay_ends_with_the_code_that_its_help_names(url: str, tmp_path: Path) -> None:
    policy = tmp_path / "policy.json"
    policy.write_text('{"code_repairs": 0}')

    differs = await asyncio.to_thread(connectors, "replay", "--all", "--policy", policy, "--url", url)
    wrong = await asyncio.to_thread(connectors, "replay", "--all", "--url", "http://127.0.0.1:9")

    assert (differs.returncode, wrong.returncode) == (1, 2)
    assert "1 of 3 pipelines differ" in differs.stdout
    assert "no stack answers there" in wrong.stderr


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("code_repair: 5", "no field code_repair; did you mean code_repairs?"),
        ("zebra: 5", "there are test_repairs, code_repairs"),
        ("code_repairs: many", "code_repairs: "),
        ("code_repairs: 21", "code_repairs: Input should be less than or equal to 20"),
        ("research_percent: 90", "research_percent must not exceed partial_percent"),
        ("- code_repairs", "a policy names fields and values"),
        ("", "empty"),
    ],
)
def test_policy_file_says_which_field_is_wrong(text: str, said: str, tmp_path: Path) -> None:
    path = tmp_path / "policy.yaml"
    path.write_text(text)

    with pytest.raises(Rejected) as error:
        read_policy(path)

    assert said in str(error.value)
    assert str(path) in str(error.value)
