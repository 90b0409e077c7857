"""Golden files: each fact as it was first written, by type and version. They are never changed, only added to.

After a change of a fact: raise its ``VERSION``, add an upcast (contracts/upcasts.py), set the new field in
`SAMPLES`, and run ``python -m tests.contract.golden``: it writes what is missing and leaves alone what is there.
"""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from contracts import events as e
from contracts.artifacts import ArtifactRef
from contracts.envelope import Envelope, wrap
from contracts.policy import Policy

FOLDER = Path(__file__).parent / "golden"
SCHEMAS = FOLDER / "schemas.json"

_PIPELINE = "0af7651916cd43dd8448eb211c80319c"
_TIME = datetime(2026, 11, 22, 12, tzinfo=UTC)
_DECIDED: dict[str, Any] = {"policy_hash": "5f0c2b1a9d3e", "code_version": "0.1.0"}
_PARTIAL: dict[str, Any] = {"outcome": "partial", "degraded": ("invoices",)}


def _ref(name: str) -> ArtifactRef:
    return ArtifactRef.of(name.encode(), "application/json")


_TESTED: dict[str, Any] = {
    "mode": e.TesterMode.FIX,
    "code": _ref("code"),
    "fixtures": _ref("fixtures"),
    "tests": _ref("tests"),
    "report": _ref("report"),
    "passed": 12,
    "failed": 3,
}

SAMPLES: tuple[e.Fact, ...] = (
    e.PipelineSubmitted(
        name="sample-crm",
        engine=e.Engine.OFFLINE,
        document=_ref("document"),
        spec_url="https://api.example.com/openapi.json",
        policy=Policy(code_repairs=2, approval="required"),
        answers=_ref("answers"),
    ),
    e.PipelineCompleted(version="0.2.0", **_PARTIAL, **_DECIDED),
    e.PipelineFailed(reason="the document has no operations", where="#/paths", **_DECIDED),
    e.PipelineCancelled(**_DECIDED),
    e.PipelinePaused(**_DECIDED),
    e.PipelineResumed(**_DECIDED),
    e.PipelineCancelRequested(),
    e.PipelinePauseRequested(),
    e.PipelineResumeRequested(),
    e.PipelineRetryRequested(failure="6" * 32),
    e.PipelineForked(parent="1" * 32, at=7, engine=e.Engine.CLAUDE, policy=Policy(researches=2)),
    e.ResearchCompleted(blueprint=_ref("blueprint"), document=_ref("document"), streams=5, gaps=2),
    e.ConnectorGenerated(
        mode=e.GeneratorMode.FIX,
        code=_ref("code"),
        choices={"contacts.pagination": 1},
        degraded=("invoices",),
        by_model=True,
    ),
    e.FixturesCreated(fixtures=_ref("fixtures")),
    e.TestsPassed(**_TESTED),
    e.TestsFailed(**_TESTED),
    e.TestsReviewed(
        verdict=e.Verdict.VALID_FAIL,
        feedback=_ref("feedback"),
        streams_proven=4,
        streams_total=5,
        degraded=("invoices",),
        reason="the second page of invoices is never read",
    ),
    e.ReviewApproved(report=_ref("review"), score=97),
    e.ReviewRejected(
        report=_ref("review"),
        score=41,
        blame=e.Blame.CONTEXT,
        critical=1,
        feedback=_ref("feedback"),
        reason="the token is printed",
    ),
    e.ConnectorPublished(version="0.2.0", package=_ref("package"), wheel=_ref("wheel"), sdist=_ref("sdist")),
    e.AgentFailed(
        service="research", kind="budget", what="it is spent", where="accounts", attempt=2, budget_usd=20.0
    ),
    e.ResearchRequested(feedback=_ref("feedback"), attempt=2, **_DECIDED),
    e.GenerationRequested(mode=e.GeneratorMode.IMPROVE, feedback=_ref("feedback"), attempt=2, **_DECIDED),
    e.FixturesRequested(attempt=2, **_DECIDED),
    e.TestsRequested(mode=e.TesterMode.RERUN, feedback=_ref("feedback"), attempt=2, **_DECIDED),
    e.TestReviewRequested(attempt=2, **_DECIDED),
    e.ReviewRequested(attempt=2, **_DECIDED),
    e.PublishRequested(attempt=2, **_PARTIAL, **_DECIDED),
    e.ApprovalRequested(about="publish", **_PARTIAL, **_DECIDED),
    e.ApprovalGranted(request="2" * 32, by="ada", reason="it reads what we need"),
    e.ApprovalDenied(request="2" * 32, by="ada", reason="one stream is missing"),
    e.TimerElapsed(timer="3" * 32),
)
"""One of each fact, with every field set."""


def path(fact: type[e.Fact], version: int | None = None) -> Path:
    return FOLDER / f"{fact.TYPE}.v{version or fact.VERSION}.json"


def envelope(fact: e.Fact) -> Envelope:
    return wrap(fact, id="4" * 32, pipeline=_PIPELINE, source="golden", time=_TIME, causation="5" * 32)


def fingerprint(fact: type[e.Fact]) -> str:
    """A hash of what the fact looks like on the wire; words for readers do not count."""
    schema = json.dumps(_without_words(fact.model_json_schema()), sort_keys=True)
    return hashlib.sha256(schema.encode()).hexdigest()


def _without_words(node: Any) -> Any:
    if isinstance(node, dict):
        words = {key for key in ("title", "description") if isinstance(node.get(key), str)}
        return {key: _without_words(value) for key, value in node.items() if key not in words}
    return [_without_words(item) for item in node] if isinstance(node, list) else node


def stored_fingerprints() -> dict[str, str]:
    """``<type>.v<version>`` -> fingerprint, as of when that version was made."""
    return dict(json.loads(SCHEMAS.read_text())) if SCHEMAS.exists() else {}


def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    known = stored_fingerprints()
    for sample in SAMPLES:
        file = path(type(sample))
        if not file.exists():
            file.write_text(json.dumps(json.loads(envelope(sample).encode()), indent=2) + "\n")
            print(f"wrote {file.name}")
        known.setdefault(file.stem, fingerprint(type(sample)))
    SCHEMAS.write_text(json.dumps(known, indent=2, sort_keys=True) + "\n")


if __name__ == "__main__":
    main()
