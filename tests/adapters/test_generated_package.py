"""What the generator compiles must pass the reviewer and become a version, whatever the document."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from contracts.blueprint import ApiBlueprint
from contracts.events import ConnectorPublished, ReviewApproved
from contracts.pipeline import Task
from contracts.reports import ReviewReport, Severity
from contracts.services import Service
from infra.runtime.agent import Job, Tools
from infra.runtime.artifacts import MemoryArtifacts
from services.generator.compiler.compile import compile_connector
from services.publisher import handler as publisher
from services.publisher.settings import Settings as PublisherSettings
from services.research.study import study
from services.reviewer import handler as reviewer
from services.reviewer.settings import Settings as ReviewerSettings
from tests.support import sample_package as sample

SPECS = Path(os.environ.get("CORPUS_DIR", Path(__file__).parents[3] / "shared")) / "specs"
DOCUMENTS = ("runscope.yaml", "postmark.yaml", "xero_accounting.yaml")


async def _silent(message: str, *, done: int | None = None, total: int | None = None) -> None:
    """Nobody watches."""


async def review_and_publish(known: ApiBlueprint, folder: Path) -> tuple[ReviewReport, ConnectorPublished]:
    """Compile, review, publish.

    Raises:
        AssertionError: the reviewer did not approve.
    """
    tools = Tools(MemoryArtifacts(), _silent)
    code = dict(compile_connector(known, {}, frozenset()))
    state = await sample.state(tools.artifacts, code=code, known=known, name=known.name)
    for name in ("review", "publish"):
        (folder / name).mkdir()
    run = reviewer.agent(ReviewerSettings()).run
    reviewed = await run(Job(Task(id="a", service=Service.REVIEWER), state), folder / "review", tools)
    assert isinstance(reviewed, ReviewApproved), reviewed
    report = ReviewReport.model_validate_json(await tools.artifacts.get(reviewed.report))
    state = state.model_copy(update={"review_report": reviewed.report})
    run = publisher.agent(PublisherSettings(output_dir=folder / "output")).run
    published = await run(Job(Task(id="b", service=Service.PUBLISHER), state), folder / "publish", tools)
    assert isinstance(published, ConnectorPublished)
    return report, published


async def test_a_compiled_package_is_approved_and_published(tmp_path: Path) -> None:
    report, published = await review_and_publish(sample.blueprint(), tmp_path)
    assert [finding for finding in report.findings if finding.severity is not Severity.LOW] == []
    assert published.version == "0.1.0"


@pytest.mark.parametrize("document", DOCUMENTS)
async def test_a_package_from_a_real_document_is_approved_and_published(document: str, tmp_path: Path) -> None:
    path = SPECS / document
    if not path.is_file():
        pytest.skip(f"the corpus has no {document} here (CORPUS_DIR)")
    name = path.stem.replace("_", "-")
    result = study(path.read_bytes(), document, name, None, {}, None, path.stat().st_size)
    report, _ = await review_and_publish(ApiBlueprint.model_validate_json(result["blueprint"]), tmp_path)
    assert [finding for finding in report.findings if finding.severity is not Severity.LOW] == []
