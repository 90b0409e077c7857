"""The publisher as the loop would call it: real hatchling, sandbox, venv and output folder."""

from __future__ import annotations

import asyncio
import hashlib
import io
import tarfile
import zipfile
from pathlib import Path

import pytest

from contracts.artifacts import Tree
from contracts.blueprint import ApiBlueprint
from contracts.catalogue import CatalogueEntry
from contracts.errors import Permanent
from contracts.events import ConnectorPublished
from contracts.pipeline import PipelineState, Task
from contracts.reports import ReviewReport
from contracts.services import Service
from infra.runtime.agent import Job, Tools
from infra.runtime.artifacts import MemoryArtifacts
from infra.runtime.toolchain import install_offline, prepare
from infra.runtime.trees import read_tree
from services.publisher.handler import agent
from services.publisher.settings import Settings
from services.publisher.shelf import Shelf
from tests.support import sample_package as sample


class Publisher:
    """One output folder; each publication in a workspace of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.output = folder / "output"
        self.artifacts = MemoryArtifacts()
        self.told: list[str] = []
        self.runs = 0

    async def pipeline(self, code: Tree | None = None, known: ApiBlueprint | None = None) -> PipelineState:
        return await sample.state(self.artifacts, code=code, known=known)

    async def __call__(self, state: PipelineState) -> ConnectorPublished:
        self.runs += 1
        workspace = self.folder / f"run-{self.runs}"
        workspace.mkdir()
        job = Job(Task(id="task", service=Service.PUBLISHER), state)
        run = agent(Settings(output_dir=self.output)).run
        fact = await run(job, workspace, Tools(self.artifacts, self._tell))
        assert isinstance(fact, ConnectorPublished)
        return fact

    async def _tell(self, message: str, *, done: int | None = None, total: int | None = None) -> None:
        self.told.append(message)

    @property
    def shown(self) -> Path:
        return self.output / "connector-implementations" / "source-tiny"

    def version(self, version: str) -> Path:
        return self.output / "connectors" / "source-tiny" / version

    def entry(self, version: str) -> CatalogueEntry:
        return CatalogueEntry.model_validate_json((self.version(version) / "catalogue.json").read_bytes())


@pytest.fixture
def publish(tmp_path: Path) -> Publisher:
    return Publisher(tmp_path)


async def test_a_published_connector_is_in_the_output_folder_and_in_the_artifacts(publish: Publisher) -> None:
    state = await publish.pipeline()
    fact = await publish(state)
    assert fact.version == "0.1.0"
    tree = await publish.artifacts.get_tree(fact.package)
    assert read_tree(publish.shown) == tree
    results = {"tests/test_results.json", "tests/conformance.json", "tests/conformance.html"}
    assert {*sample.package(), *sample.package_tests(), *results} == set(tree)
    names = {path.name for path in publish.version("0.1.0").iterdir()}
    wheel, sdist = "source_tiny-0.1.0-py3-none-any.whl", "source_tiny-0.1.0.tar.gz"
    assert names == {wheel, sdist, "report.json", "review.json", "catalogue.json", "pipeline"}
    assert (publish.version("0.1.0") / wheel).read_bytes() == await publish.artifacts.get(fact.wheel)
    assert (publish.version("0.1.0") / sdist).read_bytes() == await publish.artifacts.get(fact.sdist)
    assert state.test_report is not None
    assert (publish.version("0.1.0") / "report.json").read_bytes() == await publish.artifacts.get(state.test_report)


async def test_the_catalogue_entry_says_what_was_published(publish: Publisher) -> None:
    known = sample.blueprint(streams=("contacts", "deals"))
    state = (await publish.pipeline(known=known)).model_copy(update={"degraded": ("deals",), "outcome": "partial"})
    fact = await publish(state)
    entry = publish.entry("0.1.0")
    assert (entry.name, entry.distribution, entry.version, entry.title) == ("tiny", "source-tiny", "0.1.0", "Tiny")
    assert (entry.outcome, entry.streams, entry.degraded, entry.unproven) == (
        "partial",
        ("contacts",),
        ("deals",),
        (),
    )
    assert state.code is not None
    assert (entry.pipeline, entry.code, entry.score) == (state.id, state.code.sha256, 100)
    assert (entry.package, entry.wheel, entry.sdist) == (fact.package, fact.wheel, fact.sdist)


async def test_the_wheel_holds_the_version_and_installs_for_a_user(publish: Publisher, tmp_path: Path) -> None:
    await publish(await publish.pipeline())
    await publish(await publish.pipeline())
    wheel = next(publish.version("0.2.0").glob("*.whl"))
    python = install_offline(prepare(), tmp_path / "venv", wheel)
    code = "import importlib.metadata as m, source_tiny as s; print(m.version('source-tiny'), s.__version__)"
    process = await asyncio.create_subprocess_exec(python, "-c", code, stdout=asyncio.subprocess.PIPE)
    output, _ = await process.communicate()
    assert output.split() == [b"0.2.0", b"0.2.0"]


async def test_a_second_pipeline_is_the_next_version_and_replaces_what_is_shown(publish: Publisher) -> None:
    assert (await publish(await publish.pipeline())).version == "0.1.0"
    assert (await publish(await publish.pipeline())).version == "0.2.0"
    assert b'version = "0.2.0"' in (publish.shown / "pyproject.toml").read_bytes()
    assert publish.entry("0.1.0").version == "0.1.0"
    assert [path.name for path in publish.shown.parent.iterdir()] == ["source-tiny"]


async def test_a_redelivery_publishes_the_same_again(publish: Publisher) -> None:
    state = await publish.pipeline()
    first = await publish(state)
    entry = publish.entry("0.1.0")
    assert await publish(state) == first
    assert publish.entry("0.1.0") == entry
    assert not publish.version("0.2.0").exists()


async def test_a_crash_after_the_reservation_costs_no_version(publish: Publisher) -> None:
    state = await publish.pipeline()
    assert Shelf(publish.output, "source-tiny").reserve(state.id) == "0.1.0"
    assert not (publish.version("0.1.0") / "catalogue.json").exists()
    assert (await publish(state)).version == "0.1.0"


async def test_a_crash_before_the_folder_is_shown_is_made_good(publish: Publisher) -> None:
    state = await publish.pipeline()
    await publish(state)
    publish.shown.rename(publish.folder / "lost-in-the-crash")
    await publish(state)
    assert b'version = "0.1.0"' in (publish.shown / "pyproject.toml").read_bytes()


async def test_racing_pipelines_of_one_name_get_versions_of_their_own(publish: Publisher) -> None:
    states = [await publish.pipeline() for _ in range(3)]
    facts = await asyncio.gather(*map(publish, states))
    assert sorted(fact.version for fact in facts) == ["0.1.0", "0.2.0", "0.3.0"]
    for state, fact in zip(states, facts, strict=True):
        assert publish.entry(fact.version).pipeline == state.id
    assert b'version = "0.3.0"' in (publish.shown / "pyproject.toml").read_bytes()


async def test_an_edited_folder_is_kept_and_told(publish: Publisher) -> None:
    await publish(await publish.pipeline())
    (publish.shown / "src" / "source_tiny" / "client.py").write_text("# my own repair\n")
    await publish(await publish.pipeline())
    kept = publish.shown.with_name("source-tiny.edited-0.1.0")
    assert (kept / "src" / "source_tiny" / "client.py").read_text() == "# my own repair\n"
    assert b'version = "0.2.0"' in (publish.shown / "pyproject.toml").read_bytes()
    assert any("source-tiny.edited-0.1.0" in line for line in publish.told)


async def test_sdist_and_wheel_are_the_same_bytes_every_time(publish: Publisher, tmp_path: Path) -> None:
    other = Publisher(tmp_path / "other")
    other.folder.mkdir()
    first, second = await publish(await publish.pipeline()), await other(await other.pipeline())
    assert (first.wheel.sha256, first.sdist.sha256) == (second.wheel.sha256, second.sdist.sha256)


HOOK = """
from pathlib import Path
from hatchling.builders.hooks.plugin.interface import BuildHookInterface

class CustomBuildHook(BuildHookInterface):
    def initialize(self, version, build_data):
        try:
            Path({marker!r}).touch()
        except OSError:
            pass
        Path(self.root, "src/source_tiny/client.py").write_text("import os  # not what was reviewed")
"""


async def test_a_build_hook_reaches_nothing_and_changes_nothing(publish: Publisher, tmp_path: Path) -> None:
    marker = tmp_path / "hook-ran"
    code = {**sample.package(), "hatch_build.py": HOOK.format(marker=str(marker)).encode()}
    code["pyproject.toml"] += b"\n[tool.hatch.build.hooks.custom]\n"
    with pytest.raises(Permanent, match="not hold what was tested"):
        await publish(await publish.pipeline(code))
    assert not marker.exists()
    assert not publish.shown.exists()
    assert not (publish.version("0.1.0") / "catalogue.json").exists()


async def test_the_packages_own_build_back_end_is_not_asked(publish: Publisher, tmp_path: Path) -> None:
    marker = tmp_path / "back-end-ran"
    code = {**sample.package(), "backend.py": f"open({str(marker)!r}, 'w')\n".encode()}
    back_end = b'build-backend = "backend"\nbackend-path = ["."]'
    code["pyproject.toml"] = code["pyproject.toml"].replace(b'build-backend = "hatchling.build"', back_end)
    await publish(await publish.pipeline(code))
    assert not marker.exists()


@pytest.mark.parametrize(
    ("path", "content", "words"),
    [
        ("pyproject.toml", b'[project]\nname = 3\nversion = "0.1.0"\n', "hatchling did not make"),
        ("src/source_tiny/connector.py", b"def main() -> int:\n    print('hello')\n    return 0\n", "no message"),
        ("src/source_tiny/connector.py", b"def main() -> int:\n    return 3\n", "exit 3"),
        ("src/source_tiny/connector.py", b"import requests\n", "requests"),
    ],
)
async def test_a_package_that_does_not_work_when_installed_is_not_published(
    publish: Publisher, path: str, content: bytes, words: str
) -> None:
    with pytest.raises(Permanent, match=words):
        await publish(await publish.pipeline({**sample.package(), path: content}))
    assert not publish.shown.exists()


async def test_a_dependency_outside_the_pins_is_not_published(publish: Publisher) -> None:
    code = sample.package()
    code["pyproject.toml"] = code["pyproject.toml"].replace(b"msgspec>=0.22,<1", b"no-such-thing")
    with pytest.raises(Permanent, match="no-such-thing"):
        await publish(await publish.pipeline(code))


async def test_what_was_not_reviewed_is_not_published(publish: Publisher) -> None:
    other = ReviewReport(code=hashlib.sha256(b"another").hexdigest(), score=100)
    ref = await publish.artifacts.put(other.model_dump_json().encode(), "application/json")
    state = (await publish.pipeline()).model_copy(update={"review_report": ref})
    with pytest.raises(Permanent, match="review is about another tree"):
        await publish(state)


async def test_the_archives_hold_the_package(publish: Publisher) -> None:
    fact = await publish(await publish.pipeline())
    tree = await publish.artifacts.get_tree(fact.package)
    with zipfile.ZipFile(io.BytesIO(await publish.artifacts.get(fact.wheel))) as wheel:
        modules = {name for name in wheel.namelist() if ".dist-info/" not in name}
    with tarfile.open(fileobj=io.BytesIO(await publish.artifacts.get(fact.sdist))) as sdist:
        sources = {name.partition("/")[2] for name in sdist.getnames()}
    assert modules == {path.removeprefix("src/") for path in tree if path.startswith("src/")}
    assert sources == {*tree, "PKG-INFO"}
