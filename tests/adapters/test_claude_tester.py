"""Tests by a model: the real SDK against a scripted server, a real connector, and results that only we measure."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from contracts.artifacts import Tree
from contracts.errors import Permanent
from contracts.events import Engine, TesterMode, Verdict
from contracts.pipeline import PipelineState, Task
from contracts.reports import Feedback, Isolation, Outcome, TestCase
from contracts.services import Service
from infra.runtime import sandbox
from infra.runtime.agent import Job, Tools
from infra.runtime.toolchain import prepare
from services.tester.claude import author
from services.tester.handler import run
from services.tester.package_tests import run_all
from services.tester.settings import Settings
from tests.support.claude import Desk
from tests.support.claude_server import ClaudeServer, Reply, by_turn, call, outcome, serving
from tests.support.tiny_package import tiny

EVERY_RECORD = "tests/test_read.py::test_every_record_is_read_once[contacts]"
OTHERS = ("tests/cases.json", "tests/test_config.py", "tests/test_connection.py", "tests/test_discovery.py")
MINE = "tests/test_by_model_offers.py"
GOOD = """
import json
from pathlib import Path

import pytest

WANTED = json.loads(Path(__file__).with_name("data").joinpath("wanted.json").read_text())


@pytest.mark.parametrize("name", WANTED)
def test_has_a_schema(name):
    assert (Path(__file__).parent.parent / "src/source_tiny/schemas" / f"{name}.json").exists()
"""
HOSTILE = """
import atexit, sys
from _pytest.reports import TestReport

made = TestReport.from_item_and_call.__func__
def passed(cls, item, call):
    report = made(cls, item, call)
    report.outcome = "passed"
    return report
TestReport.from_item_and_call = classmethod(passed)

result = next(argument for argument in sys.argv if argument.endswith(".xml"))
CASE = '<testcase classname="tests.test_read" name="test_every_record_is_read_once[contacts]"/>'
FORGED = f"<testsuites><testsuite>{CASE}</testsuite></testsuites>"
atexit.register(lambda: open(result, "w").write(FORGED))

def test_nothing():
    assert False
"""
SETTINGS = Settings(allow_unconfined_code=False)
DONE = outcome({"done": True, "summary": "tested"})
NOTHING = outcome({"done": False, "summary": "nothing more is worth a test"})


@dataclass
class Bench:
    server: ClaudeServer
    desk: Desk
    folder: Path
    runs: int = 0
    said: list[str] = field(default_factory=list)

    async def write(
        self,
        mode: TesterMode,
        *,
        engine: Engine = Engine.CLAUDE,
        before: Tree | None = None,
        invalid: Sequence[str] = (),
        settings: Settings = SETTINGS,
    ) -> dict[str, bytes]:
        """What the author makes of our tests; ``before``: the tests of the round before."""
        package, ours = tiny()
        items = tuple(Feedback(verdict=Verdict.INVALID, message="it asks too much", test=test) for test in invalid)
        given = replace(package, tests=before or {}, invalid=items)
        job = Job(Task(id="t", service=Service.TESTER, mode=mode), PipelineState(engine=engine))
        self.runs += 1
        workspace = self.folder / str(self.runs)
        workspace.mkdir()
        tools = Tools(self.desk.artifacts, self._say, model=self.desk.model(service=Service.TESTER))
        return dict(await author(settings, job, given, workspace, tools)(ours))

    async def _say(self, message: str, *, done: int | None = None, total: int | None = None) -> None:
        self.said.append(message)


@asynccontextmanager
async def scripted(folder: Path, *steps: Reply) -> AsyncIterator[Bench]:
    async with serving(by_turn(*steps)) as server:
        yield Bench(server, Desk(server), folder)
        assert server.refused == []


def write(path: str, content: str) -> Reply:
    return call("write", file_path=f"/workspace/{path}", content=content)


async def results(folder: Path, tests: Tree, **changed: bytes) -> dict[str, TestCase]:
    """Of a model's tests, and of ours about reading. ``changed``: modules of the connector with other content."""
    tests = {path: content for path, content in tests.items() if path not in OTHERS}
    code = {**tiny()[0].code, **{f"src/source_tiny/{name}.py": content for name, content in changed.items()}}
    cases = await run_all(code, tests, folder, prepare().python, streams=("contacts",))
    return {case.id: case for case in cases}


async def test_model_adds_tests_and_they_are_run_beside_ours(tmp_path: Path) -> None:
    steps = (
        write(MINE, GOOD) + write("tests/data/wanted.json", '["contacts"]'),
        call("bash", command=f"python -m pytest -q {MINE} && echo changed >> src/source_tiny/client.py"),
        DONE,
    )
    async with scripted(tmp_path, *steps) as bench:
        tests = await bench.write(TesterMode.GENERATE)
        again = await bench.write(TesterMode.GENERATE)
        assert tests == {**tiny()[1], MINE: GOOD.encode(), "tests/data/wanted.json": b'["contacts"]'} == again
        assert len(bench.server.requests) == len(steps)
        assert bench.server.requests[0].tools == ["read", "write", "edit", "bash", "web_search"]
        assert "1 passed" in next(iter(bench.server.requests[2].results.values()))
        assert bench.said[-1] == "1 files of tests are by the model: tested"

    cases = await results(tmp_path / "run", tests)
    assert {case.outcome for case in cases.values()} == {Outcome.PASSED}
    assert cases[f"{MINE}::test_has_a_schema[contacts]"].stream == "contacts"
    assert EVERY_RECORD in cases


async def test_what_a_models_tests_do_to_pytest_they_do_to_themselves(tmp_path: Path) -> None:
    """A connector that loses records fails our tests, whatever a model's file patches, forges or overwrites."""
    sequence = tiny()[0].code["src/source_tiny/sequence.py"].decode()
    assert "return page, following" in sequence
    broken = sequence.replace("return page, following", "self._ended = True\n        return page, None").encode()
    tests = {**tiny()[1], "tests/test_by_model_evil.py": HOSTILE.encode()}
    cases = await results(tmp_path, tests, sequence=broken)
    assert cases[EVERY_RECORD].outcome is Outcome.FAILED
    assert all(id.startswith(("tests/test_read.py::", "tests/test_by_model_evil.py")) for id in cases)


async def test_files_that_are_not_the_models_are_put_back_and_it_is_told(tmp_path: Path) -> None:
    steps = (
        write(MINE, "def test_a(:\n")
        + write("tests/conftest.py", "import pytest\npytest.skip('all')\n")
        + write("tests/pytest.ini", "[pytest]\naddopts = -k nothing\n")
        + call("bash", command="rm tests/test_read.py"),
        DONE,
        write(MINE, "def test_a():\n    assert 1\n") + call("bash", command="rm tests/pytest.ini"),
        DONE,
        NOTHING,
    )
    async with scripted(tmp_path, *steps) as bench:
        tests = await bench.write(TesterMode.GENERATE)
        first, second = (bench.server.requests[turn].text for turn in (2, 4))
        for words in ("tests/conftest.py is ours", "tests/test_read.py is ours", "tests/pytest.ini is not taken"):
            assert words in first
        assert f"{MINE}, line 1" in first
        assert "conftest.py is ours" in second
        assert "pytest.ini" not in second
        assert tests == tiny()[1]


async def test_repair_is_the_models_only_where_ours_changes_nothing(tmp_path: Path) -> None:
    """With `auto`: written anew by us; as it was before; a model's own."""
    ours = tiny()[1]
    wrong = {**ours, MINE: b"def test_a():\n    assert 0\n"}
    async with scripted(tmp_path, NOTHING) as bench:
        older = {**ours, "tests/test_read.py": b"older"}
        assert await bench.write(TesterMode.FIX, engine=Engine.AUTO, before=older, invalid=[EVERY_RECORD]) == ours
        assert await bench.write(TesterMode.GENERATE, engine=Engine.AUTO) == ours
        assert bench.server.requests == []
        assert await bench.write(TesterMode.FIX, engine=Engine.AUTO, before=ours, invalid=[EVERY_RECORD]) == ours
        assert len(bench.server.requests) == 1
    mended = b"def test_a():\n    assert 1\n"
    steps = DONE, call("edit", file_path=f"/workspace/{MINE}", old_string="assert 0", new_string="assert 1"), DONE
    async with scripted(tmp_path / "more", *steps) as bench:
        bench.folder.mkdir()
        tests = await bench.write(TesterMode.FIX, engine=Engine.AUTO, before=wrong, invalid=[f"{MINE}::test_a"])
        assert tests == {**ours, MINE: mended}
        assert f"{MINE} was found to be wrong and is as it was" in bench.server.requests[1].text


async def test_code_of_a_model_is_not_run_where_nothing_confines_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def unconfined() -> Isolation:
        return Isolation(kind="process", note="bubblewrap is not installed")

    monkeypatch.setattr(sandbox, "probe", unconfined)
    async with scripted(tmp_path, NOTHING) as bench:
        with pytest.raises(Permanent, match="apt install bubblewrap"):
            await bench.write(TesterMode.GENERATE)
        assert bench.server.requests == []
        allowed = Settings(allow_unconfined_code=True)
        assert await bench.write(TesterMode.GENERATE, settings=allowed) == tiny()[1]

        package, artifacts = tiny()[0], bench.desk.artifacts
        state = PipelineState(
            code=await artifacts.put_tree(package.code),
            code_by_model=True,
            blueprint=await artifacts.put(package.blueprint.model_dump_json().encode(), "application/json"),
            fixtures=await artifacts.put(package.api.model_dump_json().encode(), "application/json"),
        )
        job = Job(Task(id="t", service=Service.TESTER, mode=TesterMode.RERUN), state)
        with pytest.raises(Permanent, match="CONNECTORS_ALLOW_UNCONFINED_CODE"):
            await run(job, tmp_path, Tools(artifacts, bench._say))
