"""What a model is told of its task besides the package, as files. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from contracts.blueprint import ApiBlueprint
from contracts.reports import FeedbackList
from infra.runtime.notes import feedback_note, section


def notes(blueprint: bytes, feedback: bytes | None, left: Sequence[str]) -> dict[str, bytes]:
    """``notes/...``: the blueprint, what the compiler left, and what has to change. Blocks (CPU).

    ``left``: what could not be done without a model, in words.
    """
    known = ApiBlueprint.model_validate_json(blueprint)
    gaps = [
        section("What the compiler could not do", left),
        section("What could not be decided", (f"{gap.subject}: {gap.reason}" for gap in known.gaps)),
        section("Taken for no streams", (f"{gap.subject}: {gap.reason}" for gap in known.omitted)),
    ]
    files = {
        "notes/blueprint.json": known.model_dump_json(indent=1).encode(),
        "notes/gaps.md": "\n".join(gaps).encode(),
    }
    if feedback is not None:
        files["notes/feedback.md"] = feedback_note(FeedbackList.model_validate_json(feedback).items)
    return files
