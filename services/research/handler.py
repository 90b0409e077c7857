"""`pipeline.submitted` or `research.requested` -> `research.completed`."""

from __future__ import annotations

import asyncio
from functools import partial
from pathlib import Path
from typing import Any

from contracts.artifacts import JSON_MEDIA_TYPE
from contracts.errors import ConnectorsError, Permanent
from contracts.events import ResearchCompleted
from contracts.pipeline import PipelineState
from contracts.services import Service
from infra.runtime.agent import Agent, Job, Tools
from infra.runtime.claude.announce import announced_models
from infra.runtime.claude.engine import model_for
from infra.runtime.documents import FetchPolicy, fetch
from infra.runtime.isolated import run_isolated
from services.research.settings import Settings
from services.research.study import Refutation, study


def agent(settings: Settings) -> Agent:
    """The service as the loop knows it."""
    return Agent(Service.RESEARCH, partial(run, settings=settings), models=announced_models(Service.RESEARCH))


async def run(job: Job, workspace: Path, tools: Tools, settings: Settings | None = None) -> ResearchCompleted:
    """Study the pipeline's document, or what a model writes; store the blueprint and the self-contained document.

    Raises:
        Permanent: there is neither document nor URL, or the document describes no list of records.
        Rejected: the document or its URL is at fault; the text says what and where.
        Transient: the network failed.
    """
    settings = settings or Settings()
    result = await _result(job, workspace, tools, settings)
    document = await tools.artifacts.put(result["document"], JSON_MEDIA_TYPE)
    blueprint = await tools.artifacts.put(result["blueprint"], JSON_MEDIA_TYPE)
    await tools.progress(f"found {result['streams']} streams, {result['gaps']} gaps")
    return ResearchCompleted(blueprint=blueprint, document=document, streams=result["streams"], gaps=result["gaps"])


async def _result(job: Job, workspace: Path, tools: Tools, settings: Settings) -> dict[str, Any]:
    """What `study` says, with a model where there is no document, or where the study leaves something open."""
    state = job.state
    feedback = await _feedback(state, tools)
    answers = await tools.artifacts.get(state.answers) if state.answers is not None else None
    result = None
    if state.document is not None or state.spec_url is not None:
        content, where = await _document(state, tools, settings)
        await tools.progress("studying the document")
        result = await _studied(content, where, state, feedback, answers, tools, settings)
        model = model_for(job, tools, left=_leaves_something(result, feedback))
    elif (model := model_for(job, tools, left=True)) is None:
        raise Permanent(
            "nothing to go on: give a document (spec_url or upload) or a model", where=state.name or None
        )
    if model is None:
        assert result is not None
        return result
    from services.research import claude  # half a second of imports that only a model needs

    await tools.progress("reading the API's documentation on the web")
    inquiry = claude.Inquiry(state.name, document_url=state.spec_url, feedback=feedback, answers=answers)
    if result is not None:
        inquiry = await claude.continued(result, inquiry, settings)
    return await claude.inquire(model, inquiry, workspace, settings)


def _leaves_something(result: dict[str, Any], feedback: Refutation | None) -> bool:
    """Named gaps, or a second research that came to what the first did."""
    return bool(result["gaps"]) or (feedback is not None and result["blueprint"] == feedback[1])


async def _document(state: PipelineState, tools: Tools, settings: Settings) -> tuple[bytes, str]:
    if state.document is not None:
        return await tools.artifacts.get(state.document), state.spec_url or "the uploaded document"
    assert state.spec_url is not None
    await tools.progress(f"reading {state.spec_url}")
    return await fetch(state.spec_url, _policy(settings)), state.spec_url


def _policy(settings: Settings) -> FetchPolicy:
    return FetchPolicy(
        allow_loopback=settings.allow_loopback,
        max_bytes=settings.max_document_bytes,
        timeout_s=settings.fetch_timeout_s,
    )


async def _studied(
    content: bytes,
    where: str,
    state: PipelineState,
    feedback: Refutation | None,
    answers: bytes | None,
    tools: Tools,
    settings: Settings,
) -> dict[str, Any]:
    """Run the study, fetching external documents between rounds until it has what there is."""
    contents: dict[str, bytes | str] = {}
    for round_ in range(settings.max_external_rounds + 2):
        result: dict[str, Any] = await run_isolated(
            study,
            content,
            where,
            state.name,
            state.spec_url,
            contents,
            feedback,
            settings.max_document_bytes,
            answers,
            timeout_s=settings.study_timeout_s,
            memory_bytes=settings.study_memory_bytes,
        )
        if not result["missing"]:
            return result
        if round_ >= settings.max_external_rounds:
            contents |= dict.fromkeys(result["missing"], "referenced too far down")
        else:
            await tools.progress(f"reading {len(result['missing'])} referenced documents")
            contents |= await _fetched(result["missing"], contents, settings)
    raise Permanent("external documents keep naming further ones", where=where)


async def _fetched(urls: list[str], known: dict[str, bytes | str], settings: Settings) -> dict[str, bytes | str]:
    """What is at ``urls``, or why not, within the limits for all external documents together. A document that
    cannot be had leaves its references dangling: that is no reason to fail."""
    found: dict[str, bytes | str] = {}
    room = settings.max_document_bytes - sum(
        len(content) for content in known.values() if isinstance(content, bytes)
    )
    try:
        async with asyncio.timeout(settings.external_timeout_s):
            for url in urls:
                if len(known) + len(found) >= settings.max_external_documents:
                    break
                policy = FetchPolicy(
                    allow_loopback=settings.allow_loopback,
                    max_bytes=max(room, 1),
                    timeout_s=settings.fetch_timeout_s,
                )
                try:
                    content = await fetch(url, policy)
                    room -= len(content)
                    found[url] = content
                except ConnectorsError as error:
                    found[url] = error.what
    except TimeoutError:
        pass  # what is missing gets its reason below
    reason = f"not fetched: over {settings.max_external_documents} documents or {settings.external_timeout_s:g} s"
    return {url: found.get(url, reason) for url in urls}


async def _feedback(state: PipelineState, tools: Tools) -> Refutation | None:
    if state.feedback is None or state.blueprint is None:
        return None
    items, previous = await tools.artifacts.get(state.feedback), await tools.artifacts.get(state.blueprint)
    return items, previous, dict(state.choices)
