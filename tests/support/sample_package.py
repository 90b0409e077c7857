"""A small connector written by hand, whole and clean: what reviewer and publisher are tried on."""

from __future__ import annotations

from contracts.artifacts import JSON_MEDIA_TYPE, Tree, TreeManifest
from contracts.blueprint import ApiBlueprint
from contracts.events import TesterMode
from contracts.pipeline import PipelineState
from contracts.reports import Check, Isolation, KitRun, Outcome, ReviewReport, StreamProof, TestCase, TestReport
from infra.runtime import clock
from infra.runtime.agent import Artifacts

_CONNECTOR = '''"""Speaks the protocol."""

from __future__ import annotations

import json
import sys

from pydantic import BaseModel

STREAMS = ("contacts",)


class Config(BaseModel):
    """What the user fills in."""

    base_url: str | None = None


def main() -> int:
    """Answer `spec`."""
    if sys.argv[1:] != ["spec"]:
        sys.stderr.write("usage: spec\\n")
        return 2
    spec = {"connectionSpecification": Config.model_json_schema()}
    sys.stdout.write(json.dumps({"type": "SPEC", "spec": spec}) + "\\n")
    return 0
'''


def package(name: str = "tiny") -> dict[str, bytes]:
    """The tree of code, as the generator would hand it over."""
    distribution, module = f"source-{name}", f"source_{name.replace('-', '_')}"
    empty = dict.fromkeys(("config", "auth", "client", "streams", "utils"), '"""Nothing here."""\n')
    modules = {
        **empty,
        "__init__": '"""A connector."""\n\n__version__ = "0.1.0"\n',
        "__main__": f"from {module}.connector import main\n\nraise SystemExit(main())\n",
        "connector": _CONNECTOR,
    }
    pyproject = f"""\
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"

[project]
name = "{distribution}"
version = "0.1.0"
description = "A connector."
readme = "README.md"
requires-python = ">=3.11"
dependencies = ["msgspec>=0.22,<1", "pydantic>=2.14,<3", "urllib3>=2.8,<3"]

[project.scripts]
{distribution} = "{module}.connector:main"

[tool.hatch.build.targets.wheel]
packages = ["src/{module}"]
"""
    files = {
        "pyproject.toml": pyproject,
        "requirements.txt": "msgspec==0.22.0\npydantic==2.14.3\nurllib3==2.8.0\n",
        "metadata.yaml": f"data:\n  dockerRepository: airbyte/{distribution}\n  dockerImageTag: 0.1.0\n",
        "README.md": f"# {distribution}\n",
        "IMPLEMENTATION.md": "# How it works\n",
        **{f"src/{module}/{stem}.py": text for stem, text in modules.items()},
    }
    return {path: text.encode() for path, text in files.items()}


def package_tests() -> dict[str, bytes]:
    return {
        "tests/conftest.py": b'"""Shared."""\n',
        "tests/test_read.py": b"def test_reads() -> None:\n    assert 1 + 1 == 2\n",
    }


def blueprint(name: str = "tiny", *, streams: tuple[str, ...] = ("contacts",)) -> ApiBlueprint:
    def decided(value: object) -> dict[str, object]:
        return {"value": value, "confidence": 1}

    schema = {"type": "object", "properties": {"id": {"type": "string"}}}
    entry = {
        "request": decided({"path": "/contacts"}),
        "selector": decided({"path": ["data"]}),
        "pagination": decided({"kind": "none"}),
        "primary_key": decided([["id"]]),
        "cursor": decided(None),
        "parent": decided(None),
        "json_schema": decided(schema),
    }
    return ApiBlueprint.model_validate(
        {
            "name": name,
            "title": "Tiny",
            "base_url": decided({"template": "https://api.example.com"}),
            "auth": decided([]),
            "rate_limit": decided(None),
            "streams": [{"name": stream, **entry} for stream in streams],
        }
    )


def report(code: Tree, tests: Tree) -> TestReport:
    """A test report about these very trees."""
    return TestReport(
        mode=TesterMode.GENERATE,
        code=TreeManifest.of(code).ref.sha256,
        tests=TreeManifest.of(tests).ref.sha256,
        fixtures="0" * 64,
        isolation=Isolation(kind="bubblewrap"),
        checks=tuple(
            Check(id=f"{kind}/contacts/case", kind=kind, outcome=Outcome.PASSED)
            for kind in ("completeness", "failures", "protocol", "secrets", "termination")
        ),
        cases=(TestCase(id="tests/test_read.py::test_reads", outcome=Outcome.PASSED),),
        streams=(StreamProof(stream="contacts", proven=True),),
        kit=KitRun(version="1", runs=12, cpu_s=3.5, duration_s=4.2),
    )


async def state(
    artifacts: Artifacts,
    *,
    code: Tree | None = None,
    tests: Tree | None = None,
    known: ApiBlueprint | None = None,
    name: str = "tiny",
    proven: bool = True,
) -> PipelineState:
    """A pipeline whose connector was tested and reviewed, its artifacts stored."""
    code, tests, known = code or package(name), tests or package_tests(), known or blueprint(name)
    tested = report(code, tests) if proven else report(code, tests).model_copy(update={"streams": ()})
    review = ReviewReport(code=TreeManifest.of(code).ref.sha256, score=100)

    async def stored(model: ApiBlueprint | TestReport | ReviewReport) -> object:
        return await artifacts.put(model.model_dump_json().encode(), JSON_MEDIA_TYPE)

    return PipelineState.model_validate(
        {
            "id": clock.new_id(),
            "name": name,
            "outcome": "success",
            "code": await artifacts.put_tree(code),
            "tests": await artifacts.put_tree(tests),
            "blueprint": await stored(known),
            "test_report": await stored(tested),
            "review_report": await stored(review),
        }
    )
