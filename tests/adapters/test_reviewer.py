"""The reviewer as the loop would call it: real ruff, mypy and sandbox, over good and hostile packages."""

from __future__ import annotations

from pathlib import Path

import pytest

from contracts.artifacts import Tree
from contracts.blueprint import ApiBlueprint, Gap
from contracts.errors import Permanent
from contracts.events import Blame, ReviewApproved, ReviewRejected
from contracts.pipeline import Task
from contracts.reports import FeedbackList, Finding, ReviewReport, Severity
from contracts.services import Service
from infra.runtime.agent import Job, Tools
from infra.runtime.artifacts import MemoryArtifacts
from services.reviewer.handler import agent
from services.reviewer.settings import Settings
from tests.support import sample_package as sample

Fact = ReviewApproved | ReviewRejected


class Review:
    """Runs the agent; each run in a workspace of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.artifacts = MemoryArtifacts()
        self.told: list[str] = []

    async def __call__(
        self,
        code: Tree | None = None,
        *,
        tests: Tree | None = None,
        known: ApiBlueprint | None = None,
        proven: bool = True,
    ) -> tuple[Fact, list[Finding]]:
        state = await sample.state(self.artifacts, code=code, tests=tests, known=known, proven=proven)
        workspace = self.folder / state.id
        workspace.mkdir()
        job = Job(Task(id="task", service=Service.REVIEWER), state)
        fact = await agent(Settings()).run(job, workspace, Tools(self.artifacts, self._tell))
        assert isinstance(fact, ReviewApproved | ReviewRejected)
        report = ReviewReport.model_validate_json(await self.artifacts.get(fact.report))
        assert state.code is not None
        assert (report.code, report.score) == (state.code.sha256, fact.score)
        return fact, list(report.findings)

    async def _tell(self, message: str, *, done: int | None = None, total: int | None = None) -> None:
        self.told.append(message)


@pytest.fixture
def review(tmp_path: Path) -> Review:
    return Review(tmp_path)


def with_module(text: str, name: str = "client") -> dict[str, bytes]:
    return {**sample.package(), f"src/source_tiny/{name}.py": text.encode()}


def rules(findings: list[Finding]) -> set[str]:
    return {finding.rule for finding in findings}


async def test_a_good_package_is_approved_with_full_score(review: Review) -> None:
    fact, findings = await review()
    assert isinstance(fact, ReviewApproved)
    assert (fact.score, findings) == (100, [])


async def test_the_same_tree_gives_the_same_report(review: Review) -> None:
    code = with_module("import os\nimport json\nx: int = 'a'\n")
    first, _ = await review(code)
    second, _ = await review(code)
    assert first.report == second.report


async def test_findings_of_all_tools_come_with_file_and_line(review: Review) -> None:
    fact, findings = await review(
        with_module('"""Bad."""\n\nimport subprocess\n\nX: int = subprocess.call("ls", shell=True) or "text"\n')
    )
    places = {(finding.rule, finding.file, finding.line) for finding in findings}
    file = "src/source_tiny/client.py"
    assert {("ruff S602", file, 5), ("mypy assignment", file, 5), ("code import", file, 3)} <= places
    assert isinstance(fact, ReviewRejected)
    assert (fact.blame, fact.critical) == (Blame.CODE, 1)
    items = FeedbackList.model_validate_json(await review.artifacts.get(fact.feedback)).items
    assert any(f"{file}:3" in item.message for item in items)


async def test_comments_and_configuration_of_the_package_have_no_say(review: Review, tmp_path: Path) -> None:
    """noqa everywhere, rules switched off in pyproject.toml, a mypy plugin of its own that would run."""
    marker = tmp_path / "plugin-ran"
    evil = f'# ruff: noqa\n"""Evil."""\n\nimport pathlib\n\npathlib.Path({str(marker)!r}).touch()\n'
    evil += "print(undefined_name)  # noqa: F821\nX: int = 'text'\n"
    switches = b"""
[tool.ruff.lint]
select = []
[tool.ruff]
exclude = ["*"]
[tool.mypy]
plugins = ["source_tiny.evil"]
ignore_errors = true
exclude = ".*"
"""
    code = with_module(evil, "evil")
    code["pyproject.toml"] += switches
    code["src/source_tiny/mypy.ini"] = b"[mypy]\nignore_errors = True\n"
    fact, findings = await review(code)
    assert isinstance(fact, ReviewRejected)
    assert {"ruff F821", "mypy name-defined", "mypy assignment", "layout kind"} <= rules(findings)
    assert not marker.exists()


async def test_code_in_a_folder_that_tools_skip_by_default_is_reviewed(review: Review) -> None:
    code = {**sample.package(), "src/source_tiny/build/__init__.py": b'"""Hidden."""\n\nprint(undefined_name)\n'}
    _, findings = await review(code)
    assert "ruff F821" in rules(findings)


async def test_types_cannot_be_switched_off_by_a_comment(review: Review) -> None:
    fact, findings = await review(with_module("# mypy: ignore-errors\nX: int = 'text'\n"))
    assert isinstance(fact, ReviewRejected)
    assert "code comment" in rules(findings)


@pytest.mark.parametrize("text", ["(" * 50_000, "-" * 100_000 + "1", "x = " + "a." * 50_000 + "b"])
async def test_code_that_breaks_parsers_is_rejected_not_crashed_on(review: Review, text: str) -> None:
    fact, findings = await review(with_module(text))
    assert isinstance(fact, ReviewRejected)
    assert Severity.CRITICAL in {finding.severity for finding in findings}


async def test_one_package_leaves_nothing_for_the_next_in_the_type_cache(review: Review) -> None:
    await review(with_module("X: int = 'text'\n"))
    fact, _ = await review()
    assert fact.score == 100


async def test_an_api_that_nobody_can_log_in_to_is_the_contexts_fault(review: Review) -> None:
    gap = Gap(subject="auth", reason="it answers 401 but describes no scheme")
    fact, _ = await review(known=sample.blueprint().model_copy(update={"gaps": (gap,)}), proven=False)
    assert isinstance(fact, ReviewRejected)
    assert (fact.blame, fact.critical) == (Blame.CONTEXT, 0)


async def test_a_pipeline_without_code_is_an_error_that_says_so(review: Review, tmp_path: Path) -> None:
    state = (await sample.state(review.artifacts)).model_copy(update={"code": None})
    job = Job(Task(id="task", service=Service.REVIEWER), state)
    with pytest.raises(Permanent, match="no code"):
        await agent(Settings()).run(job, tmp_path, Tools(review.artifacts, review._tell))
