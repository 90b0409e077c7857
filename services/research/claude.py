"""Research by a model: it reads the API's own pages and writes a document, or what a document lacks.

The document is studied like any other (infra/decisions/0018). What the model writes is weighed and bounded
(`weigh`, `additions`); its answer counts only once our study accepts the file.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pydantic import BaseModel, Field

from contracts.blueprint import ApiBlueprint
from contracts.errors import Permanent, Rejected
from contracts.reports import FeedbackList
from contracts.services import Service
from infra.runtime.agent import Model
from infra.runtime.claude.brief import AgentTool, Brief, WebFetch, WebSearch
from infra.runtime.claude.prompts import prompt
from infra.runtime.documents.researched import MAX_SOURCES, MAX_WRITTEN_BYTES
from infra.runtime.isolated import run_isolated
from infra.runtime.trees import write_tree
from services.research.settings import Settings
from services.research.study import Refutation
from services.research.telling import analysis, complaints
from services.research.written import ADDITIONS, DOCUMENT, study_written, taken_apart

_MAX_TURNS = 40
_MAX_URL = 500
_MAX_TEXT = 300
_MAX_TOLD_GAPS = 30
_MAX_SHOWN_BYTES = 32 * 1024 * 1024
"""Of a document in the workspace, which holds 48 MiB: of a larger one the model gets the analysis only."""


class Page(BaseModel):
    url: str = Field(description="of a page that you read")
    taken: str = Field(description="what you took from it, in one sentence")


class Unknown(BaseModel):
    subject: str = Field(description="as the analysis names it, or an endpoint: GET /contacts")
    reason: str = Field(description="what the pages do not say, in one sentence")


class Outcome(BaseModel):
    """What the model answers. The first of ``sources`` is the main one."""

    summary: str
    sources: list[Page]
    gaps: list[Unknown]


class Nothing(BaseModel):
    """The input of a tool that needs none."""


@dataclass(frozen=True)
class Inquiry:
    """What is asked. ``document``: self-contained, without any part that a model wrote; None: the model writes all
    of it. ``text``: its file as a research before left it. The rest is `study`'s."""

    name: str
    document: bytes | None = None
    text: bytes = b""
    analysis: str = ""
    document_url: str | None = None
    feedback: Refutation | None = None
    answers: bytes | None = None

    @property
    def mode(self) -> str:
        return "WRITE" if self.document is None else "FILL"

    @property
    def file(self) -> str:
        """The model's own, in the workspace."""
        return Path(DOCUMENT if self.document is None else ADDITIONS).name


async def continued(result: dict[str, Any], inquiry: Inquiry, settings: Settings) -> Inquiry:
    """``inquiry`` about what `study` made of a document: a model goes on where another, or none, had been."""
    parts: dict[str, Any] = await run_isolated(
        taken_apart,
        result["document"],
        timeout_s=settings.study_timeout_s,
        memory_bytes=settings.study_memory_bytes,
    )
    blueprint = await asyncio.to_thread(ApiBlueprint.model_validate_json, result["blueprint"])
    return replace(inquiry, document=parts["document"], text=parts["text"], analysis=analysis(blueprint))


async def inquire(model: Model, inquiry: Inquiry, workspace: Path, settings: Settings) -> dict[str, Any]:
    """What `study` says of the document that the model wrote, or completed.

    Raises:
        Permanent, Transient, BudgetReached: see `Model.converse`.
    """
    files = _files(inquiry)
    await asyncio.to_thread(write_tree, workspace, files)

    last: tuple[bytes, dict[str, Any], dict[str, Any]] | None = None

    async def study(folder: Path, told: dict[str, Any]) -> dict[str, Any]:
        """What was accepted is not studied a second time for the result."""
        nonlocal last
        text = await asyncio.to_thread(_written, folder, inquiry)
        if last is None or last[:2] != (text, told):
            last = (text, told, await _study(inquiry, text, told, settings))
        return last[2]

    async def analyse(_: Nothing, folder: Path) -> str:
        result = await study(folder, {})
        return analysis(await asyncio.to_thread(ApiBlueprint.model_validate_json, result["blueprint"]))

    async def accept(outcome: Outcome) -> str | None:
        if fault := next(filter(None, (url_fault(page.url) for page in outcome.sources)), None):
            return fault
        if inquiry.document is None and not outcome.sources:
            return "no source is named: say which pages the document is from"
        try:
            await study(workspace, _told(outcome))
        except Permanent as error:
            return str(error)
        return None

    tool = AgentTool(
        name="analyse",
        description=f"What your file /workspace/{inquiry.file} amounts to, as the deterministic study reads it:"
        " streams with records, pages, key, cursor, and how sure each is; what is not known; faults, and where.",
        input=Nothing,
        run=analyse,
        timeout_s=settings.study_timeout_s + 10,
    )
    brief = Brief(
        system=prompt(Service.RESEARCH, inquiry.mode),
        task=_task(inquiry, files),
        outcome=Outcome,
        tools=("read", "write", "edit", "grep"),
        own=(tool,),
        web=(WebSearch(), WebFetch()),
        max_turns=_MAX_TURNS,
        accept=accept,
    )
    outcome = await model.converse(brief, workspace)
    return await study(workspace, _told(outcome))


async def _study(inquiry: Inquiry, text: bytes, told: dict[str, Any], settings: Settings) -> dict[str, Any]:
    result: dict[str, Any] = await run_isolated(
        study_written,
        inquiry.document,
        text,
        told,
        inquiry.name,
        inquiry.document_url,
        inquiry.feedback,
        inquiry.answers,
        timeout_s=settings.study_timeout_s,
        memory_bytes=settings.study_memory_bytes,
    )
    return result


def _files(inquiry: Inquiry) -> dict[str, bytes]:
    """What the model finds in its workspace."""
    files: dict[str, bytes] = {}
    if inquiry.text:
        files[inquiry.file] = inquiry.text
    if inquiry.analysis:
        files["analysis.md"] = inquiry.analysis.encode()
    if inquiry.document is not None and len(inquiry.document) <= _MAX_SHOWN_BYTES:
        files["document.json"] = inquiry.document
    if inquiry.feedback is not None:
        files["feedback.md"] = complaints(FeedbackList.model_validate_json(inquiry.feedback[0])).encode()
    return files


def _task(inquiry: Inquiry, files: dict[str, bytes]) -> str:
    there = ", ".join(f"/workspace/{name}" for name in sorted(files)) or "no files"
    return (
        f"The connector `source-{inquiry.name}` is to read the API of that name. In /workspace there are: {there}."
    )


def _written(folder: Path, inquiry: Inquiry) -> bytes:
    """The model's file. Where a document is completed, none means that nothing is added.

    Raises:
        Rejected: it is not there, or too large.
    """
    file = folder / inquiry.file
    if not file.is_file():
        if inquiry.document is not None:
            return b""
        raise Rejected(f"there is no /workspace/{inquiry.file}: write it")
    if file.stat().st_size > MAX_WRITTEN_BYTES:
        raise Rejected(
            f"/workspace/{inquiry.file} has more than {MAX_WRITTEN_BYTES // 1024} KiB: share schemas by $ref,"
            " shorten descriptions, leave the least useful lists out"
        )
    return file.read_bytes()


def _told(outcome: Outcome) -> dict[str, Any]:
    """Sources and gaps for `Researched`, bounded."""
    sources = {page.url: {"url": page.url, "taken": page.taken[:_MAX_TEXT]} for page in reversed(outcome.sources)}
    gaps = [{"subject": gap.subject[:_MAX_TEXT], "reason": gap.reason[:_MAX_TEXT]} for gap in outcome.gaps]
    return {"sources": list(sources.values())[::-1][:MAX_SOURCES], "gaps": gaps[:_MAX_TOLD_GAPS]}


def url_fault(url: str) -> str | None:
    """Why this can be no source; None if it can."""
    try:
        parts = urlsplit(url)
        is_page = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.username is None
    except ValueError:
        is_page = False
    if is_page and len(url) <= _MAX_URL and url.isprintable() and " " not in url:
        return None
    return f"the source {url[:100]!r} is no http or https URL of a page"
