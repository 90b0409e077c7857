"""Reads the body of a submission, JSON or multipart, never more of it than is allowed."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from typing import Any

from fastapi import Request
from pydantic_core import from_json
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException

from contracts.errors import Rejected
from gateway.guard import too_large
from gateway.problems import Problem, invalid
from gateway.settings import Settings
from gateway.submission import Document, Submission, inline_document, parse, sniff
from infra.runtime.isolated import run_isolated
from infra.runtime.recording import MAX_HAR_BYTES, sanitised

FILES = frozenset({"document", "answers"})
MAX_FIELDS = 20
MAX_FIELD_BYTES = 64 * 1024
IN_THREAD_FROM = 256 * 1024
SANITISE_TIMEOUT_S = 60.0


@dataclass(frozen=True)
class Received:
    """A submission with what came along; ``answers`` are `RecordedAnswers` as JSON, sanitised."""

    submission: Submission
    document: Document | None = None
    answers: bytes | None = None


async def read_submission(request: Request, settings: Settings) -> Received:
    """
    Raises:
        Problem: 413, 415 or 422.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == "multipart/form-data":
        return await _form(request, settings)
    if kind == "application/json" or kind.endswith("+json"):
        return await _json(request, settings)
    raise Problem(
        415,
        "unsupported-media-type",
        "send JSON (`-H 'Content-Type: application/json'`) or a form (`-F connector_name=NAME -F document=@FILE`)",
    )


async def _json(request: Request, settings: Settings) -> Received:
    content = bytearray()
    async for chunk in request.stream():
        content += chunk
        if len(content) > settings.max_json_bytes:
            raise Problem(
                413,
                "too-large",
                f"a JSON body may have {settings.max_json_bytes:,} bytes; upload a larger document as a form: "
                "`curl -F connector_name=NAME -F document=@openapi.yaml`",
            )
    if len(content) < IN_THREAD_FROM:
        return _from_json(bytes(content))
    return await asyncio.to_thread(_from_json, bytes(content))


def _from_json(content: bytes) -> Received:
    try:
        body = from_json(content)  # of bounded depth, unlike the json module
    except ValueError as error:
        raise Problem(400, "no-json", f"the body is no JSON: {error}") from None
    submission = parse(body)
    try:
        return Received(submission, inline_document(submission.document))
    except RecursionError:
        raise invalid("no-openapi", "the document nests too deeply") from None


async def _form(request: Request, settings: Settings) -> Received:
    """Files are spooled to disk while they come; the guard counts the bytes."""
    try:
        async with request.form(max_files=len(FILES), max_fields=MAX_FIELDS, max_part_size=MAX_FIELD_BYTES) as form:
            names = [name for name, _ in form.multi_items()]
            if twice := sorted({name for name in names if names.count(name) > 1}):
                raise invalid("invalid-request", f"these fields are there more than once: {', '.join(twice)}")
            fields: dict[str, Any] = {name: value for name, value in form.items() if isinstance(value, str)}
            files = {name: value for name, value in form.items() if isinstance(value, UploadFile)}
            if unknown := sorted(files.keys() - FILES):
                raise invalid("invalid-request", f"upload files as `document` and `answers`, not as `{unknown[0]}`")
            submission = parse(_typed(fields))
            document = inline_document(submission.document)
            if "document" in files:
                if (files["document"].size or 0) > settings.max_document_bytes:
                    raise too_large(settings.max_document_bytes)
                document = sniff(await files["document"].read())
            answers = await _sanitised(files["answers"]) if "answers" in files else None
            return Received(submission, document, answers)
    except HTTPException as error:  # what Starlette makes of a MultiPartException
        raise Problem(400, "bad-form", f"the form cannot be read: {error.detail}") from None


async def _sanitised(recording: UploadFile) -> bytes:
    """What is kept of a recording; nothing else of it leaves this function."""
    if (recording.size or 0) > MAX_HAR_BYTES:
        raise _bad_answers(f"the recording is larger than {MAX_HAR_BYTES:,} bytes: record fewer requests")
    try:
        kept: bytes = await run_isolated(sanitised, await recording.read(), timeout_s=SANITISE_TIMEOUT_S)
    except Rejected as error:
        raise _bad_answers(error.what) from None
    return kept


def _bad_answers(why: str) -> Problem:
    return invalid("bad-answers", f"answers: {why}", [{"pointer": "#/answers", "detail": why}])


def _typed(fields: dict[str, Any]) -> dict[str, Any]:
    """A form has text only: empty fields are absent, ``policy`` is JSON."""
    given = {name: value for name, value in fields.items() if value != ""}
    if "policy" in given:
        try:
            given["policy"] = json.loads(given["policy"])
        except (ValueError, RecursionError):
            raise invalid("invalid-request", "policy: must be a JSON object") from None
    return given
