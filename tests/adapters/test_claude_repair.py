"""A real fault that a model puts into a connector is found by the tester, and taken out again by the model."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from contracts.artifacts import JSON_MEDIA_TYPE
from contracts.events import ConnectorGenerated, Engine, Fact, TestsFailed, TestsPassed, TestsReviewed, Verdict
from contracts.pipeline import PipelineState, Task
from contracts.services import Service
from infra.runtime.agent import Job, Tools
from infra.runtime.documents import load
from services.fixtures.inference.infer import infer as simulate
from services.generator.handler import run as generate
from services.research.openapi.engine import infer as research
from services.test_reviewer.handler import run as review
from services.tester.handler import run as examine
from tests.support.claude import Desk
from tests.support.claude_server import by_turn, call, outcome, serving
from tests.support.tiny_document import document

SEQUENCE = "src/source_tiny/sequence.py"
RIGHT, WRONG = "return page, following", "self._ended = True\n        return page, None"
READING = "python -m pytest -q -p no:cacheprovider tests/test_read.py -k every_record"
DONE = outcome({"done": True, "summary": "pages are read to the last"})
SCRIPT = {
    "<!-- agent: generator mode: GENERATE": by_turn(
        call("edit", file_path=f"/workspace/{SEQUENCE}", old_string=RIGHT, new_string=WRONG), DONE
    ),
    "<!-- agent: generator mode: FIX": by_turn(
        call("read", file_path="/workspace/notes/feedback.md") + call("bash", command=READING),
        call("edit", file_path=f"/workspace/{SEQUENCE}", old_string=WRONG, new_string=RIGHT),
        call("bash", command=READING),
        DONE,
    ),
}


@pytest.mark.slow  # two judgements of the kit
@pytest.mark.timeout(300)
async def test_fault_goes_in_is_found_and_is_taken_out(tmp_path: Path) -> None:
    whole = document()
    known = load(json.dumps({**whole, "paths": {"/contacts": whole["paths"]["/contacts"]}}).encode(), where="tiny")
    async with serving(SCRIPT) as server:
        desk = Desk(server)
        blueprint = research(known, name="tiny", document_url=None).model_dump_json().encode()
        state: dict[str, Any] = {
            "blueprint": await desk.artifacts.put(blueprint, JSON_MEDIA_TYPE),
            "fixtures": await desk.artifacts.put(simulate(known).model_dump_json().encode(), JSON_MEDIA_TYPE),
        }

        async def answer(run: Any, service: Service, mode: str, engine: Engine = Engine.AUTO) -> Fact:
            workspace = tmp_path / str(len(list(tmp_path.iterdir())))
            workspace.mkdir()
            tools = Tools(desk.artifacts, desk._tell, model=desk.model(service=service))
            job = Job(
                Task(id=f"{service}-{mode}", service=service, mode=mode), PipelineState(engine=engine, **state)
            )
            fact: Fact = await run(job, workspace, tools)
            return fact

        def coded(fact: Fact) -> None:
            assert isinstance(fact, ConnectorGenerated)
            assert fact.by_model
            state.update(code=fact.code, code_by_model=True, degraded=fact.degraded)

        async def judged(mode: str, ended: type[TestsFailed] | type[TestsPassed]) -> Verdict:
            fact = await answer(examine, Service.TESTER, mode)
            assert isinstance(fact, ended)
            state.update(tests=fact.tests, test_report=fact.report)
            found = await answer(review, Service.TEST_REVIEWER, "")
            assert isinstance(found, TestsReviewed)
            state.update(feedback=found.feedback)
            return found.verdict

        coded(await answer(generate, Service.GENERATOR, "GENERATE", Engine.CLAUDE))
        assert await judged("GENERATE", TestsFailed) is Verdict.VALID_FAIL
        coded(await answer(generate, Service.GENERATOR, "FIX"))
        assert await judged("RERUN", TestsPassed) is Verdict.VALID_PASS

        tree = await desk.artifacts.get_tree(state["code"])
        assert WRONG not in tree[SEQUENCE].decode()
        read, before = server.requests[-3].results.values()
        assert "completeness/contacts/page+1" in read
        assert "1 failed" in before
        assert "1 passed" in next(iter(server.requests[-1].results.values()))
        assert server.refused == []
