"""The generator with a model: the real SDK against a scripted server, on real generated code."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from contracts.artifacts import JSON_MEDIA_TYPE
from contracts.blueprint import ApiBlueprint
from contracts.errors import Permanent
from contracts.events import ConnectorGenerated, Engine, Verdict
from contracts.pipeline import PipelineState, Task
from contracts.reports import Feedback, FeedbackList
from contracts.services import Service
from infra.runtime.agent import Job, Tools
from services.generator.compiler import compile_connector
from services.generator.handler import run
from tests.support.blueprints import PAGINATIONS, blueprint, decided, stream
from tests.support.claude import Desk
from tests.support.claude_server import ClaudeServer, Reply, by_turn, call, outcome, serving

HOME = "/workspace/src/source_small_crm"
KIDS = """
python - <<'END'
import pathlib, shutil
home = pathlib.Path("src/source_small_crm")
streams = home / "streams.py"
head, rest = streams.read_text().split("    Stream(\\n", 1)
one, tail = rest.split("    ),\\n)", 1)
kids = one.replace("things", "kids")
streams.write_text(f"{head}    Stream(\\n{one}    ),\\n    Stream(\\n{kids}    ),\\n){tail}")
shutil.copy(home / "schemas/things.json", home / "schemas/kids.json")
END
"""
WITH_KIDS = blueprint(stream("things"), stream("kids", path="/{who}/kids"))
"""``kids`` is left out: nothing gives a value for its variable."""
UNCERTAIN = blueprint(
    stream("things").model_copy(update={"pagination": decided(PAGINATIONS["none"], PAGINATIONS["page"])})
)
BLAME = Feedback(verdict=Verdict.VALID_FAIL, message="7 of 12 records", stream="things", suspects=("pagination",))
DONE = outcome({"done": True, "summary": "mended"})
NOTHING = outcome({"done": False, "summary": "there is nothing to do"})


@dataclass
class Bench:
    """A pipeline's state and what its artifacts are in; every run is of the same task."""

    server: ClaudeServer
    desk: Desk
    folder: Path
    said: list[str]
    runs: int = 0

    async def run(
        self,
        known: ApiBlueprint,
        mode: str,
        *,
        engine: Engine = Engine.AUTO,
        feedback: tuple[Feedback, ...] = (),
        code: dict[str, bytes] | None = None,
        model: bool = True,
        **state: Any,
    ) -> tuple[ConnectorGenerated, dict[str, bytes]]:
        artifacts = self.desk.artifacts
        items = await artifacts.put(FeedbackList(items=feedback).model_dump_json().encode(), JSON_MEDIA_TYPE)
        given = PipelineState(
            engine=engine,
            blueprint=await artifacts.put(known.model_dump_json().encode(), JSON_MEDIA_TYPE),
            code=await artifacts.put_tree(code) if code else None,
            **state,
        )
        self.runs += 1
        workspace = self.folder / str(self.runs)
        workspace.mkdir()
        tools = Tools(artifacts, self._say, model=self.desk.model(service=Service.GENERATOR) if model else None)
        task = Task(id="t", service=Service.GENERATOR, mode=mode, feedback=items if feedback else None)
        fact = await run(Job(task, given), workspace, tools)
        assert isinstance(fact, ConnectorGenerated)
        return fact, await artifacts.get_tree(fact.code)

    async def _say(self, message: str, *, done: int | None = None, total: int | None = None) -> None:
        self.said.append(message)

    def told(self) -> list[str]:
        """What the model got to read last in each turn."""
        return [request.text for request in self.server.requests]


@asynccontextmanager
async def scripted(folder: Path, *steps: Reply) -> AsyncIterator[Bench]:
    async with serving(by_turn(*steps)) as server:
        yield Bench(server, Desk(server), folder, [])
        assert server.refused == []


def compiled(known: ApiBlueprint = UNCERTAIN) -> dict[str, bytes]:
    return dict(compile_connector(known, {}, frozenset()))


def write(path: str, content: str) -> Reply:
    return call("write", file_path=path, content=content)


async def test_model_writes_the_stream_that_the_compiler_left_out(tmp_path: Path) -> None:
    """It counts as there because `discover` lists it. Done again, nothing is asked twice."""
    steps = call("read", file_path="/workspace/notes/gaps.md"), call("bash", command=KIDS), DONE
    async with scripted(tmp_path, *steps) as bench:
        fact, tree = await bench.run(WITH_KIDS, "GENERATE")
        again = await bench.run(WITH_KIDS, "GENERATE")

        assert (fact.by_model, fact.degraded, fact.choices) == (True, (), {})
        assert b'name="kids"' in tree["src/source_small_crm/streams.py"]
        assert set(tree) - set(compiled(WITH_KIDS)) == {"src/source_small_crm/schemas/kids.json"}
        assert again == (fact, tree)
        assert len(bench.server.requests) == len(steps)
        read = next(iter(bench.server.requests[1].results.values()))
        assert "kids: left out, nothing gives a value for who" in read
        assert any(message == "the model changed 2 files: mended" for message in bench.said)


async def test_stream_that_discover_does_not_list_stays_named(tmp_path: Path) -> None:
    async with scripted(tmp_path, write(f"{HOME}/kids.py", "KIDS = ()\n"), DONE) as bench:
        fact, _ = await bench.run(WITH_KIDS, "GENERATE")
        assert (fact.by_model, fact.degraded) == (True, ("kids",))


@pytest.mark.parametrize("engine", [Engine.AUTO, Engine.OFFLINE])
async def test_without_anything_left_no_model_is_asked(tmp_path: Path, engine: Engine) -> None:
    async with scripted(tmp_path) as bench:
        fact, tree = await bench.run(UNCERTAIN, "GENERATE", engine=engine)
        moved, _ = await bench.run(UNCERTAIN, "FIX", engine=engine, feedback=(BLAME,), code=tree)
        assert (fact.by_model, tree) == (False, compiled())
        assert (moved.by_model, moved.choices) == (False, {"streams.things.pagination": 1})
        assert bench.server.requests == []


async def test_model_may_leave_everything_as_it_is(tmp_path: Path) -> None:
    """Even what it wrote before it said so is not taken."""
    async with scripted(tmp_path, write(f"{HOME}/half.py", "A = 1\n"), NOTHING) as bench:
        fact, tree = await bench.run(UNCERTAIN, "GENERATE", engine=Engine.CLAUDE)
        assert (fact.by_model, tree) == (False, compiled())


async def test_repair_without_alternatives_begins_with_the_code_as_it_is(tmp_path: Path) -> None:
    state: dict[str, Any] = {"choices": {"streams.things.pagination": 1}}
    code = {**compiled(), "src/source_small_crm/sign.json": b"{}"}
    edit = call("edit", file_path=f"{HOME}/sign.json", old_string="{}", new_string='{"mended": true}')
    async with scripted(tmp_path, call("read", file_path="/workspace/notes/feedback.md") + edit, DONE) as bench:
        fact, tree = await bench.run(UNCERTAIN, "FIX", feedback=(BLAME,), code=code, **state)
        assert (fact.by_model, fact.choices, fact.degraded) == (True, state["choices"], ())
        assert tree == {**code, "src/source_small_crm/sign.json": b'{"mended": true}'}
        assert any(
            "stream things; suspected: pagination) 7 of 12" in text
            for text in bench.server.requests[1].results.values()
        )


async def test_what_the_model_cannot_mend_is_left_out_as_without_it(tmp_path: Path) -> None:
    two = blueprint(stream("things"), stream("others"))
    async with scripted(tmp_path, NOTHING) as bench:
        fact, tree = await bench.run(two, "FIX", feedback=(BLAME,), code=compiled(two))
        assert (fact.by_model, fact.degraded) == (False, ("things",))
        assert tree == compile_connector(two, {}, frozenset({"things"}))


async def test_model_that_says_done_and_is_not_is_told(tmp_path: Path) -> None:
    steps = (
        DONE,
        write(f"{HOME}/more.py", "def broken(:\n") + write("/workspace/setup.py", "import os\n"),
        DONE,
        write(f"{HOME}/more.py", "MORE = 1\n")
        + call("bash", command="rm setup.py; echo x > tests.txt; mkdir -p tests notes"),
        call("bash", command="rm tests.txt; echo 'raise SystemExit' > tests/conftest.py"),
        DONE,
    )
    hopeless = blueprint(stream("things"))
    async with scripted(tmp_path, *steps) as bench:
        fact, tree = await bench.run(hopeless, "FIX", feedback=(BLAME,), code=compiled(hopeless))
        told = bench.told()
        assert "nothing of the package has changed" in told[1]
        assert "setup.py has no place" in told[3]
        assert "src/source_small_crm/more.py, line 1" in told[3]
        assert tree == {**compiled(hopeless), "src/source_small_crm/more.py": b"MORE = 1\n"}
        assert fact.by_model


async def test_code_of_a_model_is_repaired_by_a_model_or_not_at_all(tmp_path: Path) -> None:
    """An alternative is left, but taking it would compile the code anew and lose what the model wrote."""
    code = {**compiled(), "src/source_small_crm/more.py": b"MORE = 1\n"}
    state: dict[str, Any] = {"feedback": (BLAME,), "code": code, "code_by_model": True, "degraded": ("kids",)}
    async with scripted(tmp_path, write(f"{HOME}/more.py", "MORE = 2\n"), DONE) as bench:
        fact, tree = await bench.run(UNCERTAIN, "FIX", **state)
        assert (fact.by_model, fact.choices, fact.degraded) == (True, {}, ("kids",))
        assert tree == {**code, "src/source_small_crm/more.py": b"MORE = 2\n"}
        for engine, model in ((Engine.OFFLINE, True), (Engine.AUTO, False)):
            with pytest.raises(Permanent, match="a model wrote some of this connector's code"):
                await bench.run(UNCERTAIN, "FIX", engine=engine, model=model, **state)


async def test_code_of_a_model_that_cannot_be_mended_stays_as_it_is(tmp_path: Path) -> None:
    code = {**compiled(), "src/source_small_crm/more.py": b"MORE = 1\n"}
    async with scripted(tmp_path, NOTHING) as bench:
        fact, tree = await bench.run(UNCERTAIN, "IMPROVE", feedback=(BLAME,), code=code, code_by_model=True)
        assert (fact.by_model, tree) == (True, code)


async def test_review_is_answered_by_the_model_where_no_alternative_helps(tmp_path: Path) -> None:
    finding = Feedback(verdict=Verdict.VALID_FAIL, message="metadata.yaml: no description")
    async with scripted(tmp_path, write("/workspace/metadata.yaml", "data: {}\n"), DONE) as bench:
        fact, tree = await bench.run(UNCERTAIN, "IMPROVE", feedback=(finding,), code=compiled())
        assert fact.by_model
        assert tree["metadata.yaml"] == b"data: {}\n"
        assert bench.server.requests[0].tools == ["read", "write", "edit", "glob", "grep", "bash"]
