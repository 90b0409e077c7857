"""The root span of a pipeline: told when it ends, by the router whose word for it was stored."""

from __future__ import annotations

import logging

from contracts.envelope import Envelope
from contracts.lineage import forked
from contracts.pipeline import PipelineState, Status
from infra.runtime.log import EventLog
from infra.runtime.patience import TROUBLES
from infra.runtime.telemetry.context import root_span
from infra.runtime.telemetry.spans import Recorder

logger = logging.getLogger(__name__)


async def tell_whole(recorder: Recorder, log: EventLog, final: Envelope, state: PipelineState) -> None:
    """Begins with the pipeline's first own fact; a fork's has a link to the pipeline that it was forked from."""
    try:
        facts = [envelope for _, envelope in await log.history(state.id)]
    except TROUBLES as error:
        logger.debug("the whole of pipeline %s is not told: %r", state.id, error)
        return
    if not any(fact.id == final.id and fact.time == final.time for fact in facts):
        return  # another router said the same a moment before
    fork = forked(facts[0])
    recorder.whole(
        state.id,
        f"pipeline {state.name}",
        facts[0].time,
        {
            "connectors.pipeline.id": state.id,
            "connectors.pipeline.outcome": state.status.value,
            "connectors.connector.name": state.name,
            "connectors.engine": state.engine.value,
            "connectors.facts": state.position,
        },
        [(fork.parent, root_span(fork.parent))] if fork else [],
        "failed" if state.status is Status.FAILED else "",
    )
