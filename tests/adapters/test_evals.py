"""`make evals`: what it refuses, how it counts, which API agents reach, and what a pipeline is answered."""

from __future__ import annotations

import asyncio
import io
import json
from dataclasses import replace
from pathlib import Path

import pytest
from pydantic import SecretStr
from rich.console import Console

from contracts.errors import Rejected
from contracts.turns import Spent, Usage
from infra.cli.client import Gateway
from infra.runtime.claude.settings import ClaudeSettings
from tests.corpus.compare import Answer, Fact, Verdict
from tests.corpus.runs import Order, Run, Site, pipeline
from tests.evals.__main__ import main as evals
from tests.evals.api import Api, place
from tests.evals.board import show
from tests.evals.evaluation import COUNT, Evaluation, cached_share, refuse_above, total, twenty
from tests.support.claude_server.recording import Recordings
from tests.support.graph import Stage, stage
from tests.support.nats import fast
from tests.support.scripted import Cast, Scenario
from tests.support.site import site
from tests.support.tiny_document import document

REPO = Path(__file__).parents[2]


KEY = "test-key-of-nobody"


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    path = tmp_path / "tiny.json"
    path.write_text(json.dumps(document()))
    return path


@pytest.fixture(autouse=True)
def corpus(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A corpus of one tiny document, and no key."""
    monkeypatch.setattr("tests.evals.__main__.documents", lambda: {"tiny": tiny})
    for name in ("ANTHROPIC_API_KEY", "ANTHROPIC_API_KEY_FILE", "ANTHROPIC_BASE_URL"):
        monkeypatch.delenv(name, raising=False)


def test_without_a_key_nothing_begins(capsys: pytest.CaptureFixture[str]) -> None:
    assert evals([]) == 2
    said = capsys.readouterr()
    assert "there is no key" in said.err
    assert "ANTHROPIC_API_KEY" in said.err
    assert said.out == ""


def test_what_could_cost_more_than_the_limit_does_not_begin(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", KEY)
    assert evals(["--each-usd", "30", "--budget-usd", "25"]) == 2
    said = capsys.readouterr()
    assert "can cost 30.00 USD" in said.err
    assert "EVALS_BUDGET_USD=30" in said.err
    assert said.out == ""


def test_the_limit_is_for_all_pipelines_together() -> None:
    refuse_above(20, 1, 20)
    with pytest.raises(Rejected, match=r"20 pipelines .* can cost 22\.00 USD, and the limit is 20\.00"):
        refuse_above(20, 1.1, 20)


def test_replay_needs_no_key_but_a_recording(tmp_path: Path) -> None:
    without = ClaudeSettings(api_key=None)
    with pytest.raises(Rejected, match="nothing is recorded there"):
        Api(replay=tmp_path).refuse_without(without)
    Recordings(tmp_path).put("0" * 64, b"event: ping\n\n")
    Api(replay=tmp_path).refuse_without(without)


async def test_agents_reach_the_recorder_with_their_own_key_and_a_recording_with_none(tmp_path: Path) -> None:
    settings = ClaudeSettings(api_key=SecretStr(KEY))
    async with Api(record=tmp_path).serving(settings) as given:
        assert given["ANTHROPIC_BASE_URL"].startswith("http://127.0.0.1:")
        assert "ANTHROPIC_API_KEY" not in given
    async with Api(replay=tmp_path).serving(settings) as given:
        assert given["ANTHROPIC_BASE_URL"].startswith("http://127.0.0.1:")
        assert KEY not in given.values()
        assert given["ANTHROPIC_API_KEY"]
    async with Api().serving(settings) as given:
        assert given == {}


def test_a_recording_with_a_name_alone_is_outside_of_the_repository(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CONNECTORS_CACHE_DIR", raising=False)
    assert place("october").name == "october"
    assert not place("october").is_relative_to(REPO)
    assert place("/data/october") == Path("/data/october")


def test_twenty_are_those_with_a_truth_and_then_the_smallest() -> None:
    sizes = {f"api{n:02}": 1000 - n for n in range(30)}
    chosen = twenty(sizes, judged={"api00", "api03", "not-there"})
    assert chosen[:2] == ["api00", "api03"]
    assert chosen[2:4] == ["api29", "api28"]
    assert len(set(chosen)) == COUNT


def answer(fact: Fact, verdict: Verdict, *, declared: bool) -> Answer:
    return Answer("acme", "users", "GET /users", fact, verdict, declared, 0.9, wanted="", got="")


ACME = Evaluation(
    Run("acme", "partial", 61.0, pipeline="1" * 32, proven=3, total=4, unproven={"deals": "a page is missing"}),
    Spent(
        turns=7,
        usage=Usage(
            input_tokens=100, output_tokens=55, cache_read_input_tokens=1800, cache_creation_input_tokens=100
        ),
        cost_usd=1.25,
    ),
    (
        answer(Fact.STREAM, "right", declared=True),
        answer(Fact.KEY, "wrong", declared=True),
        answer(Fact.PARENT, "right", declared=False),
        answer(Fact.CURSOR, "gap", declared=False),
        answer(Fact.ORPHAN, "right", declared=False),
    ),
)
BROKEN = Evaluation(Run("broken", "failed", 2.0, reason="no document was found", total=0), None)


def rows(*evaluations: Evaluation) -> dict[str, list[str]]:
    """The table's lines by their first word, and all that was printed as ``text``."""
    console = Console(file=io.StringIO(), width=200, highlight=False)
    show(evaluations, console)
    assert isinstance(console.file, io.StringIO)
    lines = console.file.getvalue().splitlines()
    return {**{line.split()[0]: line.split() for line in reversed(lines) if line.split()}, "text": lines}


def test_the_board_tells_of_each_api_what_came_of_it_and_what_it_cost() -> None:
    told = rows(ACME, BROKEN)
    figures = ["partial", "3/4", "1/2", "3/5", "7", "2,000", "1,800", "55", "1.25", "61"]
    assert told["acme"] == ["acme", *figures, "deals"]
    assert told["broken"][:4] == ["broken", "failed", "0/0", "?"]
    assert told["all"] == ["all", "1", "of", "2", "3/4", "1/2", "3/5", "7", "2,000", "1,800", "55", "1.25", "63"]
    assert "the cache served 90.0% of 2,000 input tokens" in told["text"]


def test_the_board_says_where_a_price_is_not_known() -> None:
    assert ACME.spent is not None
    guessed = replace(ACME, spent=ACME.spent.model_copy(update={"unpriced": 2}))
    assert any("of 2 turns nobody knows the price" in line for line in rows(guessed)["text"])


def test_what_was_spent_is_added_up_and_a_share_of_nothing_is_none() -> None:
    assert total([ACME, BROKEN, ACME]).cost_usd == 2.5
    assert cached_share(total([ACME, ACME])) == 0.9
    assert cached_share(Spent()) is None


async def test_what_a_pipeline_asks_a_person_for_is_denied(tmp_path: Path, tiny: Path) -> None:
    async with site(tmp_path / "site", at_work=False) as at, Gateway(str(at.client.base_url)) as gateway:
        order = Order(policy={"approval": "required"}, timeout_s=60)
        here = Site(gateway, tmp_path / "output")
        running = asyncio.create_task(pipeline("tiny", tiny, here, print, order))
        async with asyncio.timeout(20):
            while not running.done() and not (listed := (await gateway.ask("/pipelines"))["pipelines"]):
                await asyncio.sleep(0.01)
        assert not running.done(), running.result()
        scenario = Scenario("approval", "")
        casts = {line["pipeline"]["id"]: (scenario, Cast(scenario.script)) for line in listed}
        async with stage(at.server, at.bus, fast(tmp_path / "data"), before=Stage(at.bus, casts)):
            run = await running
    assert run.outcome == "failed"
    assert "nobody is here to grant it" in run.reason
    assert run.pipeline in casts
