"""`connectors run`: each agent alone, without a bus, in one run folder."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console

from contracts.errors import BudgetReached
from contracts.events import Engine, Fact, ResearchCompleted
from contracts.services import Service
from infra.cli import run_alone
from infra.cli.commands import Printed
from infra.runtime.agent import Agent, Job, Tools
from tests.support.stack import REPO, connectors

DOCUMENT = REPO / "infra/cli/sample_crm/openapi.yaml"


def test_agents_work_one_after_the_other_in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONNECTORS_OUTPUT_DIR", str(tmp_path / "output"))
    run = tmp_path / "run"
    begun = connectors("run", "research", run, "--spec", DOCUMENT, "--name", "sample-crm")
    assert begun.returncode == 0, begun.stderr
    assert (run / "blueprint.json").exists()

    early = connectors("run", "reviewer", run)
    assert early.returncode == 1
    assert "it is not reviewer's turn; the run waits for fixtures, generator" in early.stderr

    for agent in ("generator", "fixtures", "tester", "test_reviewer", "reviewer", "publisher"):
        done = connectors("run", agent, run)
        assert done.returncode == 0, f"{agent}: {done.stdout}{done.stderr}"
    assert (run / "code/src/source_sample_crm/streams.py").exists()
    assert list((tmp_path / "output/connectors/source-sample-crm/0.1.0").glob("*.whl"))


def test_generator_runs_again_on_the_same_run(tmp_path: Path) -> None:
    for agent in ("research", "generator", "fixtures", "generator"):
        spec = ("--spec", DOCUMENT) if agent == "research" else ()
        done = connectors("run", agent, tmp_path, *spec)
        assert done.returncode == 0, f"{agent}: {done.stdout}{done.stderr}"


async def test_agent_that_reaches_the_budget_says_so_and_is_run_again_on_the_same_ledger(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs: list[Job] = []

    async def work(job: Job, workspace: Path, tools: Tools) -> Fact:
        jobs.append(job)
        if len(jobs) == 1:
            raise BudgetReached("the next turn may cost up to 0.50 USD")
        return ResearchCompleted(blueprint=await tools.artifacts.put(b"{}", "application/json"), streams=1)

    monkeypatch.setattr(run_alone, "load_agent", lambda service: Agent(service, work))
    folder, out = run_alone.RunFolder(tmp_path), Printed(Console(file=io.StringIO()))
    await folder.begin("sample", b"{}", None, Engine.CLAUDE)

    with pytest.raises(BudgetReached, match=r"0\.50 USD"):
        await run_alone.run_alone(Service.RESEARCH, folder, out)
    await run_alone.run_alone(Service.RESEARCH, folder, out)

    assert jobs[0] == jobs[1]
    assert folder.state().blueprint is not None


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (("run", "reviewer", "nowhere"), "begin with `connectors run research --spec FILE`"),
        (("run", "router", "nowhere"), "router is not an agent"),
        (("run", "research", "nowhere", "--spec", "missing.yaml"), "there is no such file"),
        (
            ("generate", "No Slug!", "--spec", str(DOCUMENT), "--url", "http://127.0.0.1:9"),
            "no stack answers there",
        ),
    ],
)
def test_mistake_is_one_line_without_a_trace(argv: tuple[str, ...], words: str) -> None:
    done = connectors(*argv)
    assert done.returncode == 1
    assert words in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr + done.stdout
