"""What runs in the confined child process: bytes in, bytes out; everything hostile happens here."""

from __future__ import annotations

from typing import Any

from contracts.answers import RecordedAnswers
from contracts.blueprint import ApiBlueprint
from contracts.reports import FeedbackList
from infra.runtime.documents import ParseLimits, bundle, encode, load
from infra.runtime.documents.researched import researched
from services.research.observe import observed
from services.research.openapi.engine import infer
from services.research.refute import refuted
from services.research.weigh import weighed

Refutation = tuple[bytes, bytes, dict[str, int]]
"""What was found wrong (a `FeedbackList`), the blueprint that it is about, and the choices that were made."""


def study(
    content: bytes,
    where: str,
    name: str,
    document_url: str | None,
    contents: dict[str, bytes | str],
    feedback: Refutation | None,
    max_bytes: int,
    answers: bytes | None = None,
) -> dict[str, Any]:
    """``{"missing": [urls]}`` if external documents are to be fetched first (they come in ``contents``, see
    `bundle`); else the blueprint and the self-contained document as JSON, and the numbers of streams and gaps.
    ``answers``: `RecordedAnswers` of the real API."""
    document = load(content, where=where, limits=ParseLimits(bytes=max_bytes))
    bundled = bundle(document, base_url=document_url, contents=contents)
    if bundled.missing:
        return {"missing": list(bundled.missing)}
    blueprint = infer(bundled.document, name=name, document_url=document_url)
    if (mark := researched(bundled.document)) is not None:
        blueprint = weighed(blueprint, bundled.document, mark)
    if answers is not None:
        blueprint = observed(blueprint, RecordedAnswers.model_validate_json(answers))
    if feedback is not None:
        items, previous, choices = feedback
        blueprint = refuted(
            blueprint, FeedbackList.model_validate_json(items), ApiBlueprint.model_validate_json(previous), choices
        )
    return {
        "missing": [],
        "blueprint": blueprint.model_dump_json().encode(),
        "document": encode(bundled.document),
        "streams": len(blueprint.streams),
        "gaps": len(blueprint.gaps),
    }
