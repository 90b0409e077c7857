"""Where this code is at work: in which pipeline, on which task, in which span. Pure but for one context variable.

One trace is one pipeline: a pipeline's id is 32 hexadecimal digits, and so is a trace's. Its last 16 are the id of
the root span, so whoever knows a pipeline can name a parent, whatever headers were lost on the way.

The header is W3C's (https://www.w3.org/TR/trace-context/#traceparent-header): ``00-<trace>-<span>-01``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from infra.runtime.telemetry.spans import Recorder

HEADER = "traceparent"
_FORM = re.compile(r"(?!ff)[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}(?:-.*)?")


@dataclass(frozen=True)
class Place:
    """``span`` is the id of the span that what happens here belongs to; with a ``recorder`` spans are recorded."""

    pipeline: str
    span: str
    task: str | None = None
    recorder: Recorder | None = None


_here: ContextVar[Place | None] = ContextVar("place", default=None)


def here() -> Place | None:
    """Where the code that asks is at work; None: for no pipeline."""
    return _here.get()


@contextmanager
def at(place: Place) -> Iterator[None]:
    """Be at ``place`` inside; tasks that are made there are there, too."""
    token = _here.set(place)
    try:
        yield
    finally:
        _here.reset(token)


def be_at(place: Place) -> None:
    """Be at ``place`` from now on, to the end of this task."""
    _here.set(place)


def root_span(pipeline: str) -> str:
    """The id of the span of the whole pipeline."""
    return pipeline[16:]


def parse(header: str | None) -> tuple[str, str] | None:
    """Trace and span of a ``traceparent``; None if it is none. All zeros are invalid."""
    found = _FORM.fullmatch(header or "")
    if found is None or not int(found[1], 16) or not int(found[2], 16):
        return None
    return found[1], found[2]


def parent(headers: Mapping[str, str] | None, pipeline: str) -> str:
    """The span that a message's headers name; the root where they name none of this pipeline."""
    found = parse((headers or {}).get(HEADER))
    return found[1] if found is not None and found[0] == pipeline else root_span(pipeline)


def traceparent(pipeline: str) -> str:
    """The header of what is said about ``pipeline`` from here.

    It is the same with and without spans: a service that records none passes on where its message came from.
    """
    place = _here.get()
    span = place.span if place is not None and place.pipeline == pipeline else root_span(pipeline)
    return f"00-{pipeline}-{span}-01"
