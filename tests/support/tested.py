"""A pipeline whose connector has just been tested: what the test reviewer is tried on."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from contracts import events
from contracts.artifacts import JSON_MEDIA_TYPE
from contracts.events import TestsReviewed
from contracts.pipeline import PipelineState, Task
from contracts.reports import Check, FeedbackList, Isolation, Outcome, StreamProof, TestCase, TestReport
from contracts.services import Service
from infra.runtime.agent import Job, Model, Tools
from infra.runtime.artifacts import MemoryArtifacts
from services.test_reviewer.handler import run
from tests.support.blueprints import blueprint, child, stream

KNOWN = blueprint(
    stream("contacts"),
    stream("companies"),
    child("deals", "contacts", "/contacts/{contact_id}/deals", "contact_id"),
)
READ = Check(id="completeness/contacts/page", kind="completeness", stream="contacts", outcome=Outcome.PASSED)
LOST = Check(
    id="completeness/companies/page",
    kind="completeness",
    stream="companies",
    outcome=Outcome.FAILED,
    message="0 of 20 records",
    suspects=("selector",),
)
WELL = TestCase(id="tests/test_read.py::test_contacts", outcome=Outcome.PASSED, stream="contacts")


class Desk:
    """A pipeline whose connector has just been tested, and the agent over it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.artifacts = MemoryArtifacts()
        self.told: list[str] = []

    async def state(self, **changes: Any) -> PipelineState:
        """``changes`` to the report; the streams are proven unless a check of them failed."""
        code = await self.artifacts.put_tree({"src/source_small_crm/__init__.py": b""})
        tests = await self.artifacts.put_tree({"tests/test_read.py": b"def test_contacts(): ..."})
        fixtures = await self.artifacts.put(b"{}", JSON_MEDIA_TYPE)
        parts = {"checks": (READ,), "cases": (WELL,), **changes}
        failing = {check.stream for check in parts["checks"] if check.outcome is Outcome.FAILED}
        proofs = tuple(StreamProof(stream=each.name, proven=each.name not in failing) for each in KNOWN.streams)
        report = TestReport(
            mode=events.TesterMode.GENERATE,
            code=code.sha256,
            tests=tests.sha256,
            fixtures=fixtures.sha256,
            isolation=Isolation(kind="bubblewrap"),
            streams=proofs,
            **parts,
        )
        return PipelineState(
            id="1" * 32,
            name="small-crm",
            streams=len(KNOWN.streams),
            blueprint=await self.artifacts.put(KNOWN.model_dump_json().encode(), JSON_MEDIA_TYPE),
            code=code,
            tests=tests,
            fixtures=fixtures,
            test_report=await self.artifacts.put(report.model_dump_json().encode(), JSON_MEDIA_TYPE),
        )

    async def review(self, state: PipelineState, model: Model | None = None) -> tuple[TestsReviewed, FeedbackList]:
        """In a workspace of its own each time."""
        job = Job(Task(id="task", service=Service.TEST_REVIEWER), state)
        workspace = Path(tempfile.mkdtemp(dir=self.folder))
        fact = await run(job, workspace, Tools(self.artifacts, self._tell, model))
        assert isinstance(fact, TestsReviewed)
        return fact, FeedbackList.model_validate_json(await self.artifacts.get(fact.feedback))

    async def _tell(self, message: str, *, done: int | None = None, total: int | None = None) -> None:
        self.told.append(message)
