"""Hostile packages before the reviewer's tools and in the publisher's hands: what stands in for a tool is not run,
what a build makes of a package is the package, and what was not confined is not run at all."""

from __future__ import annotations

import importlib
import io
import json
import zipfile
from collections.abc import Mapping
from pathlib import Path

import pytest

from contracts.artifacts import Tree
from contracts.errors import Permanent
from contracts.events import ReviewRejected, TesterMode
from contracts.pipeline import PipelineState, Task
from contracts.reports import Isolation, ReviewReport
from contracts.services import Service
from infra.runtime import sandbox
from infra.runtime.agent import Agent, Job, Tools
from infra.runtime.artifacts import MemoryArtifacts
from services.publisher import handler as publisher
from services.publisher.archives import check_wheel
from services.publisher.settings import Settings as PublisherSettings
from services.reviewer import handler as reviewer
from services.reviewer.settings import Settings as ReviewerSettings
from services.tester.settings import Settings as TesterSettings
from services.tester.work import examine
from tests.support import sample_package as sample
from tests.support.sandboxed import confined
from tests.support.tiny_package import tiny

probing = importlib.import_module("infra.runtime.sandbox.probe")  # the package's name is that of its function


class Desk:
    """Runs an agent on a sample pipeline, each time in a workspace of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.output = folder / "output"
        self.artifacts = MemoryArtifacts()

    async def state(self, code: Tree) -> PipelineState:
        return await sample.state(self.artifacts, code=code)

    async def run(self, agent: Agent, state: PipelineState) -> object:
        workspace = self.folder / state.id
        workspace.mkdir()
        job = Job(Task(id="task", service=agent.service), state)
        return await agent.run(job, workspace, Tools(self.artifacts, self._tell))

    async def _tell(self, message: str, *, done: int | None = None, total: int | None = None) -> None: ...


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


# --- the reviewer's tools ----------------------------------------------------------------------------------

SILENT = "raise SystemExit(0)\n"
STANDS_IN: Mapping[str, str] = {
    "mypy/__init__.py": "",
    "mypy/__main__.py": SILENT,
    "ruff/__init__.py": "",
    "ruff/__main__.py": SILENT,
    "json.py": SILENT,
    "src/mypy.py": SILENT,
    "mypy.ini": "[mypy]\nignore_errors = True\nplugins = evil.py\n",
    "src/mypy.ini": "[mypy]\nignore_errors = True\nplugins = evil.py\n",
    "setup.cfg": "[mypy]\nignore_errors = True\n",
    "evil.py": SILENT,
    "ruff.toml": "exclude = ['*']\n",
    "src/ruff.toml": "exclude = ['*']\n",
    "src/source_tiny/.ruff.toml": "lint.select = []\n",
    ".gitignore": "*\n",
    ".ignore": "*\n",
    "src/.gitignore": "*\n",
    "src/.ignore": "*\n",
    "src/source_tiny/typing.pyi": "from typing import Any\ndef __getattr__(name: str) -> Any: ...\n",
}


@pytest.mark.parametrize("proc", [True, False])
async def test_what_stands_in_for_a_tool_or_steers_it_changes_no_finding(
    proc: bool, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """``proc``: without one, as in a container, the tools work all the same."""
    found = await confined()
    monkeypatch.setattr(probing, "_cached", found if proc else found.model_copy(update={"proc": False}))
    bad = {**sample.package(), "src/source_tiny/client.py": b'"""Bad."""\n\nprint(undefined)\nX: int = "text"\n'}
    rules = {"ruff F821", "mypy name-defined", "mypy assignment"}
    hostile = {path: text.encode() for path, text in STANDS_IN.items()}
    fact = await desk.run(reviewer.agent(ReviewerSettings()), await desk.state({**bad, **hostile}))
    assert isinstance(fact, ReviewRejected)
    report = ReviewReport.model_validate_json(await desk.artifacts.get(fact.report))
    assert rules <= {finding.rule for finding in report.findings}


# --- the build ---------------------------------------------------------------------------------------------

HOOK = """
import io, shutil, sys, zipfile
from hatchling.builders.hooks.plugin.interface import BuildHookInterface

def forged(path):
    with zipfile.ZipFile(path) as archive:
        entries = [(entry.filename, archive.read(entry)) for entry in archive.infolist()]
    info = next(name for name, _ in entries if name.endswith("METADATA")).removesuffix("METADATA")
    found = dict(entries)
    def change(name, old, new):
        assert old in found[name]
        found[name] = found[name].replace(old, new)
    made = io.BytesIO()
    extra = []
    {forge}
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in (*found.items(), *extra):
            archive.writestr(name, content)
    return made.getvalue()

def copy(source, target, really=shutil.copy):
    really(source, target)
    if str(source).endswith(".whl"):
        content = forged(source)
        open(target + "/" + str(source).rpartition("/")[2], "wb").write(content)

class CustomBuildHook(BuildHookInterface):
    def initialize(self, version, build_data):
        shutil.copy = copy
"""
FORGERIES: Mapping[str, tuple[str, str]] = {
    "a file that runs by itself, beside the modules": (
        "extra.append((info + 'licenses/../../evil.pth', b'import evil'))",
        "act on",
    ),
    "a file out of all folders": ("extra.append(('../../../evil.py', b''))", "not hold what was tested"),
    "a name with a line's end": ("extra.append(('source_tiny/a\\nb.py', b''))", "not hold what was tested"),
    "a script for the installer's folder": (
        "extra.append((info.replace('dist-info', 'data') + 'scripts/pip', b''))",
        "not hold what was tested",
    ),
    "another module of the same name": (
        "extra.append(('source_tiny/client.py', b'evil'))",
        "two files of one name",
    ),
    "a dependency that the package does not name": (
        "change(info + 'METADATA', b'Requires-Dist', b'Requires-Dist: evil; os_name == \"nt\"\\nRequires-Dist')",
        "requires",
    ),
    "a command of another name": (
        "change(info + 'entry_points.txt', b'source-tiny', b'pip')",
        "entry points",
    ),
    "a plug-in of pytest": (
        "found[info + 'entry_points.txt'] += b'\\n[pytest11]\\nevil = source_tiny.evil\\n'",
        "entry points",
    ),
    "what unpacks to more than there is": ("extra.append(('bomb', bytes(300_000_000)))", "unpacks to more"),
    "no archive": ("found.clear(); made.write(b'PK'); return made.getvalue()", "the wheel is none"),
    "an archive without metadata": ("del found[info + 'METADATA']", "the wheel is none"),
}


@pytest.mark.parametrize("name", FORGERIES)
async def test_a_build_that_makes(name: str, desk: Desk) -> None:
    """The package's own hook replaces the wheel once it is built: it is not published."""
    await confined()
    forge, words = FORGERIES[name]
    code = {**sample.package(), "hatch_build.py": HOOK.format(forge=forge).encode()}
    code["pyproject.toml"] += b"\n[tool.hatch.build.hooks.custom]\n"
    with pytest.raises(Permanent, match=words):
        await desk.run(publisher.agent(PublisherSettings(output_dir=desk.output)), await desk.state(code))
    assert not (desk.output / "connector-implementations").exists()


def test_encrypted_wheel_is_none() -> None:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("source_tiny/__init__.py", b"")
    flagged = bytearray(content.getvalue())
    for head, at in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
        flagged[flagged.index(head) + at] |= 1
    with pytest.raises(Permanent, match="the wheel is none"):
        check_wheel(bytes(flagged), sample.package(), "source_tiny", "0.1.0")


TRIAL = """
import glob, json, os, socket, sys
found = []
for pattern in ("/proc/*/environ", HOME + "/.*"):
    for path in glob.glob(pattern):
        try:
            found += [path] * (b"s3cret" in open(path, "rb").read())
        except OSError:
            pass
found += [name for name, value in os.environ.items() if "s3cret" in value]
try:
    socket.create_connection(("127.0.0.1", PORT), 1)
    found.append("a socket")
except OSError:
    pass
if found:
    raise SystemExit(f"ESCAPED {found}")
"""


async def test_the_installed_wheel_is_tried_where_it_reaches_nothing(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    await confined()
    home = desk.folder / "home"
    home.mkdir()
    (home / ".netrc").write_text("s3cret")
    monkeypatch.setenv("CONNECTORS_NATS_PASSWORD", "s3cret")
    monkeypatch.setenv("ANTHROPIC_API_KEY", "s3cret")
    code = sample.package()
    evil = f"HOME, PORT = {json.dumps(str(home))}, 8002\n{TRIAL}"
    code["src/source_tiny/utils.py"] = evil.encode()
    code["src/source_tiny/connector.py"] += b"\nimport source_tiny.utils\n"
    await desk.run(publisher.agent(PublisherSettings(output_dir=desk.output)), await desk.state(code))
    assert (desk.output / "connector-implementations").exists(), "it is a good connector in all else"


# --- where nothing confines it -----------------------------------------------------------------------------


@pytest.mark.parametrize("service", [Service.REVIEWER, Service.PUBLISHER])
async def test_code_of_a_model_is_refused_where_nothing_confines_it(
    service: Service, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def unconfined() -> Isolation:
        return Isolation(kind="process", note="bubblewrap is not installed")

    monkeypatch.setattr(sandbox, "probe", unconfined)

    def agent(allowed: bool) -> Agent:
        if service is Service.REVIEWER:
            return reviewer.agent(ReviewerSettings(allow_unconfined_code=allowed))
        return publisher.agent(PublisherSettings(output_dir=desk.output, allow_unconfined_code=allowed))

    written = (await desk.state(sample.package())).model_copy(update={"code_by_model": True})
    with pytest.raises(Permanent, match=r"apt install bubblewrap.*CONNECTORS_ALLOW_UNCONFINED_CODE"):
        await desk.run(agent(False), written)
    again = (await desk.state(sample.package())).model_copy(update={"code_by_model": True})
    assert await desk.run(agent(True), again)
    ours = await desk.state(sample.package())
    assert await desk.run(agent(False), ours), "what was compiled is ours"


async def test_tester_tells_whoever_watches_that_nothing_confines_the_connector(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def unconfined() -> Isolation:
        return Isolation(kind="process", note="bubblewrap is not installed: limits only, no isolation")

    class Heard(Exception):
        pass

    async def say(message: str, *, done: int | None = None, total: int | None = None) -> None:
        raise Heard(message)

    monkeypatch.setattr(sandbox, "probe", unconfined)
    asked = examine(
        tiny()[0], TesterMode.RERUN, workspace=tmp_path, python=Path("python"), settings=TesterSettings(), say=say
    )
    with pytest.raises(Heard, match=r"warning: .*unconfined: bubblewrap is not installed.*connectors doctor"):
        await asked
