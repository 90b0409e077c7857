"""Hostile packages, each by name, through everything that runs code of a package: the kit, the package's own tests,
the reviewer's tools, the build, the trial of the wheel. Nothing is reached, and no verdict gets better."""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from contracts.artifacts import Tree
from contracts.events import TesterMode
from contracts.reports import Outcome, TestCase
from infra.runtime import sandbox
from infra.runtime.sandbox import Stop
from infra.runtime.toolchain import prepare
from infra.runtime.toolchain.place import cache_dir
from infra.runtime.trees import write_tree
from services.generator.offered import offered
from services.tester.conformance import Pace, Subject, specify
from services.tester.conformance.bench import Run
from services.tester.package_tests.run import LIMITS, run_all
from services.tester.settings import Settings
from services.tester.work import Package, examine
from tests.support.hostile_packages import (
    BY_MODEL,
    LETS_ALL_PASS,
    LOUD,
    NAMES,
    ON_THE_JUDGE,
    OURS,
    SECRET,
    SELF_RUNNING,
    Host,
    broken,
    with_code,
)
from tests.support.sandboxed import alive, confined, some_time
from tests.support.tiny_package import tiny

MIB = 1024 * 1024


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    """Secrets where a host has them; nobody may have called, or left anything, when the tests are over."""
    asyncio.run(confined())
    folder, abstract = tmp_path_factory.mktemp("host"), f"connectors-{secrets.token_hex(8)}"
    (folder / "home").mkdir()
    (folder / "home" / ".netrc").write_text(SECRET)
    (folder / "o").mkdir()
    (folder / "o" / "there").write_text("there")
    environment = {**os.environ, "SOME_PASSWORD": SECRET}
    with (
        pytest.MonkeyPatch.context() as patch,
        socket.create_server(("127.0.0.1", 0)) as listener,
        socket.socket(socket.AF_UNIX) as unnamed,
        socket.socket(socket.AF_UNIX) as named,
        subprocess.Popen(["sleep", "600"], env=environment) as beside,
    ):
        for name in ("ANTHROPIC_API_KEY", "CONNECTORS_NATS_PASSWORD", "SOME_PASSWORD"):
            patch.setenv(name, SECRET)
        patch.setenv("CONNECTORS_CACHE_DIR", str(cache_dir()))  # the toolchain is at home, too
        patch.setenv("HOME", str(folder / "home"))
        unnamed.bind(f"\0{abstract}")
        named.bind(str(folder / "o" / "s"))
        for each in (listener, unnamed, named):
            each.listen()
            each.settimeout(0)
        made = Host(folder, listener.getsockname()[1], abstract, beside.pid, some_time())
        yield made
        for each in (listener, unnamed, named):
            with pytest.raises(BlockingIOError):  # nobody has called
                each.accept()
        assert beside.poll() is None
        beside.kill()
    assert sorted(path.name for path in made.outside.iterdir()) == ["s", "there"]
    assert (made.outside / "there").read_text() == "there"
    assert not alive(made.nap)


async def spec_of(package: Package, folder: Path, pace: Pace | None = None) -> Run:
    """As the kit asks for it, before it judges."""
    write_tree(folder / "code", package.code)
    (folder / "s").mkdir()
    env = {"PYTHONPATH": "{work}/src", "PYTHONDONTWRITEBYTECODE": "1"}
    subject = Subject(folder / "code", ("{python}", "-m", package.module), prepare().python, env)
    return await specify(
        subject, package.api, folder=folder / "s", isolation=await sandbox.probe(), pace=pace or Pace()
    )


# --- what a connector's code reaches -------------------------------------------------------------------


@pytest.fixture(scope="module")
def tried(host: Host, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bool]:
    run = asyncio.run(spec_of(with_code(host.quiet()), tmp_path_factory.mktemp("k")))
    assert run.transcript.spec is not None, "it works all the same"
    assert SECRET not in run.transcript.stderr
    found: dict[str, bool] = json.loads(run.transcript.stderr.partition("tried ")[2])
    return found


@pytest.mark.parametrize("name", NAMES)
def test_package_that(tried: dict[str, bool], name: str) -> None:
    assert not tried[name]


def test_what_reads_reads_it_without_isolation(host: Host) -> None:
    """The attempts are real: of a program that is not confined they succeed. Those that would change something are
    not tried there."""
    names = [name for name in NAMES if name.startswith(("reads", "signals")) and "open files" not in name]
    done = subprocess.run(["python3", "-c", host.quiet(*names)], capture_output=True, text=True, check=True)
    worked = [name for name, did in json.loads(done.stderr.partition("tried ")[2]).items() if did]
    assert len(worked) > 4, worked


# --- what it does to its judge ---------------------------------------------------------------------------


def encoded(files: Mapping[str, str]) -> Tree:
    return {path: text.encode() for path, text in files.items()}


def failing(cases: tuple[TestCase, ...]) -> set[str]:
    return {case.id for case in cases if case.outcome is Outcome.FAILED}


SLOW = {
    *("puts a pipe where the result goes", "puts a folder where the result goes", "asks pytest to end"),
    *("stops pytest", "stops itself", "leaves at once", "leaves with success at the end"),
}
"""What another that `make test` runs is like."""


def _with_slow(names: Mapping[str, str]) -> list[Any]:
    return [pytest.param(name, marks=pytest.mark.slow) if name in SLOW else name for name in names]


LOST = "tests/test_read.py::test_lost"
BRIEF = replace(LIMITS, wall_s=30)
WAITS = {"puts a pipe where the result goes", "stops pytest"}
"""What ends when its time is up."""


@pytest.mark.parametrize("name", _with_slow(ON_THE_JUDGE))
async def test_failing_tests_stay_failed_if_the_code(name: str, tmp_path: Path) -> None:
    """The tests start it, it works on pytest; whatever becomes of the run, it is not a success."""
    isolation = await confined()
    code = encoded({"src/evil.py": ON_THE_JUDGE[name]})
    limits = replace(BRIEF, wall_s=3) if name in WAITS else BRIEF
    cases = await run_all(code, encoded(OURS), tmp_path, prepare().python, limits, isolation=isolation)
    assert failing(cases)
    if name in ("rewrites the tests", "takes pytest's memory"):
        assert failing(cases) == {LOST}


@pytest.mark.parametrize("name", _with_slow(BY_MODEL))
async def test_failing_tests_stay_failed_if_a_models_test(name: str, tmp_path: Path) -> None:
    isolation = await confined()
    tests = encoded({**OURS, "tests/test_by_model_evil.py": BY_MODEL[name]})
    code = encoded({"src/evil.py": ""})
    cases = await run_all(code, tests, tmp_path, prepare().python, BRIEF, isolation=isolation)
    assert LOST in failing(cases)
    assert failing(cases) <= {LOST, "tests/test_by_model_evil.py", "tests/test_by_model_evil.py::test_all"}


async def test_nothing_runs_by_itself_beside_the_tests(tmp_path: Path) -> None:
    """A conftest that lets all pass, plug-ins by entry point, by configuration and by name, a setup script."""
    code = encoded({**SELF_RUNNING, "src/evil.py": ""})
    cases = await run_all(code, encoded(OURS), tmp_path, prepare().python, BRIEF, isolation=await confined())
    assert {case.id: case.outcome for case in cases} == {
        "tests/test_read.py::test_starts_it": Outcome.PASSED,
        LOST: Outcome.FAILED,
    }


# --- what would take the machine with it -----------------------------------------------------------------

ENDS: Mapping[str, Stop | str] = {
    "forks without end": Stop.PROCESSES,
    "fills the memory": "MemoryError",
    "fills the memory by many processes": Stop.MEMORY,
    "fills the memory that no process owns": "PermissionError",
    "fills the disk": "No space left on device",
    "makes a file that seems huge": "File too large",
    "writes without end": Stop.OUTPUT,
    "complains without end": Stop.OUTPUT,
    "ignores SIGTERM": Stop.WALL_TIME,
    "stops itself": Stop.WALL_TIME,
    "leaves daemons": "",
}
"""How each comes to its end: by the sandbox, or by what the kernel tells it."""


@pytest.mark.parametrize("name", _with_slow(LOUD))
async def test_machine_is_safe_from_a_package_that(name: str, tmp_path: Path) -> None:
    await confined()
    nap, began = some_time(), time.monotonic()
    waits = ENDS[name] is Stop.WALL_TIME
    evil = with_code(LOUD[name].replace("{nap}", nap))
    run = await spec_of(evil, tmp_path, Pace(command_s=2 if waits else 20))
    assert run.transcript.spec is None
    assert time.monotonic() - began < 20
    assert not alive(nap)
    if isinstance(ENDS[name], Stop):
        assert run.transcript.stopped is ENDS[name]
    else:
        assert run.transcript.stopped is None
        assert ENDS[name] in run.transcript.stderr


# --- all of it at once, and the verdict --------------------------------------------------------------------


@pytest.mark.parametrize("mode", [TesterMode.GENERATE, pytest.param(TesterMode.RERUN, marks=pytest.mark.slow)])
async def test_verdict_on_a_hostile_package_is_that_on_its_code(
    mode: TesterMode, host: Host, tmp_path: Path
) -> None:
    """It loses every page but the first, reaches for all that it can, and brings all that runs by itself; the whole
    tester judges it. When tests are run again, those that it brings let all pass: then the kit alone objects."""
    package = with_code(host.quiet(), broken(tiny()[0]))
    lying = {**tiny()[1], "tests/conftest.py": tiny()[1]["tests/conftest.py"] + LETS_ALL_PASS.encode()}
    package = replace(package, code={**encoded(SELF_RUNNING), **package.code}, tests=lying)
    told: list[str] = []

    async def say(message: str, *, done: int | None = None, total: int | None = None) -> None:
        told.append(message)

    tested = await examine(package, mode, workspace=tmp_path, python=prepare().python, settings=Settings(), say=say)
    failed = {check.id for check in tested.checks if check.outcome is Outcome.FAILED}
    assert "completeness/contacts/page+1" in failed
    assert not any(proof.proven for proof in tested.streams)
    incomplete = "tests/test_read.py::test_every_record_is_read_once[contacts]"
    assert (incomplete in failing(tested.cases)) == (mode is TesterMode.GENERATE)
    assert SECRET not in f"{tested}{told}"
    assert not alive(host.nap)


async def test_generator_asks_a_hostile_package_for_its_streams_and_for_no_more(host: Host) -> None:
    await confined()
    package = with_code(host.quiet())
    config = {"base_url": "http://127.0.0.1:1", "credentials": {"token": "x"}}
    streams = await offered(package.code, package.module, config, unconfined=False)
    assert SECRET not in str(streams)
    assert not alive(host.nap)
