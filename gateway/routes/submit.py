"""``POST /generate``"""

from __future__ import annotations

import asyncio
from typing import Any

from fastapi import APIRouter, Request, Response

from contracts.answers import ANSWERS_MEDIA_TYPE
from contracts.events import Engine, PipelineSubmitted
from contracts.pipeline import Status
from gateway.answers import Accepted, links
from gateway.backend import Parts
from gateway.body import Received, read_submission
from gateway.problems import invalid
from gateway.routes import IdempotencyKey, TheBackend, TheParts
from gateway.submission import NO_DOCUMENT, NO_MODEL, Submission, check_spec_url
from gateway.writes import pipeline_for

router = APIRouter()

_FIELDS = Submission.model_json_schema(ref_template="#/components/schemas/{model}")
_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {key: value for key, value in _FIELDS.items() if key != "$defs"},
                "example": {
                    "connector_name": "google-sheets",
                    "connector_type": "source",
                    "spec_url": "https://api.example.com/openapi.json",
                },
            },
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["connector_name"],
                    "properties": {
                        "connector_name": {"type": "string"},
                        "connector_type": {"type": "string", "default": "source"},
                        "spec_url": {"type": "string"},
                        "engine": {"type": "string"},
                        "policy": {"type": "string", "description": "JSON"},
                        "approval": {"type": "string", "enum": ["none", "required"]},
                        "document": {"type": "string", "format": "binary"},
                        "answers": {
                            "type": "string",
                            "format": "binary",
                            "description": "a HAR recording of the real API: evidence above the document. "
                            "Credentials in it are dropped before anything is stored.",
                        },
                    },
                }
            },
        },
    }
}
DEFINITIONS: dict[str, Any] = _FIELDS.get("$defs", {})


@router.post("/generate", status_code=202, response_model=Accepted, openapi_extra=_BODY, tags=["pipelines"])
async def generate(
    request: Request, response: Response, backend: TheBackend, parts: TheParts, key: IdempotencyKey = None
) -> Accepted:
    """Ask for a connector. 202: it is in the log, and will be worked on whatever happens to this gateway."""
    async with backend.uploads:
        received = await read_submission(request, backend.settings)
        submission = received.submission
        if submission.spec_url is not None:
            await asyncio.to_thread(
                check_spec_url, submission.spec_url, allow_loopback=backend.settings.allow_loopback
            )
        given = received.document is not None or submission.spec_url is not None
        await check_engine(submission.engine, given=given, parts=parts)
        fact = await _fact(received, parts)
    pipeline = pipeline_for(key)
    await parts.writes.begin(pipeline, fact)
    found = links(pipeline)
    response.headers["Location"] = found["self"]
    return Accepted(pipeline_id=pipeline, status=Status.RUNNING, links=found)


async def check_engine(engine: Engine, *, given: bool, parts: Parts) -> None:
    """``given``: there is a document, or what was made of one.

    Raises:
        Problem: 422: this could come to nothing.
    """
    if engine is Engine.OFFLINE and not given:
        raise invalid("no-document", NO_DOCUMENT)
    if engine is not Engine.CLAUDE and given:
        return
    if not (lacking := await parts.capabilities.lacking()):
        return
    without = f"without a model: {' and '.join(lacking)}"
    if engine is Engine.CLAUDE:
        raise invalid("no-model", f"{NO_MODEL} ({without})", [{"pointer": "#/engine", "detail": without}])
    raise invalid("no-document", f"{NO_DOCUMENT} ({without})")


async def _fact(received: Received, parts: TheParts) -> PipelineSubmitted:
    submission, document, answers = received.submission, None, None
    if received.document is not None:
        document = await parts.bus.artifacts.put(received.document.content, received.document.media_type)
    if received.answers is not None:
        answers = await parts.bus.artifacts.put(received.answers, ANSWERS_MEDIA_TYPE)
    return PipelineSubmitted(
        name=submission.connector_name,
        connector_type=submission.connector_type,
        engine=submission.engine,
        document=document,
        answers=answers,
        spec_url=submission.spec_url,
        policy=submission.whole_policy,
    )
