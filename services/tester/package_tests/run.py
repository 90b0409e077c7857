"""Runs the package's tests in the sandbox and says how each of them ended."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Collection, Mapping
from pathlib import Path

from contracts.artifacts import Tree
from contracts.reports import Isolation, Outcome, TestCase
from infra.runtime import sandbox
from infra.runtime.sandbox import Limits, Report
from infra.runtime.trees import write_tree
from services.tester.package_tests.by_model import apart, their_cases
from services.tester.package_tests.cases import CASES, Case, read_ledger
from services.tester.package_tests.parse import BadResult, Result, parse

LIMITS = Limits(wall_s=240.0, cpu_s=240, memory_bytes=2 * 1024 * 1024 * 1024, processes=128)
ALL_WELL = (0, 1)
"""pytest's exit codes for a run that came to its end: all passed, some failed."""

_LAST_WORDS = 600
_INI = b"[pytest]\n"
_UNTOUCHED = """
import ctypes, sys
ctypes.CDLL(None).prctl(4, 0, 0, 0, 0)  # PR_SET_DUMPABLE: its memory is out of reach for what its tests start
import pytest
raise SystemExit(pytest.main(sys.argv[1:]))
"""


async def run_all(
    code: Tree,
    tests: Tree,
    folder: Path,
    python: Path,
    limits: Limits = LIMITS,
    *,
    isolation: Isolation | None = None,
    streams: Collection[str] = (),
) -> tuple[TestCase, ...]:
    """Run ``tests`` merged with ``code``: ours, then a model's in a process and a copy of their own.

    Args:
        folder: an empty folder; results of before are in none of those that are made in it.
        streams: those that a test may be about.

    Raises:
        Transient: the sandbox did not start.
    """
    plain = {path: content for path, content in code.items() if not path.startswith("tests/")}

    async def run(part: Tree, name: str) -> tuple[TestCase, ...]:
        if not any(path.startswith("tests/test_") for path in part):
            return ()
        await asyncio.to_thread(write_tree, folder / name, {**plain, **part})
        return await run_tests(folder / name, python, limits, isolation=isolation)

    ours, theirs = apart(tests)
    cases = await run(ours, "ours")
    return (*cases, *their_cases(await run(theirs, "by-model"), theirs, streams)) if theirs else cases


async def run_tests(
    tree: Path, python: Path, limits: Limits = LIMITS, *, isolation: Isolation | None = None
) -> tuple[TestCase, ...]:
    """Run ``tests`` of the merged package in ``tree``, which is not changed.

    pytest sees our configuration, not the package's, and works in a copy that is thrown away, so no older result
    can be taken for this one's. Every test that ``tests/cases.json`` announces is among the answers: one that was
    not heard of has failed.

    Args:
        python: an interpreter with pytest and what the connector needs.

    Raises:
        Transient: the sandbox did not start.
    """
    announced = await asyncio.to_thread(_announced, tree)
    name = f"result-{secrets.token_hex(8)}.xml"
    request = sandbox.Request(
        tree,
        _command(name),
        python=python,
        limits=limits,
        files={"pytest.ini": _INI},
        writable=True,
        outputs=(name,),
    )
    report = await sandbox.run(request, isolation)
    return await asyncio.to_thread(cases_of, report, report.files.get(name), announced)


def _announced(tree: Path) -> Mapping[str, Case]:
    path = tree / CASES
    return read_ledger({CASES: path.read_bytes()} if path.is_file() and not path.is_symlink() else {}).cases


def _command(result: str) -> tuple[str, ...]:
    """``-I`` and importlib mode: no file of the package can stand in for a module of Python's or pytest's."""
    return (
        *("{python}", "-I", "-B", "-c", _UNTOUCHED),
        *("-c", "{input}/pytest.ini", "--rootdir", "{work}", "--confcutdir", "{work}/tests"),
        *(
            "-p",
            "no:cacheprovider",
            "--import-mode=importlib",
            "--continue-on-collection-errors",
            "--tb=short",
            "-q",
        ),
        *("-o", "junit_family=xunit2", "--junitxml", result, "tests"),
    )


def cases_of(report: Report, result: bytes | None, announced: Mapping[str, Case]) -> tuple[TestCase, ...]:
    """The outcomes, those announced first. What pytest wrote can make things worse, never better than its exit."""
    found, problem = _results(report, result)
    cases = []
    for test in (*announced, *(test for test in found if test not in announced)):
        known = announced.get(test, Case(test))
        one = found.get(test)
        if one is None:
            broken = found.get(known.file)
            reason = f"its file: {broken.message}" if broken else problem or "pytest does not mention it"
            one = Result(Outcome.FAILED, f"it did not run: {reason}")
        cases.append(
            TestCase(
                id=test, outcome=one.outcome, stream=known.stream, confirms=known.confirms, message=one.message
            )
        )
    if problem and not any(case.outcome is Outcome.FAILED for case in cases):
        cases.append(TestCase(id="tests", outcome=Outcome.FAILED, message=problem))
    return tuple(cases)


def _results(report: Report, result: bytes | None) -> tuple[dict[str, Result], str]:
    """What the tests' results are, and what is wrong with the run as a whole (empty: nothing)."""
    problem = "" if report.exit_code in ALL_WELL else f"the tests {_ended(report)}"
    if result is None:
        return {}, problem or f"pytest left no result; it {_ended(report)}"
    try:
        found = parse(result)
    except BadResult as bad:
        return {}, f"pytest's result cannot be used: {bad}"
    failed = any(one.outcome is Outcome.FAILED for one in found.values())
    if not found:
        problem = problem or "no test was run"
    elif report.exit_code == 1 and not failed:
        problem = "pytest says that a test failed, but its result names none"
    return found, problem


def _ended(report: Report) -> str:
    if report.stopped is not None:
        how = {"wall_time": "took too long", "memory": "needed too much memory"}.get(
            report.stopped.value, f"broke a bound ({report.stopped.value})"
        )
        how = f"{how} and were stopped after {report.duration_s:.0f} s"
    elif report.signal is not None:
        how = f"died of signal {report.signal}"
    else:
        how = f"ended with exit code {report.exit_code}"
    words = (report.stdout[-_LAST_WORDS:] + report.stderr[-_LAST_WORDS:]).decode(errors="replace").strip()
    return f"{how}: {words[-_LAST_WORDS:]}" if words else how
