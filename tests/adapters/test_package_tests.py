"""The package's tests, written for a real generated connector and run in the sandbox: they pass on a right one, the
right one of them fails on a broken one, and FIX repairs or gives up what is wrong with them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest

from contracts.artifacts import Tree
from contracts.events import Verdict
from contracts.reports import Feedback, Outcome, TestCase
from contracts.simulation import PageSize, Position, SimulatedApi
from infra.runtime.documents import load
from infra.runtime.sandbox import Limits
from infra.runtime.toolchain import prepare
from infra.runtime.trees import write_tree
from services.fixtures.inference.infer import infer as simulate
from services.generator.compiler import compile_connector
from services.research.openapi.engine import infer as research
from services.tester.conformance import Knowledge, endpoints_of, parents_of
from services.tester.package_tests import Material, concessions_of, rewrite, run_tests, write_tests
from services.tester.package_tests.canned import MAX_BYTES

DOCUMENT = Path(__file__).parents[2] / "infra/cli/sample_crm/openapi.yaml"
EVERY_RECORD = "tests/test_read.py::test_every_record_is_read_once"
SOURCE = "src/source_crm"


@cache
def package() -> tuple[Tree, Material]:
    """The connector for the sample CRM, and what its tests are written from."""
    document = load(DOCUMENT.read_bytes(), where="sample CRM")
    blueprint, api = research(document, name="crm", document_url=None), simulate(document)
    code = compile_connector(blueprint, {}, frozenset())
    spec = json.loads(code[f"{SOURCE}/spec.json"])["connectionSpecification"]
    known = Knowledge(
        endpoints=endpoints_of(blueprint, {}, api),
        parents=parents_of(blueprint, {}),
        streams=tuple(stream.name for stream in blueprint.streams),
    )
    return code, Material("source_crm", spec, api, known)


@cache
def written() -> Tree:
    return write_tests(package()[1])


async def outcomes(folder: Path, tests: Tree, **changed: bytes) -> dict[str, TestCase]:
    """``changed``: modules of the connector with other content."""
    code = {**package()[0], **{f"{SOURCE}/{name}.py": content for name, content in changed.items()}}
    write_tree(folder, {**code, **tests})
    cases = await run_tests(folder, prepare().python)
    return {case.id: case for case in cases}


def failing(cases: Mapping[str, TestCase]) -> set[str]:
    return {case.id for case in cases.values() if case.outcome is Outcome.FAILED}


def module(name: str, old: str, new: str) -> bytes:
    source = package()[0][f"{SOURCE}/{name}.py"].decode()
    assert old in source, f"{name} has changed: choose another way to break it"
    return source.replace(old, new).encode()


def invalid(*tests: str | None) -> list[Feedback]:
    return [Feedback(verdict=Verdict.INVALID, message="wrong", test=test) for test in tests]


async def test_all_pass_on_the_right_connector(tmp_path: Path) -> None:
    cases = await outcomes(tmp_path, written())
    assert failing(cases) == set()
    assert {case.stream for case in cases.values()} == {*package()[1].known.streams, None}
    assert cases[f"{EVERY_RECORD}[contacts]"].confirms == "completeness/contacts/page+1"
    assert cases[f"{EVERY_RECORD}[notes]"].confirms == "completeness/notes/over-parents"
    assert not (tmp_path / ".pytest_cache").exists()


async def test_a_connector_that_stops_after_a_page_fails_where_there_are_pages(tmp_path: Path) -> None:
    stops = module("sequence", "return page, following", "self._ended = True\n        return page, None")
    cases = await outcomes(tmp_path, written(), sequence=stops)
    failed = failing(cases)
    paged = {name for name, answers in _pages().items() if answers}
    assert {f"{EVERY_RECORD}[{name}]" for name in paged} <= failed
    assert not any(test.startswith(("tests/test_config.py", "tests/test_connection.py")) for test in failed)
    assert "records were not read" in cases[f"{EVERY_RECORD}[contacts]"].message


async def test_a_wrong_selector_fails_its_stream_alone(tmp_path: Path) -> None:
    cases = await outcomes(tmp_path, written(), streams=module("streams", '"deals",)', '"wrong",)'))
    assert {cases[test].stream for test in failing(cases)} <= {"deals", "activities"}
    assert f"{EVERY_RECORD}[deals]" in failing(cases)


async def test_a_connector_that_shows_its_secret_or_never_ends_fails(tmp_path: Path) -> None:
    chatty = module(
        "connector",
        "    return raw, config",
        "    import sys\n\n    sys.stderr.write(str(raw))\n    return raw, config",
    )
    cases = await outcomes(tmp_path / "chatty", written(), connector=chatty)
    assert failing(cases) == {"tests/test_read.py::test_no_secret_is_shown"}
    write_tree(tmp_path / "stuck", {**package()[0], **written(), "tests/test_z.py": b"while True: pass\n"})
    stuck = await run_tests(tmp_path / "stuck", prepare().python, Limits(wall_s=3))
    assert all(case.outcome is Outcome.FAILED and "took too long" in case.message for case in stuck)


async def test_nothing_of_the_package_steers_the_run(tmp_path: Path) -> None:
    """Neither its configuration, nor a module called like Python's own, nor a result that lies there already."""
    hostile = {
        "pyproject.toml": b'[tool.pytest.ini_options]\naddopts = "--collect-only"\n',
        "pytest.ini": b"[pytest]\naddopts = --collect-only\n",
        "conftest.py": b"raise SystemExit(0)\n",
        "json.py": b"raise SystemExit(0)\n",
        "pytest.py": b"raise SystemExit(0)\n",
    }
    write_tree(tmp_path, {**package()[0], **written(), **hostile})
    cases = await run_tests(tmp_path, prepare().python)
    assert len(cases) > 30
    assert {case.outcome for case in cases} == {Outcome.PASSED}


def test_writing_is_deterministic_and_bounded() -> None:
    assert write_tests(package()[1]) == written()
    assert sum(map(len, written().values())) < MAX_BYTES


async def test_a_broken_test_file_is_restored(tmp_path: Path) -> None:
    broken = {**written(), "tests/test_read.py": b"def test_x(\n"}
    failed = failing(await outcomes(tmp_path / "broken", broken))
    assert f"{EVERY_RECORD}[contacts]" in failed
    assert {test.partition("::")[0] for test in failed} == {"tests/test_read.py"}
    assert rewrite(broken, invalid(*failed), package()[1]) == written()


def test_a_test_that_is_written_the_same_again_is_given_up_step_by_step() -> None:
    test, material = f"{EVERY_RECORD}[contacts]", package()[1]
    once = rewrite(written(), invalid(test), material)
    assert concessions_of(once) == {test: "one_page"}
    assert _pages(once)["contacts"] == 0
    assert b"contacts]: the conformance kit saw the connector right" in once["tests/test_read.py"]
    twice = rewrite(once, invalid(test), material)
    assert concessions_of(twice) == {test: "left_out"}
    assert test not in json.loads(twice["tests/cases.json"])["cases"]
    assert f"{EVERY_RECORD}[deals]" in json.loads(twice["tests/cases.json"])["cases"]
    assert write_tests(material, concessions_of(twice)) == twice


def test_a_test_of_the_primary_key_is_given_up_at_once() -> None:
    """It does not depend on pages: a round with the answers in one page would be for nothing."""
    test = "tests/test_read.py::test_primary_key_tells_records_apart[contacts]"
    assert concessions_of(rewrite(written(), invalid(test), package()[1])) == {test: "left_out"}


async def test_what_was_given_up_leaves_tests_that_run(tmp_path: Path) -> None:
    every = list(json.loads(written()["tests/cases.json"])["cases"])
    reads = [test for test in every if "contacts" in test or "::test_spec" in test or "::test_no_secret" in test]
    tests = rewrite(written(), invalid(*reads), package()[1])
    tests = rewrite(tests, invalid(*reads), package()[1])
    cases = await outcomes(tmp_path, tests)
    assert failing(cases) == set()
    assert set(cases) == set(every) - set(reads)


def test_giving_up_everything_comes_to_an_end() -> None:
    tests = written()
    for _ in range(3):
        tests = rewrite(tests, invalid(*json.loads(tests["tests/cases.json"])["cases"]), package()[1])
    assert json.loads(tests["tests/cases.json"])["cases"] == {}


def test_a_file_of_unknown_origin_is_removed_and_others_are_kept() -> None:
    tests = {**written(), "tests/test_extra.py": b"assert False\n", "tests/test_other.py": b"assert True\n"}
    fixed = rewrite(tests, invalid("tests/test_extra.py::test_x"), package()[1])
    assert fixed == {**written(), "tests/test_other.py": b"assert True\n"}
    assert rewrite(tests, invalid(None), package()[1]) == {
        **written(),
        "tests/test_extra.py": b"assert False\n",
        "tests/test_other.py": b"assert True\n",
    }


@pytest.mark.parametrize("kind", ["page", "offset", "cursor", "last_record"])
def test_each_way_of_paging_is_replayed(kind: str) -> None:
    """Every page that the simulated API announces or counts can be asked for."""
    material = package()[1]
    position = Position.model_validate(
        {"kind": kind, "param": "p", "first": 1 if kind == "page" else 0, "field": ("id",)}
    )
    contacts = material.api.endpoints["GET /contacts"].model_copy(update={"position": position, "size": PageSize()})
    api: SimulatedApi = material.api.model_copy(
        update={"endpoints": {**material.api.endpoints, "GET /contacts": contacts}}
    )
    content = json.loads(write_tests(replace(material, api=api))["tests/api.json"])
    route = content["routes"]["GET /v1/contacts"]
    sizes = [len(page["body"]["data"]) for page in route["pages"]]
    assert sizes[-1] == 0
    assert len(sizes) == 3
    assert sorted(route["positions"][0]["pages"].values()) == [0, 1, 2]


def _pages(tests: Tree | None = None) -> dict[str, int]:
    """By stream: pages with records, beyond the first of each list."""
    content = json.loads((tests or written())["tests/api.json"])
    found = {}
    for name, about in content["streams"].items():
        lists = [content["routes"][route]["pages"] for route in about["routes"]]
        found[name] = sum(_size(page, about) > 0 for pages in lists for page in pages[1:])
    return found


def _size(page: dict[str, object], about: dict[str, object]) -> int:
    found = page["body"]
    for key in about["path"]:  # type: ignore[attr-defined]
        found = found[key]  # type: ignore[index]
    return len(found) if isinstance(found, list) else 1
