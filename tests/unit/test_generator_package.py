"""What is taken of a package that a model worked on, and what is objected to."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from services.generator.compiler import compile_connector
from services.generator.package import MAX_GROWTH_BYTES, MAX_NEW_FILES, changed_files, faults, taken
from tests.support.blueprints import blueprint, stream

HOME = "src/source_small_crm"
BASE = compile_connector(blueprint(stream("things")), {}, frozenset())


def objections(changes: Mapping[str, bytes | None]) -> list[str]:
    """What is wrong with the package after these changes; ``None`` removes a file."""
    tree = {path: content for path, content in {**BASE, **changes}.items() if content is not None}
    return faults(tree, dict(BASE), "source_small_crm")


def test_package_as_compiled_and_new_modules_are_well() -> None:
    assert objections({}) == []
    assert objections({f"{HOME}/more/kids.py": b"A = 1\n", f"{HOME}/schemas/kids.json": b"{}"}) == []


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"pyproject.toml": None}, "pyproject.toml is gone"),
        ({"metadata.yaml": None}, "metadata.yaml is gone"),
        ({f"{HOME}/__main__.py": None}, "__main__.py is gone"),
        ({"pyproject.toml": b"[build-system]\n"}, "pyproject.toml has changed"),
        ({"requirements.txt": b"evil\n"}, "requirements.txt has changed"),
        ({"setup.py": b""}, "setup.py has no place"),
        ({"src/json.py": b""}, "src/json.py has no place"),
        ({f"{HOME}/conftest.py": b""}, "conftest.py has no place"),
        ({f"{HOME}/native.so": b""}, "native.so has no place"),
        ({f"{HOME}/client.py": b"def broken(:\n"}, f"{HOME}/client.py, line 1"),
        ({f"{HOME}/client.py": b"A = 1\0\n"}, f"{HOME}/client.py"),
        ({f"{HOME}/deep.py": b"(" * 5000 + b")" * 5000}, f"{HOME}/deep.py"),
        ({f"{HOME}/large.json": b" " * (MAX_GROWTH_BYTES + 1)}, "has grown by"),
        ({f"{HOME}/n{n}.json": b"" for n in range(MAX_NEW_FILES + 1)}, "more than before"),
    ],
)
def test_what_is_no_package_is_said(changes: dict[str, bytes | None], words: str) -> None:
    assert [words in fault for fault in objections(changes)] == [True]


def test_notes_and_tests_are_no_part_of_the_code() -> None:
    workspace = {**BASE, "notes/gaps.md": b"x", "tests/test_read.py": b"x"}
    assert taken(workspace) == BASE
    assert changed_files(taken(workspace), BASE) == []
