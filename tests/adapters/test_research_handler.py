"""The agent as the loop calls it: real artifacts, a real child process, a real HTTP server."""

from __future__ import annotations

import functools
import http.server
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from contracts.blueprint import ApiBlueprint
from contracts.errors import Permanent, Rejected, Transient
from contracts.events import ResearchCompleted, Verdict
from contracts.pipeline import PipelineState, Task
from contracts.reports import Feedback, FeedbackList
from contracts.services import Service
from infra.runtime.agent import Job, Tools
from infra.runtime.artifacts import MemoryArtifacts
from infra.runtime.documents import load
from services.research.handler import agent, run
from services.research.settings import Settings
from tests.support.openapi import THING, array, document, get, obj, query

LOCAL = Settings(allow_loopback=True, fetch_timeout_s=5, external_timeout_s=5)
RAW = document({"/things": get(obj(data=array(THING)), query("page", "integer"), query("offset", "integer"))}).raw


class Watcher:
    def __init__(self) -> None:
        self.messages: list[str] = []

    async def __call__(self, message: str, *, done: int | None = None, total: int | None = None) -> None:
        self.messages.append(message)


@pytest.fixture
def tools() -> Tools:
    return Tools(artifacts=MemoryArtifacts(), progress=Watcher())


@pytest.fixture
def web(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """A folder, and the URL under which it is served."""
    folder = tmp_path / "web"
    folder.mkdir()
    handler = functools.partial(_Quiet, directory=str(folder))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield folder, f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args: Any) -> None: ...


def job(**state: Any) -> Job:
    return Job(task=Task(id="t", service=Service.RESEARCH), state=PipelineState(id="0" * 32, name="acme", **state))


async def study(tools: Tools, tmp_path: Path, **state: Any) -> tuple[ResearchCompleted, ApiBlueprint]:
    fact = await run(job(**state), tmp_path, tools, LOCAL)
    return fact, ApiBlueprint.model_validate_json(await tools.artifacts.get(fact.blueprint))


async def test_an_uploaded_document_becomes_a_blueprint_and_one_document(tools: Tools, tmp_path: Path) -> None:
    ref = await tools.artifacts.put(json.dumps(RAW).encode(), "application/json")
    fact, blueprint = await study(tools, tmp_path, document=ref)
    assert [stream.name for stream in blueprint.streams] == ["things"]
    assert (fact.streams, fact.gaps) == (1, len(blueprint.gaps))
    assert fact.document is not None
    stored = load(await tools.artifacts.get(fact.document), where="stored")
    assert stored.title == "Acme"


async def test_the_same_document_gives_the_same_references(tools: Tools, tmp_path: Path) -> None:
    ref = await tools.artifacts.put(json.dumps(RAW).encode(), "application/json")
    first, _ = await study(tools, tmp_path, document=ref)
    second, _ = await study(tools, tmp_path, document=ref)
    assert first == second


async def test_a_url_is_read_with_what_it_references(tools: Tools, tmp_path: Path, web: tuple[Path, str]) -> None:
    folder, url = web
    spec = {**RAW, "servers": [{"url": "/api"}], "paths": {"/things": get(array({"$ref": "models.yaml#/Thing"}))}}
    (folder / "spec.json").write_text(json.dumps(spec))
    (folder / "models.yaml").write_text("Thing: {$ref: 'deep.json#/Real'}")
    (folder / "deep.json").write_text(json.dumps({"Real": obj(id="string", gone={"$ref": "missing.json"})}))
    fact, blueprint = await study(tools, tmp_path, spec_url=f"{url}/spec.json")
    assert blueprint.streams[0].primary_key.value == (("id",),)
    assert blueprint.base_url.value is not None
    assert blueprint.base_url.value.template == f"{url}/api"
    assert fact.document is not None
    alone = load(await tools.artifacts.get(fact.document), where="stored")
    flat = alone.schema({"$ref": "#/x-external/0/Thing"})
    assert flat["properties"]["id"] == {"type": "string"}


async def test_external_documents_that_never_end_stay_bounded(
    tools: Tools, tmp_path: Path, web: tuple[Path, str]
) -> None:
    folder, url = web
    for number in range(12):
        (folder / f"{number}.json").write_text(json.dumps({"$ref": f"{number + 1}.json"}))
    spec = {**RAW, "paths": {"/things": get(array({"$ref": "0.json"}))}}
    (folder / "spec.json").write_text(json.dumps(spec))
    fact, blueprint = await study(tools, tmp_path, spec_url=f"{url}/spec.json")
    assert fact.streams == 1
    assert any("leads nowhere" in gap.reason for gap in blueprint.gaps)


async def test_without_document_or_url_there_is_nothing_to_go_on(tools: Tools, tmp_path: Path) -> None:
    with pytest.raises(Permanent, match="nothing to go on: give a document"):
        await run(job(), tmp_path, tools, LOCAL)


@pytest.mark.parametrize(
    ("url", "words"),
    [("file:///etc/passwd", "only http and https"), ("http://169.254.169.254/", "not public")],
)
async def test_urls_that_lead_elsewhere_are_rejected(tools: Tools, tmp_path: Path, url: str, words: str) -> None:
    with pytest.raises(Rejected, match=words):
        await run(job(spec_url=url), tmp_path, tools, LOCAL)


async def test_loopback_is_refused_unless_allowed(tools: Tools, tmp_path: Path, web: tuple[Path, str]) -> None:
    with pytest.raises(Rejected, match="not public"):
        await run(job(spec_url=web[1]), tmp_path, tools, Settings())


async def test_a_missing_page_is_rejected_with_its_address(
    tools: Tools, tmp_path: Path, web: tuple[Path, str]
) -> None:
    with pytest.raises(Rejected, match="404") as caught:
        await run(job(spec_url=f"{web[1]}/no.json"), tmp_path, tools, LOCAL)
    assert caught.value.where == f"{web[1]}/no.json"


async def test_a_dead_server_is_transient(tools: Tools, tmp_path: Path) -> None:
    with pytest.raises(Transient):
        await run(job(spec_url="http://127.0.0.1:1/spec.json"), tmp_path, tools, LOCAL)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"<html></html>", "a web page"),
        (b"[" * 100_000, "nests deeper"),
        (b'{"openapi": "3.0.0", "paths": {}}', "no list of records was found"),
        (b'{"openapi": "3.0.0"}', "no list of records was found"),
    ],
)
async def test_bad_documents_end_with_words_not_traces(
    tools: Tools, tmp_path: Path, content: bytes, words: str
) -> None:
    ref = await tools.artifacts.put(content, "application/json")
    with pytest.raises(Permanent, match=words) as caught:
        await run(job(document=ref), tmp_path, tools, LOCAL)
    assert "Traceback" not in str(caught.value)


async def test_time_and_memory_of_the_study_are_bounded(tools: Tools, tmp_path: Path) -> None:
    ref = await tools.artifacts.put(json.dumps(RAW).encode(), "application/json")
    small = Settings(study_timeout_s=0.05)
    with pytest.raises(Rejected, match=r"more than 0\.05 s"):
        await run(job(document=ref), tmp_path, tools, small)


async def test_feedback_puts_the_refuted_option_last(tools: Tools, tmp_path: Path) -> None:
    ref = await tools.artifacts.put(json.dumps(RAW).encode(), "application/json")
    first, before = await study(tools, tmp_path, document=ref)
    items = FeedbackList(
        items=(
            Feedback(verdict=Verdict.VALID_FAIL, message="rows missing", stream="things", suspects=("pagination",)),
        )
    )
    feedback = await tools.artifacts.put(items.model_dump_json().encode(), "application/json")
    _, after = await study(tools, tmp_path, document=ref, blueprint=first.blueprint, feedback=feedback)
    assert after.streams[0].pagination.options[-1].value == before.streams[0].pagination.value
    assert after.streams[0].pagination.value != before.streams[0].pagination.value


def test_the_agent_has_the_face_of_research() -> None:
    assert agent(Settings()).service is Service.RESEARCH
