"""What a document amounts to, in words for a model: streams, what is not known, what is no stream. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from pydantic import BaseModel

from contracts.blueprint import ApiBlueprint, Decision, Gap, Stream
from contracts.reports import FeedbackList

_MAX_STREAMS = 150
_MAX_GAPS = 100
_MAX_LINE = 400


def analysis(blueprint: ApiBlueprint) -> str:
    """The blueprint's best answers with their confidence, and its gaps; bounded."""
    told = [
        f"# {blueprint.title}: {len(blueprint.streams)} streams, {len(blueprint.gaps)} gaps",
        "",
        f"base URL: {_answer(blueprint.base_url)}",
        f"signing in: {', '.join(_plain(method) for method in blueprint.auth.value) or 'nothing'}"
        f" ({blueprint.auth.confidence:.0%})",
        "",
        "## Streams",
        "",
        *_bounded((_stream(stream) for stream in blueprint.streams), _MAX_STREAMS),
        "",
        "## Not known",
        "",
        *_bounded(_gaps(blueprint.gaps), _MAX_GAPS),
        "",
        "## Operations that are no streams",
        "",
        *_bounded(_gaps(blueprint.omitted), _MAX_GAPS),
    ]
    return "\n".join(told) + "\n"


def complaints(feedback: FeedbackList) -> str:
    """What tests and review found against the blueprint; bounded."""
    items = (
        f"- {item.stream or 'the whole'}: {item.message}"
        + (f" (suspected: {', '.join(item.suspects)})" if item.suspects else "")
        for item in feedback.items
    )
    return "\n".join(_bounded(items, _MAX_GAPS)) + "\n"


def _stream(stream: Stream) -> str:
    request = stream.request.value
    answers: dict[str, Decision[Any]] = {
        "records at": stream.selector,
        "pages": stream.pagination,
        "key": stream.primary_key,
        "cursor": stream.cursor,
        "parent": stream.parent,
    }
    fields = len(stream.json_schema.value.get("properties") or {})
    return (
        f"- {stream.name}: {request.method} {request.path}; "
        + "; ".join(f"{name} {_answer(decision)}" for name, decision in answers.items())
        + f"; {fields} fields"
    )


def _answer(decision: Decision[Any]) -> str:
    return f"{_plain(decision.value)} ({decision.confidence:.0%})"


def _plain(value: object) -> str:
    """A value as short JSON."""
    if isinstance(value, BaseModel):
        return value.model_dump_json(exclude_none=True)
    if isinstance(value, tuple):
        return ", ".join(".".join(path) for path in value) or "none"
    return "none" if value is None else str(value)


def _gaps(gaps: Iterable[Gap]) -> Iterator[str]:
    return (f"- {gap.subject}: {gap.reason}" for gap in gaps)


def _bounded(lines: Iterable[str], most: int) -> list[str]:
    """Each on one line of bounded length, at most ``most`` of them, and how many were left out."""
    told = [" ".join(line.split()) for line in lines]
    short = [line if len(line) <= _MAX_LINE else f"{line[:_MAX_LINE]}..." for line in told[:most]]
    more = [f"- and {len(told) - most} more"] if len(told) > most else []
    return [*short, *more] or ["- nothing"]
