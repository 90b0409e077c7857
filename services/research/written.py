"""A document that a model wrote, or added to. Pure; runs in the confined child process."""

from __future__ import annotations

from typing import Any

import orjson

from contracts.errors import Rejected
from infra.runtime.documents import Document, ParseLimits, encode, load, parse
from infra.runtime.documents.researched import MAX_GAPS, MAX_WRITTEN_BYTES, MEMBER, Researched, original, researched
from services.research.additions import added
from services.research.study import Refutation, study

DOCUMENT, ADDITIONS = "/workspace/openapi.yaml", "/workspace/additions.yaml"
_LIMITS = ParseLimits(bytes=MAX_WRITTEN_BYTES, nodes=50_000, depth=100)
_NOT_READ = "not read: what a model writes is whole in itself"


def study_written(
    document: bytes | None,
    text: bytes,
    told: dict[str, Any],
    name: str,
    document_url: str | None,
    feedback: Refutation | None,
    answers: bytes | None,
) -> dict[str, Any]:
    """What `study` says of a document that a model wrote (``text``), or of ``document`` with what it added.
    ``told``: the ``sources`` and ``gaps`` of a `Researched`. No reference out of it is followed.

    Raises:
        Rejected: ``text`` is no such document, or too large.
        Permanent: no list of records is in it.
    """
    content = assembled(document, text, told)
    where = DOCUMENT if document is None else "the document with what was added"
    unread: dict[str, bytes | str] = {}
    while True:
        result = study(content, where, name, document_url, unread, feedback, len(content), answers)
        if not result["missing"]:
            return result
        unread |= dict.fromkeys(result["missing"], _NOT_READ)


def assembled(document: bytes | None, text: bytes, told: dict[str, Any]) -> bytes:
    """The document with its mark, as JSON.

    Raises:
        Rejected: ``text`` is no such document, or too large.
    """
    if document is None:
        loaded = load(text, where=DOCUMENT, limits=_LIMITS)
        mark = Researched(text=text.decode("utf-8", "replace"), whole=True, **told)
        return encode(_marked(loaded, loaded.raw, mark))
    more = parse(text, where=ADDITIONS, limits=_LIMITS) if text.strip() else {}
    if not isinstance(more, dict):
        raise Rejected("what is added has the shape of an OpenAPI document: an object", where=ADDITIONS)
    loaded = load(document, where="the document", limits=ParseLimits(bytes=len(document)))
    made = added(loaded.raw, more)
    gaps = (*told.get("gaps", ()), *made.refused)[:MAX_GAPS]
    mark = Researched(
        text=text.decode("utf-8", "replace"), added=made.pointers, sources=told.get("sources", ()), gaps=gaps
    )
    return encode(_marked(loaded, made.raw, mark))


def _marked(loaded: Document, raw: dict[str, Any], mark: Researched) -> Document:
    raw = {**raw, MEMBER: mark.model_dump(mode="json")}
    return Document(raw, where=loaded.where, declared_version=loaded.declared_version)


def taken_apart(content: bytes) -> dict[str, Any]:
    """Of a self-contained document: the ``document`` as it was before a model added to it, indented (None: it wrote
    all of it), and the ``text`` that it wrote so far."""
    loaded = load(content, where="the document", limits=ParseLimits(bytes=len(content)))
    mark = researched(loaded) or Researched()
    before = original(loaded, mark)
    document = orjson.dumps(before.raw, option=orjson.OPT_INDENT_2) if before is not None else None
    return {"document": document, "text": mark.text.encode()}
