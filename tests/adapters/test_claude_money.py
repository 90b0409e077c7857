"""What turns cost: reserved before they are sent, settled after, and never more than the budget."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from contracts import subjects
from contracts.errors import BudgetReached
from contracts.services import Service
from contracts.turns import Account, Reply, Usage
from infra.runtime.claude.accounts import FolderAccounts, MemoryAccounts, Till
from infra.runtime.claude.ledger import FolderTurns, MemoryTurns
from infra.runtime.claude.model import Models
from infra.runtime.claude.prices import cost, load_prices
from tests.support.claude import LEDGER, PIPELINE, Desk, brief
from tests.support.claude_server import KEY, MessagesRequest, by_turn, call, outcome, serving

DONE = outcome({"summary": "done"})
STEPS = [call("write", file_path=f"{n}.txt", content="x") for n in range(4)]


async def test_a_turn_that_could_exceed_the_budget_is_not_sent(tmp_path: Path) -> None:
    async with serving(by_turn(DONE)) as server:
        desk = Desk(server, budget_usd=0.5)  # 32,000 tokens of output could cost 0.80
        with pytest.raises(BudgetReached, match=r"budget of 0\.50 USD"):
            await desk.model().converse(brief(), tmp_path)

    assert server.requests == []
    assert desk.accounts.account == Account()


async def test_work_goes_on_where_it_was_when_more_was_granted(tmp_path: Path) -> None:
    async with serving(by_turn(*STEPS, DONE)) as server:
        desk = Desk(server)
        desk.budget_usd = 0.81 + 0.005
        with pytest.raises(BudgetReached):
            await desk.model().converse(brief(), tmp_path)
        paid = len(server.requests)
        assert 0 < paid < len(STEPS)
        desk.budget_usd = 5
        await desk.model().converse(brief(), tmp_path)

    assert len(server.requests) == len(STEPS) + 1
    assert desk.accounts.account.total.turns == len(STEPS) + 1


async def test_a_model_without_a_price_counts_at_the_dearest_and_says_so(tmp_path: Path) -> None:
    async with serving(by_turn(DONE)) as server:
        desk = Desk(server)
        await desk.model("some-local-model").converse(brief(), tmp_path)

    spent = desk.accounts.account.total
    assert spent.unpriced == spent.turns == 1
    assert spent.cost_usd == cost(spent.usage, "claude-fable-5", load_prices())[0]


async def test_agents_at_the_same_time_never_exceed_the_budget(tmp_path: Path) -> None:
    """Each turn may cost 0.80 and more: of two at once only one has room."""
    most = 0.0

    def reply(request: MessagesRequest) -> Any:
        nonlocal most
        account = desk.accounts.account
        most = max(most, account.total.cost_usd + sum(account.reserved.values()))
        return DONE.after(0.2)

    async with serving(reply) as server:
        desk = Desk(server, budget_usd=1.0)
        models = [desk.model(service=service) for service in (Service.GENERATOR, Service.FIXTURES)]
        ended = await asyncio.gather(
            *(model.converse(brief(task=f"Task {n}"), _folder(tmp_path, n)) for n, model in enumerate(models)),
            return_exceptions=True,
        )

    assert [isinstance(end, BudgetReached) for end in ended].count(True) == 1
    assert len(server.requests) == 1
    assert most <= 1.0


def _folder(tmp_path: Path, n: int) -> Path:
    folder = tmp_path / str(n)
    folder.mkdir()
    return folder


async def test_a_worker_that_died_before_it_settled_left_that_to_the_next(tmp_path: Path) -> None:
    async with serving(by_turn(DONE)) as server:
        desk = Desk(server)
        await desk.model().converse(brief(), tmp_path)
        settled = desk.accounts.account
        (kept,) = desk.turns.contents.values()
        reply = Reply.model_validate_json(kept)
        desk.accounts.account = Account(reserved={reply.request: 0.8})
        await desk.model().converse(brief(), tmp_path)

    assert len(server.requests) == 1
    assert desk.accounts.account == settled


async def test_two_workers_on_one_task_hear_the_same_and_both_turns_are_paid(tmp_path: Path) -> None:
    async with serving(by_turn(*[step.after(0.05) for step in STEPS], DONE)) as server:
        desk = Desk(server)
        folders = [_folder(tmp_path, n) for n in range(2)]
        one, two = await asyncio.gather(*(desk.model().converse(brief(), folder) for folder in folders))

    assert one == two
    assert {len(list(folder.iterdir())) for folder in folders} == {4}
    replies = [subject for subject in desk.turns.contents if subject.count(".") == 2]
    assert len(replies) == 5
    assert desk.accounts.account.total.turns >= len(server.requests) > 5
    assert desk.accounts.account.reserved == {}


@pytest.mark.parametrize("kind", ["memory", "folder"])
async def test_a_place_is_written_once_and_the_second_hears_the_first(tmp_path: Path, kind: str) -> None:
    turns = MemoryTurns() if kind == "memory" else FolderTurns(tmp_path / "turns")
    subject = subjects.effect(LEDGER, "a" * 64, 1)

    assert await turns.get(subject) is None
    assert await turns.put(subject, b"first") == b"first"
    assert await turns.put(subject, b"second") == b"first"
    assert await turns.get(subject) == b"first"


@pytest.mark.parametrize("kind", ["memory", "folder"])
async def test_an_account_is_changed_by_one_at_a_time(tmp_path: Path, kind: str) -> None:
    accounts = MemoryAccounts() if kind == "memory" else FolderAccounts(tmp_path / "accounts/a.json")
    till = Till(accounts, 1.0)
    ended = await asyncio.gather(*(till.reserve(f"{n:064}", 0.3) for n in range(9)), return_exceptions=True)

    dropped, answered, _ = [f"{n:064}" for n, end in enumerate(ended) if end is None]
    await till.release(dropped)
    reply = Reply(
        pipeline=PIPELINE,
        task="t",
        service="generator",
        model="m",
        turn=1,
        request=answered,
        body={"sha256": "a" * 64, "media_type": "x", "size": 0},  # type: ignore[arg-type]
        usage=Usage(output_tokens=7),
        cost_usd=0.1,
    )
    await till.settle(reply)
    await till.settle(reply)
    await till.pay(reply)
    account = await accounts.change(lambda account: account)
    assert account is not None
    assert account.total.turns == 2
    assert account.total.cost_usd == pytest.approx(0.2)
    assert list(account.reserved.values()) == [0.3]


async def test_one_agent_alone_keeps_its_turns_and_its_account_in_its_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with serving(by_turn(*STEPS, DONE)) as server:
        monkeypatch.setenv("ANTHROPIC_API_KEY", KEY)
        monkeypatch.setenv("ANTHROPIC_BASE_URL", server.url)
        desk = Desk(server)
        template = desk.model()
        for n in range(2):
            alone = Models(template.agent).in_folder(
                tmp_path / "run", template.job, desk.artifacts, template.progress
            )
            await alone.converse(brief(), _folder(tmp_path, n))

    assert len(server.requests) == len(STEPS) + 1
    account = Account.model_validate_json((tmp_path / "run/accounts" / f"{PIPELINE}.json").read_bytes())
    assert (account.total.turns, account.reserved) == (len(STEPS) + 1, {})
