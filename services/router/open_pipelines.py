"""Which pipelines have not ended: asked from the stream's index of subjects, no message is read."""

from __future__ import annotations

import json

from nats.aio.client import Client

from contracts import subjects
from contracts.errors import Transient
from contracts.events import FINAL, PipelineForked, PipelineSubmitted

_LIVES = "pipelines.*.pipeline.*"
_TIMEOUT_S = 30.0
_INFO = f"{subjects.API}.STREAM.INFO.{subjects.EVENTS_STREAM}"
"""For one page: the server walks over all its subjects (260,000 took 2 to 5 s on a busy machine)."""

_BEGUN = frozenset({PipelineSubmitted.TYPE, PipelineForked.TYPE})


async def open_pipelines(nc: Client) -> list[str]:
    """Ids of the pipelines without a final fact.

    The server answers with at most 100,000 subjects a page; a pipeline has two or a few more of this kind.

    Raises:
        Transient: the bus did not give the list.
        TimeoutError, nats.errors.Error: the bus did not answer.
    """
    begun: set[str] = set()
    ended: set[str] = set()
    offset, total = 0, 1
    while offset < total:
        request = json.dumps({"subjects_filter": _LIVES, "offset": offset}).encode()
        reply = await nc.request(_INFO, request, timeout=_TIMEOUT_S)
        answer = json.loads(reply.data)
        if "error" in answer:
            raise Transient(f"the bus does not list its subjects: {answer['error'].get('description')}")
        page = answer["state"].get("subjects") or {}
        for subject in page:
            _, pipeline, type_ = subject.split(".", 2)
            if type_ in FINAL:
                ended.add(pipeline)
            elif type_ in _BEGUN:
                begun.add(pipeline)
        total = answer.get("total", 0)
        offset += len(page) or total
    return sorted(begun - ended)
