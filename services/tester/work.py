"""Examines one package: the kit judges it, and its own tests are written, repaired or only run. No bus needed."""

from __future__ import annotations

import asyncio
import sys
import tempfile
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath

from contracts.artifacts import Tree
from contracts.blueprint import ApiBlueprint
from contracts.conformance import JUDGED_API, JudgedApi
from contracts.errors import Rejected
from contracts.events import TesterMode
from contracts.reports import Check, Feedback, Isolation, KitRun, StreamProof, TestCase
from contracts.simulation import SimulatedApi
from infra.runtime import sandbox
from infra.runtime.agent import WARNING
from infra.runtime.sandbox import Limits
from infra.runtime.trees import write_tree
from services.tester.agreement import agree
from services.tester.conformance import (
    Judgement,
    Knowledge,
    Pace,
    Say,
    Subject,
    conform,
    endpoints_of,
    opens_of,
    paging_of,
    parents_of,
    specify,
)
from services.tester.conformance.binding import renames_of, with_names
from services.tester.naming import configured, fields_of
from services.tester.package_tests.cases import read_ledger
from services.tester.package_tests.fix import rewrite
from services.tester.package_tests.run import LIMITS, run_all
from services.tester.package_tests.write import Material, concessions_of, write_tests
from services.tester.publication import for_publication
from services.tester.settings import Settings

FULL_FACTOR = 10
MAX_API_BYTES = 4 * 1024 * 1024
COMPILE = Limits(wall_s=30, cpu_s=30)

Author = Callable[[Tree], Awaitable[Tree]]
"""Adds to the tests that we wrote, or repaired, those of a model."""


@dataclass(frozen=True)
class Package:
    """What is tested, and what is known about it. ``tests`` and ``invalid`` are those of the round before."""

    code: Tree
    api: SimulatedApi
    blueprint: ApiBlueprint
    choices: Mapping[str, int] = field(default_factory=dict)
    degraded: tuple[str, ...] = ()
    tests: Tree = field(default_factory=dict)
    invalid: tuple[Feedback, ...] = ()

    @property
    def module(self) -> str:
        return self.blueprint.package


@dataclass(frozen=True)
class Tested:
    """What came of it; ``tests`` is the tree that was run."""

    tests: Tree
    checks: tuple[Check, ...]
    cases: tuple[TestCase, ...]
    streams: tuple[StreamProof, ...]
    isolation: Isolation
    kit: KitRun


async def examine(
    package: Package,
    mode: TesterMode,
    *,
    workspace: Path,
    python: Path,
    settings: Settings,
    say: Say,
    author: Author | None = None,
) -> Tested:
    """Judge ``package`` with the kit and run its tests, both in the sandbox and at the same time.

    Args:
        workspace: an empty folder.
        python: the interpreter of a toolchain: it has what the connector and its tests need.
        author: asked once our tests are there, which is not if the connector has no specification.

    Raises:
        Transient: the sandbox does not work.
        Permanent, BudgetReached: as ``author``.
    """
    isolation = await sandbox.probe()
    if isolation.kind == "process":
        await say(f"{WARNING}the connector runs unconfined: {isolation.note} (`connectors doctor` says what to do)")
    api, known, gaps = await asyncio.to_thread(knowledge_of, package)
    code = workspace / "code"
    await asyncio.to_thread(write_tree, code, package.code)
    await _precompile(code, package, python, isolation)
    env = {"PYTHONPATH": "{work}/src", "PYTHONDONTWRITEBYTECODE": "1"}
    subject, pace = Subject(code, ("{python}", "-m", package.module), python, env), pace_of(settings)
    with tempfile.TemporaryDirectory(prefix="kit-") as name:  # a socket's path must be short
        asked, judged = Path(name) / "a", Path(name) / "b"
        asked.mkdir()
        judged.mkdir()
        specified = await specify(subject, api, folder=asked, isolation=isolation, pace=pace)
        spec = specified.transcript.spec
        judged_by_kit = conform(
            subject,
            api,
            folder=judged,
            isolation=isolation,
            knowledge=known,
            pace=pace,
            say=say,
            specified=specified,
        )
        judging = asyncio.create_task(judged_by_kit)
        try:
            material = Material(package.module, spec, api, known) if spec is not None else None
            tests = await asyncio.to_thread(_tests_for, package, mode, material)
            if author is not None and material is not None:
                tests = await author(tests)
            tests = {**tests, **await asyncio.to_thread(_published, api, known)}
            await say(f"running {sum(path.startswith('tests/test_') for path in tests)} files of tests")
            cases = await run_all(
                package.code,
                tests,
                workspace / "package",
                python,
                replace(LIMITS, wall_s=settings.tests_timeout_s, cpu_s=int(settings.tests_timeout_s) + 1),
                isolation=isolation,
                streams=known.streams,
            )
            judgement: Judgement = await judging
        finally:
            judging.cancel()
            await asyncio.gather(judging, return_exceptions=True)
    return Tested(tests, (*judgement.checks, *gaps), cases, judgement.streams, isolation, judgement.run)


def pace_of(settings: Settings) -> Pace:
    """In full every stream is judged in depth, which takes many times as long."""
    return Pace(
        full=settings.full,
        silence=settings.silence,
        runs=settings.concurrency,
        read_s=settings.read_timeout_s,
        total_s=settings.kit_timeout_s * (FULL_FACTOR if settings.full else 1),
    )


def knowledge_of(package: Package) -> tuple[SimulatedApi, Knowledge, list[Check]]:
    """The simulated API as it is used, what the blueprint tells of the streams, the gaps between the two. Pure."""
    blueprint, choices = package.blueprint, package.choices
    endpoints = endpoints_of(blueprint, choices, package.api)
    api, gaps = agree(package.api, blueprint, choices, endpoints)
    parents = parents_of(blueprint, choices)
    known = Knowledge(
        endpoints=endpoints,
        parents=with_names(parents, renames_of(blueprint, choices, api, endpoints)),
        paging=paging_of(blueprint, choices),
        fields=fields_of(configured(blueprint, parents, endpoints)),
        opens=opens_of(blueprint, choices),
        missing=dict.fromkeys(package.degraded, "degraded: it is left out of the connector"),
        streams=tuple(stream.name for stream in blueprint.streams),
    )
    return api, known, gaps


def _tests_for(package: Package, mode: TesterMode, material: Material | None) -> Tree:
    """The tests to run: written, repaired, or those that there are. Without a specification none can be written;
    the kit says what is wrong with the connector then. Blocks."""
    if material is None:
        return package.tests
    try:
        if mode is TesterMode.FIX and package.tests:
            return rewrite(package.tests, package.invalid, material)
        written = write_tests(material, concessions_of(package.tests) if package.tests else None)
    except Rejected:  # the form of the config: the kit fails it, with the same words
        return package.tests
    return package.tests if mode is TesterMode.RERUN and _still_apply(package.tests, written) else written


def _published(api: SimulatedApi, known: Knowledge) -> Tree:
    """The simulated API for the package, so that anybody can judge the connector again; none that is too large."""
    judged = JudgedApi(
        api=for_publication(api, known.endpoints.values()),
        endpoints=dict(known.endpoints),
        parents={stream: dict(parents) for stream, parents in known.parents.items()},
        paging=dict(known.paging),
        fields=dict(known.fields),
        opens={field: tuple(streams) for field, streams in known.opens.items()},
    )
    content = judged.model_dump_json().encode()
    return {JUDGED_API: content} if len(content) <= MAX_API_BYTES else {}


def _still_apply(tests: Tree, written: Tree) -> bool:
    """Whether the tests that there are can judge the new code: all of them would be written today, too. Those of a
    stream that was left out, or of a field that is gone, would fail by their own fault."""
    return bool(tests) and read_ledger(tests).cases.keys() <= read_ledger(written).cases.keys()


async def _precompile(folder: Path, package: Package, python: Path, isolation: Isolation) -> None:
    """Put bytecode beside the sources, made in the sandbox before any of the code has run. The tree is read-only to
    each of the kit's processes, which would all compile it again."""
    tag = sys.implementation.cache_tag
    sources = [PurePosixPath(path) for path in package.code if path.startswith("src/") and path.endswith(".py")]
    compiled = tuple(str(path.parent / "__pycache__" / f"{path.stem}.{tag}.pyc") for path in sources)
    request = sandbox.Request(
        folder,
        ("{python}", "-I", "-m", "compileall", "-f", "-q", "--invalidation-mode", "unchecked-hash", "src"),
        python=python,
        limits=COMPILE,
        writable=True,
        outputs=compiled,
    )
    report = await sandbox.run(request, isolation)
    await asyncio.to_thread(write_tree, folder, report.files)
