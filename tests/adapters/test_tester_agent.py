"""The tester as an agent, on a connector made from a document: all three modes, and broken code."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from contracts.artifacts import JSON_MEDIA_TYPE, TreeManifest
from contracts.blueprint import ApiBlueprint
from contracts.conformance import JudgedApi
from contracts.errors import Permanent
from contracts.events import Engine, TesterMode, TestsFailed, TestsPassed, Verdict
from contracts.pipeline import PipelineState, Task
from contracts.reports import Feedback, FeedbackList, Outcome, TestReport
from contracts.services import Service
from infra.runtime.agent import Job, Tools
from infra.runtime.artifacts import MemoryArtifacts
from infra.runtime.documents import load
from services.fixtures.inference.infer import infer as simulate
from services.generator.work import generate
from services.research.openapi.engine import infer as study
from services.test_reviewer.handler import run as review
from services.tester.handler import agent
from services.tester.settings import Settings

THING = {
    "type": "object",
    "required": ["id"],
    "properties": {"id": {"type": "integer"}, "name": {"type": "string"}},
}


def listing(path: str, *parameters: dict[str, Any], more: Mapping[str, Any] | None = None) -> dict[str, Any]:
    data = {"type": "array", "items": THING}
    schema = {"type": "object", "required": ["data"], "properties": {"data": data, **(more or {})}}
    answer = {"description": "ok", "content": {"application/json": {"schema": schema}}}
    return {"get": {"operationId": path, "parameters": list(parameters), "responses": {"200": answer}}}


def query(name: str, **schema: Any) -> dict[str, Any]:
    return {"name": name, "in": "query", "schema": {"type": "integer", **schema}}


DOCUMENT = {
    "openapi": "3.0.3",
    "info": {"title": "Small", "version": "1"},
    "servers": [{"url": "https://small.example/v1"}],
    "security": [{"token": []}],
    "components": {"securitySchemes": {"token": {"type": "http", "scheme": "bearer"}}},
    "paths": {
        "/contacts": listing(
            "listContacts",
            query("page", default=1),
            query("per_page", default=5, maximum=50),
            more={"total_pages": {"type": "integer"}},
        ),
        "/contacts/{contact_id}/notes": listing(
            "listNotes",
            {"name": "contact_id", "in": "path", "required": True, "schema": {"type": "integer"}},
        ),
    },
}


@dataclass
class Bench:
    """A pipeline's state, moved on by hand."""

    state: PipelineState
    tools: Tools
    folder: Path
    runs: int = 0

    async def test(self, mode: TesterMode) -> TestReport:
        """Run the tester; the state afterwards refers to what it made."""
        self.runs += 1
        workspace = self.folder / str(self.runs)
        workspace.mkdir()
        task = Task(id="1" * 32, service=Service.TESTER, mode=mode)
        fact = await agent(Settings(kit_timeout_s=200)).run(Job(task, self.state), workspace, self.tools)
        assert isinstance(fact, TestsPassed | TestsFailed)
        report = TestReport.model_validate_json(await self.tools.artifacts.get(fact.report))
        assert isinstance(fact, TestsFailed) == bool(report.failed_checks or report.failed_cases)
        assert (report.code, report.tests, report.fixtures) == (
            fact.code.sha256,
            fact.tests.sha256,
            fact.fixtures.sha256,
        )
        self.state = self.state.model_copy(update={"tests": fact.tests, "test_report": fact.report})
        return report

    async def verdict(self) -> Verdict:
        task = Task(id="2" * 32, service=Service.TEST_REVIEWER)
        fact = await review(Job(task, self.state), self.folder, self.tools)
        return Verdict(fact.verdict)  # type: ignore[attr-defined]

    async def tests(self) -> dict[str, bytes]:
        assert self.state.tests is not None
        return await self.tools.artifacts.get_tree(self.state.tests)

    async def change_code(self, path: str, old: str, new: str) -> None:
        assert self.state.code is not None
        tree = await self.tools.artifacts.get_tree(self.state.code)
        text = tree[path].decode()
        assert old in text
        code = await self.tools.artifacts.put_tree({**tree, path: text.replace(old, new).encode()})
        self.state = self.state.model_copy(update={"code": code})

    async def say_invalid(self, test: str | None) -> None:
        feedback = FeedbackList(items=(Feedback(verdict=Verdict.INVALID, message="wrong", test=test),))
        ref = await self.tools.artifacts.put(feedback.model_dump_json().encode(), JSON_MEDIA_TYPE)
        self.state = self.state.model_copy(update={"feedback": ref})


@pytest.fixture(scope="module")
def made() -> tuple[ApiBlueprint, bytes, dict[str, bytes]]:
    """Blueprint, simulated API and code."""
    document = load(json.dumps(DOCUMENT).encode(), where="document")
    blueprint = study(document, name="small", document_url=None)
    code = generate(blueprint.model_dump_json().encode(), "GENERATE", {}, (), None)["tree"]
    return blueprint, simulate(document).model_dump_json().encode(), code


@pytest.fixture
async def bench(tmp_path, made) -> Bench:
    return await bench_in(tmp_path, made)


async def bench_in(folder: Path, made: tuple[ApiBlueprint, bytes, dict[str, bytes]]) -> Bench:
    blueprint, api, code = made
    artifacts = MemoryArtifacts()

    async def progress(message: str, *, done: int | None = None, total: int | None = None) -> None:
        assert message

    state = PipelineState(
        id="0" * 32,
        name="small",
        blueprint=await artifacts.put(blueprint.model_dump_json().encode(), JSON_MEDIA_TYPE),
        fixtures=await artifacts.put(api, JSON_MEDIA_TYPE),
        code=await artifacts.put_tree(code),
    )
    return Bench(state, Tools(artifacts, progress), folder)


@pytest.fixture(scope="module")
def generated(tmp_path_factory, made) -> tuple[Bench, TestReport]:
    """What GENERATE came to on the right connector. A whole judgement: the tests that begin there share it."""

    async def begin() -> tuple[Bench, TestReport]:
        bench = await bench_in(tmp_path_factory.mktemp("generated"), made)
        return bench, await bench.test(TesterMode.GENERATE)

    return asyncio.run(begin())


@pytest.mark.xdist_group("tester: begins with what was generated")
@pytest.mark.timeout(300)
async def test_generate_rerun_and_fix(tmp_path, generated):
    begun, report = generated
    bench = replace(begun, folder=tmp_path)
    assert (report.failed_checks, report.failed_cases) == ((), ())
    assert [(proof.stream, proof.proven) for proof in report.streams] == [("contacts", True), ("notes", True)]
    assert len(report.cases) > 10
    assert await bench.verdict() is Verdict.VALID_PASS
    written = await bench.tests()
    names = {"conftest", "test_config", "test_connection", "test_discovery", "test_read"}
    assert {f"tests/{name}.py" for name in names} <= set(written)

    assert report.tests == TreeManifest.of(written).ref.sha256
    judged = JudgedApi.model_validate_json(written["tests/simulated_api.json"])
    assert judged.endpoints == {"contacts": "GET /contacts", "notes": "GET /contacts/{contact_id}/notes"}
    assert report.kit is not None
    assert report.kit.runs > 20

    spoilt = {
        **written,
        "tests/test_read.py": written["tests/test_read.py"] + b"\n\ndef test_wrong():\n    assert 0\n",
    }
    bench.state = bench.state.model_copy(update={"tests": await bench.tools.artifacts.put_tree(spoilt)})
    wrong = await bench.test(TesterMode.RERUN)
    assert wrong.tests == TreeManifest.of(spoilt).ref.sha256
    assert [case.id for case in wrong.failed_cases] == ["tests/test_read.py::test_wrong"]
    assert wrong.failed_checks == ()
    await bench.say_invalid("tests/test_read.py::test_wrong")
    fixed = await bench.test(TesterMode.FIX)
    assert fixed.failed_cases == ()
    assert await bench.tests() == written


@pytest.mark.xdist_group("tester: begins with what was generated")
@pytest.mark.timeout(240)
async def test_rerun_drops_the_tests_of_a_stream_that_was_left_out(tmp_path, generated, made):
    bench = replace(generated[0], folder=tmp_path)
    code = generate(made[0].model_dump_json().encode(), "FIX", {}, ("notes",), None)["tree"]
    smaller = await bench.tools.artifacts.put_tree(code)
    bench.state = bench.state.model_copy(update={"code": smaller, "degraded": ("notes",)})
    report = await bench.test(TesterMode.RERUN)
    assert (report.failed_checks, report.failed_cases) == ((), ())
    assert {case.stream for case in report.cases} == {None, "contacts"}


async def test_code_that_loses_records_is_the_codes_fault(bench):
    whole, one_page = "return page, following", "self._ended = True\n        return page, None"
    await bench.change_code("src/source_small/sequence.py", whole, one_page)
    report = await bench.test(TesterMode.GENERATE)
    failed = {check.id for check in report.failed_checks}
    assert "completeness/contacts/page+1" in failed
    assert next(check for check in report.checks if check.id == "completeness/contacts/page+1").suspects
    assert [proof.proven for proof in report.streams if proof.stream == "contacts"] == [False]
    assert await bench.verdict() is Verdict.VALID_FAIL


async def test_code_that_cannot_be_imported_is_the_codes_fault(bench):
    await bench.change_code("src/source_small/__init__.py", "__version__", "import no_such_module\n\n__version__")
    report = await bench.test(TesterMode.GENERATE)
    assert "protocol/connector/spec" in {check.id for check in report.failed_checks}
    assert not any(proof.proven for proof in report.streams)
    assert await bench.verdict() is Verdict.VALID_FAIL


async def test_with_the_engine_claude_and_without_a_model_it_goes_on_with_its_own_tests(bench):
    """As in a cluster, where it has no key. The code is broken: that is judged fastest."""
    said: list[str] = []

    async def progress(message: str, *, done: int | None = None, total: int | None = None) -> None:
        said.append(message)

    bench.tools = replace(bench.tools, progress=progress)
    bench.state = bench.state.model_copy(update={"engine": Engine.CLAUDE})
    await bench.change_code("src/source_small/__init__.py", "__version__", "import no_such_module\n\n__version__")
    report = await bench.test(TesterMode.GENERATE)
    assert "protocol/connector/spec" in {check.id for check in report.failed_checks}
    assert "the tester has no model here: the tests are those that it writes itself" in said


async def test_code_that_attacks_the_host_changes_nothing_there(bench, tmp_path):
    target = tmp_path / "written"
    attack = f"import os, pathlib\npathlib.Path({str(target)!r}).write_text('x')\n\n__version__"
    await bench.change_code("src/source_small/__init__.py", "__version__", attack)
    report = await bench.test(TesterMode.GENERATE)
    if report.isolation.kind == "process":
        pytest.skip(report.isolation.note)
    assert not target.exists()
    assert [check.outcome for check in report.checks if check.id == "protocol/connector/spec"] == [Outcome.FAILED]


async def test_a_pipeline_without_code_has_nothing_to_test(bench):
    bench.state = bench.state.model_copy(update={"code": None})
    with pytest.raises(Permanent, match="no code"):
        await bench.test(TesterMode.GENERATE)
