"""Reads the body of a submission, JSON or multipart, never more of it than is allowed."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from fastapi import Request
from pydantic_core import from_json
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException

from gateway.guard import too_large
from gateway.problems import Problem, invalid
from gateway.settings import Settings
from gateway.submission import Document, Submission, inline_document, parse, sniff

MAX_FIELDS = 20
MAX_FIELD_BYTES = 64 * 1024
IN_THREAD_FROM = 256 * 1024


async def read_submission(request: Request, settings: Settings) -> tuple[Submission, Document | None]:
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


async def _json(request: Request, settings: Settings) -> tuple[Submission, Document | None]:
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


def _from_json(content: bytes) -> tuple[Submission, Document | None]:
    try:
        body = from_json(content)  # of bounded depth, unlike the json module
    except ValueError as error:
        raise Problem(400, "no-json", f"the body is no JSON: {error}") from None
    submission = parse(body)
    try:
        return submission, inline_document(submission.document)
    except RecursionError:
        raise invalid("no-openapi", "the document nests too deeply") from None


async def _form(request: Request, settings: Settings) -> tuple[Submission, Document | None]:
    """Files are spooled to disk while they come; the guard counts the bytes."""
    try:
        async with request.form(max_files=1, max_fields=MAX_FIELDS, max_part_size=MAX_FIELD_BYTES) as form:
            names = [name for name, _ in form.multi_items()]
            if twice := sorted({name for name in names if names.count(name) > 1}):
                raise invalid("invalid-request", f"these fields are there more than once: {', '.join(twice)}")
            fields: dict[str, Any] = {name: value for name, value in form.items() if isinstance(value, str)}
            files = {name: value for name, value in form.items() if isinstance(value, UploadFile)}
            if unknown := sorted(files.keys() - {"document"}):
                raise invalid("invalid-request", f"upload the file as `document`, not as `{unknown[0]}`")
            submission = parse(_typed(fields))
            if "document" not in files:
                return submission, inline_document(submission.document)
            if (files["document"].size or 0) > settings.max_document_bytes:
                raise too_large(settings.max_document_bytes)
            return submission, sniff(await files["document"].read())
    except HTTPException as error:  # what Starlette makes of a MultiPartException
        raise Problem(400, "bad-form", f"the form cannot be read: {error.detail}") from None


def _typed(fields: dict[str, Any]) -> dict[str, Any]:
    """A form has text only: empty fields are absent, ``policy`` is JSON."""
    given = {name: value for name, value in fields.items() if value != ""}
    if "policy" in given:
        try:
            given["policy"] = json.loads(given["policy"])
        except (ValueError, RecursionError):
            raise invalid("invalid-request", "policy: must be a JSON object") from None
    return given
