"""The output folder under crashes, races and people."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from contracts.artifacts import ArtifactRef, TreeManifest
from contracts.catalogue import CatalogueEntry
from infra.runtime import clock
from infra.runtime.trees import read_tree, write_tree
from services.publisher.shelf import Shelf

ROOT = Path(__file__).parents[2]


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    return Shelf(tmp_path / "output", "source-tiny")


def package(version: str) -> dict[str, bytes]:
    return {"pyproject.toml": f'[project]\nversion = "{version}"\n'.encode(), "src/source_tiny/a.py": b"x = 1\n"}


def entry(version: str, pipeline: str) -> CatalogueEntry:
    some = ArtifactRef.of(b"", "x/y")
    return CatalogueEntry(
        name="tiny",
        distribution="source-tiny",
        version=version,
        outcome="success",
        score=100,
        pipeline=pipeline,
        published=clock.now(),
        code="0" * 64,
        package=TreeManifest.of(package(version)).ref,
        wheel=some,
        wheel_file="w",
        sdist=some,
        sdist_file="s",
        report=some,
        review=some,
    )


def published(shelf: Shelf) -> str:
    """Reserve, publish and show the next version."""
    pipeline = clock.new_id()
    version = shelf.reserve(pipeline)
    shelf.put(entry(version, pipeline), {"w": b"wheel"})
    shelf.show(version, package(version))
    return version


def test_processes_racing_for_versions_never_share_one(shelf: Shelf) -> None:
    code = (
        "import sys; from pathlib import Path; from services.publisher.shelf import Shelf\n"
        "shelf = Shelf(Path(sys.argv[1]), 'source-tiny')\n"
        "print(*[shelf.reserve(f'{sys.argv[2]}-{n % 20}') for n in range(40)])"
    )
    command = [sys.executable, "-c", code, str(shelf.output)]
    both = [subprocess.Popen([*command, name], cwd=ROOT, stdout=-1, text=True) for name in "ab"]
    first, second = (process.communicate(timeout=60)[0].split() for process in both)
    assert first[:20] == first[20:]  # asked again, the same answer
    assert second[:20] == second[20:]
    assert sorted({*first, *second}, key=lambda v: int(v.split(".")[1])) == [f"0.{n}.0" for n in range(1, 41)]


def test_a_reservation_is_not_a_publication(shelf: Shelf) -> None:
    version = shelf.reserve("a" * 32)
    assert shelf.entry(version) is None
    shelf.put(entry(version, "a" * 32), {})
    assert shelf.entry(version) is not None


def test_a_crash_while_reserving_takes_no_version(shelf: Shelf) -> None:
    shelf.versions.mkdir(parents=True)
    (shelf.versions / ".reserving-abc").mkdir()
    assert shelf.reserve("a" * 32) == "0.1.0"


def test_an_older_version_that_comes_late_does_not_replace_a_newer_one(shelf: Shelf) -> None:
    late = clock.new_id()
    assert shelf.reserve(late) == "0.1.0"
    assert published(shelf) == "0.2.0"
    shelf.put(entry("0.1.0", late), {})
    assert shelf.show("0.1.0", package("0.1.0")) is None
    assert read_tree(shelf.shown) == package("0.2.0")


def test_by_products_of_using_a_package_are_no_edit(shelf: Shelf) -> None:
    published(shelf)
    write_tree(shelf.shown, {"src/source_tiny/__pycache__/a.pyc": b"x", ".venv/bin/python": b"x"})
    published(shelf)
    assert [path.name for path in shelf.shown.parent.iterdir()] == ["source-tiny"]


@pytest.mark.parametrize("edit", ["changed", "added", "deleted", "link", "replaced", "repository"])
def test_every_kind_of_edit_is_kept(shelf: Shelf, edit: str) -> None:
    published(shelf)
    module = shelf.shown / "src" / "source_tiny" / "a.py"
    match edit:
        case "changed":
            module.write_bytes(b"x = 2\n")
        case "added":
            (module.parent / "b.py").write_bytes(b"")
        case "deleted":
            module.unlink()
        case "link":
            (module.parent / "b.py").symlink_to("a.py")
        case "replaced":
            shelf.shown.rename(shelf.output / "mine")
            shelf.shown.symlink_to(shelf.output / "mine", target_is_directory=True)
        case _:
            write_tree(shelf.shown, {".git/HEAD": b"ref: refs/heads/main\n"})
    assert shelf.show("0.1.0", package("0.1.0")) == shelf.shown.with_name("source-tiny.edited-0.1.0")
    assert read_tree(shelf.shown) == package("0.1.0")


def test_edits_of_edits_are_all_kept(shelf: Shelf) -> None:
    published(shelf)
    for number in range(3):
        (shelf.shown / "README.md").write_text(f"my words {number}")
        shelf.show("0.1.0", package("0.1.0"))
    names = ("source-tiny.edited-0.1.0", "source-tiny.edited-0.1.0-2", "source-tiny.edited-0.1.0-3")
    assert [(shelf.shown.with_name(name) / "README.md").read_text() for name in names] == [
        "my words 0",
        "my words 1",
        "my words 2",
    ]


def test_a_folder_that_was_there_before_us_is_kept(shelf: Shelf) -> None:
    write_tree(shelf.shown, {"notes.txt": b"mine"})
    published(shelf)
    assert (shelf.shown.with_name("source-tiny.edited-unknown") / "notes.txt").read_bytes() == b"mine"
