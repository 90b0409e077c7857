"""State, code, reports and blueprint as they were: `connectors state` and `connectors diff` over real HTTP."""

from __future__ import annotations

import asyncio
import io
import json
import subprocess
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx2
import pytest
from rich.console import Console

from contracts import events as e
from contracts.artifacts import ArtifactRef, TreeManifest
from contracts.errors import Rejected
from contracts.pipeline import Task, fold
from contracts.queries import MAX_CHUNK_BYTES
from contracts.reports import Isolation, StreamProof, TestReport
from contracts.services import Service
from gateway.settings import Settings
from infra.cli.diff import diff
from infra.cli.state import Options, state
from infra.runtime.bus import Bus
from infra.runtime.nats_server import NatsServer
from infra.runtime.settings import BusSettings
from tests.adapters.test_gateway import event_store, problem
from tests.adapters.test_replay import caught_up, record
from tests.support import scripted as s
from tests.support.blueprints import small_crm
from tests.support.facts import pipeline_id
from tests.support.gateway import running_gateway
from tests.support.log import Log
from tests.support.stack import connectors

ID = pipeline_id(7)
FIRST = {"src/pages.py": b"size = 100\nlast = None\n", "src/same.py": b"x = 1\n", "README.md": b"\x1b[31mred\n"}
FIXED = {"src/pages.py": b"size = 50\nlast = None\n", "src/same.py": b"x = 1\n", "src/new.py": b"y = 2\n"}
REPORT = TestReport(
    mode=e.TesterMode.GENERATE,
    code="0" * 64,
    tests="0" * 64,
    fixtures="0" * 64,
    isolation=Isolation(kind="process"),
    streams=(StreamProof(stream="contacts", proven=True),),
)
BIG = b"0123456789abcdef" * (MAX_CHUNK_BYTES // 16 + 1)


@dataclass
class Past:
    """A pipeline that was repaired once, behind a gateway at ``url``. ``at`` names positions."""

    url: str
    client: httpx2.AsyncClient
    log: Log
    at: dict[str, int]
    folder: Path

    def options(self, **given: Any) -> Options:
        return replace(Options(None, None, None, False, self.url, self.folder), **given)


async def lived(bus: Bus) -> Log:
    """Research, two versions of the code, and nothing but what these facts name in the store."""
    blueprint = await bus.artifacts.put(small_crm().model_dump_json().encode(), "application/json")
    document = await bus.artifacts.put(BIG, "text/html")
    trees = [await bus.artifacts.put_tree(tree) for tree in (FIRST, FIXED)]
    report = await bus.artifacts.put(REPORT.model_dump_json().encode(), "application/json")
    codes = iter(trees)

    def research(state: Any, task: Task) -> e.Fact:
        return e.ResearchCompleted(blueprint=blueprint, document=document, streams=12)

    def generate(state: Any, task: Task) -> e.Fact:
        return e.ConnectorGenerated(mode=e.GeneratorMode(task.mode or ""), code=next(codes))

    def test(state: Any, task: Task) -> e.Fact:
        return s.failed(state, task).model_copy(update={"report": report})

    cast = s.Cast(
        {
            Service.RESEARCH: [research],
            Service.GENERATOR: [generate] * 2,
            Service.TESTER: [test],
            Service.TEST_REVIEWER: [s.bad_code(7)],
        }
    )
    log = Log(ID)
    log.say(Service.GATEWAY, e.PipelineSubmitted(name="crm", document=document))
    while [fact.type for fact in log.facts].count("connector.generated") < 2:
        log.answer(log.state.tasks[0], cast.answer)
        log.route()
    return log


@pytest.fixture
async def past(nats_server: NatsServer, bus: Bus, bus_settings: BusSettings, tmp_path: Path) -> AsyncIterator[Past]:
    log = await lived(bus)
    await record(bus, log.facts)
    at = {fact.type: n for n, fact in reversed(list(enumerate(log.facts, start=1)))}
    own = nats_server.settings("gateway", bus_settings)
    async with event_store(nats_server, bus_settings), running_gateway(Settings(), own) as client:
        await caught_up(client, len(log.facts))
        yield Past(str(client.base_url), client, log, at, tmp_path)


def terminal() -> Console:
    return Console(file=io.StringIO(), width=200, force_terminal=True, highlight=False)


def piped() -> Console:
    return Console(file=io.StringIO(), width=200, highlight=False)


def text(console: Console) -> str:
    return console.file.getvalue()  # type: ignore[attr-defined, no-any-return]


async def test_artifacts_are_those_that_the_state_named_then(past: Past) -> None:
    at = past.at["connector.generated"]
    listed = (await past.client.get(f"/pipelines/{ID}/artifacts?at={at}")).json()
    roles = {line["role"]: line for line in listed["artifacts"]}
    assert listed["position"] == at
    assert {"document", "blueprint", "code"} <= roles.keys()
    assert "test_report" not in roles

    manifest = await past.client.get(f"/pipelines/{ID}/artifacts/code?at={at}", follow_redirects=True)
    files = {entry.path: entry.blob for entry in TreeManifest.model_validate_json(manifest.content).files}
    assert files.keys() == FIRST.keys()
    file = await past.client.get(f"/artifacts/{files['src/pages.py'].sha256}")
    assert file.content == FIRST["src/pages.py"]
    assert ArtifactRef.of(manifest.content, "").sha256 != past.log.state.code.sha256  # type: ignore[union-attr]


async def test_a_large_artifact_comes_whole_and_is_never_a_page(past: Past) -> None:
    answer = await past.client.get(f"/pipelines/{ID}/artifacts/document", follow_redirects=True)

    assert answer.content == BIG
    assert answer.headers["content-type"] == "application/octet-stream"
    assert answer.headers["content-disposition"].startswith("attachment")
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "immutable" in answer.headers["cache-control"]


async def test_what_is_not_there_is_said(past: Past) -> None:
    count = len(past.log.facts)
    for path, status, said in (
        (f"/pipelines/{ID}/state?at={count + 1}", 404, f"has {count} facts, there is none at {count + 1}"),
        (f"/pipelines/{ID}/state?at=0", 422, "query at: Input should be greater than or equal to 1"),
        (f"/pipelines/{ID}/artifacts?at=-1", 422, "query at: Input should be greater than or equal to 1"),
        (f"/pipelines/{'f' * 32}/artifacts", 404, f"there is no pipeline {'f' * 32}"),
        (f"/pipelines/{ID}/artifacts/code?at=1", 404, "has no 'code' at 1; there is document"),
        (f"/artifacts/{'0' * 64}", 404, f"there is no artifact {'0' * 64}"),
        ("/artifacts/short", 422, "path sha256"),
    ):
        assert said in problem(await past.client.get(path), status)["detail"]


async def test_state_at_a_position_is_the_fold_of_so_many_facts(past: Past) -> None:
    for at in (1, past.at["tests.reviewed"], len(past.log.facts)):
        out = piped()
        await state(ID, past.options(at=at, as_json=True), out)
        told = json.loads(text(out))
        assert told["state"] == fold(past.log.facts[:at]).model_dump(mode="json")

    out = piped()
    await state(ID, past.options(at=past.at["tests.reviewed"] + 1, since=past.at["tests.reviewed"] - 1), out)
    assert "counters.code_repairs: 0 -> 1" in text(out)
    assert "7 of 10" in text(out)
    with pytest.raises(Rejected, match="is later than"):
        await state(ID, past.options(at=1, since=2), piped())


async def test_files_are_laid_out_as_they_were(past: Past) -> None:
    then = past.folder / "then"
    await state(ID, past.options(at=past.at["connector.generated"], files=then), piped())

    assert {path: (then / "code" / path).read_bytes() for path in FIRST} == FIRST
    assert json.loads((then / "blueprint.json").read_bytes())["name"] == small_crm().name
    assert (then / "document").read_bytes() == BIG
    with pytest.raises(Rejected, match="empty folder"):
        await state(ID, past.options(files=then), piped())


async def test_a_piped_diff_turns_the_old_code_into_the_new(past: Past) -> None:
    out = piped()
    await diff(ID, past.at["connector.generated"], None, False, past.url, past.folder, out)

    old = past.folder / "old"
    await state(ID, past.options(at=past.at["connector.generated"], files=old), piped())
    print(text(out))
    patch = subprocess.run(["patch", "-p1"], cwd=old / "code", input=text(out), text=True, capture_output=True)
    assert patch.returncode == 0, patch.stdout
    assert {path: (old / "code" / path).read_bytes() for path in FIXED} == FIXED
    assert "code: 3 files, 2 lines more, 2 lines less" in text(out)
    assert "blueprint: the same" in text(out)
    assert "report: 1 change" in text(out)
    assert "  stream.contacts: none -> proven" in text(out)
    assert "  counters.code_repairs: 0 -> 1" in text(out)


async def test_a_diff_on_a_terminal_is_coloured_and_obeys_no_code(past: Past) -> None:
    out = terminal()
    await diff(ID, past.at["connector.generated"], None, False, past.url, past.folder, out)

    assert "\x1b[32m+size = 50\x1b[0m" in text(out)
    assert "\x1b[31m-\\x1b[31mred\x1b[0m" in text(out)


async def test_a_diff_for_programs_has_everything(past: Past) -> None:
    out = piped()
    await diff(ID, 1, past.at["connector.generated"], True, past.url, past.folder, out)

    told = json.loads(text(out))
    assert (told["from"], told["to"]) == (1, past.at["connector.generated"])
    assert [(file["path"], file["status"]) for file in told["code"]] == [(path, "added") for path in sorted(FIRST)]
    assert {"where", "before", "after"} <= told["blueprint"][0].keys()


async def test_the_commands_end_as_commands_do(past: Past) -> None:
    there = await asyncio.to_thread(connectors, "state", ID, "--at", "1", "--url", past.url)
    beyond = await asyncio.to_thread(connectors, "diff", ID, "1", "99", "--url", past.url)

    assert there.returncode == 0
    assert "at 1: running" in there.stdout
    assert beyond.returncode == 1
    assert "there is none at 99" in beyond.stderr
