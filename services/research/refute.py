"""Second research: options that the tests refuted go to the end of their ranking. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from contracts.blueprint import STREAM_OPTIONS, ApiBlueprint, Choices, Decision, Stream, option_key
from contracts.events import Verdict
from contracts.reports import Feedback, FeedbackList
from services.research.openapi.ranking import decision


def refuted(
    blueprint: ApiBlueprint, feedback: FeedbackList, previous: ApiBlueprint, choices: Choices
) -> ApiBlueprint:
    """``blueprint`` with what was tried in ``previous`` (under ``choices``) and failed put last.

    An option counts as tried up to the rank that was chosen. One that was never changed from the best counts only
    for the first suspect of a failure, because the others are suspected less.
    """
    failing = [item for item in feedback.items if item.verdict is not Verdict.INVALID and item.stream]
    old = {stream.name: stream for stream in previous.streams}
    streams = tuple(
        _demoted(stream, old[stream.name], [item for item in failing if item.stream == stream.name], choices)
        if stream.name in old
        else stream
        for stream in blueprint.streams
    )
    return blueprint.model_copy(update={"streams": streams})


def _demoted(stream: Stream, old: Stream, items: Iterable[Feedback], choices: Choices) -> Stream:
    updates: dict[str, Any] = {}
    for item in items:
        for place, suspect in enumerate(item.suspects):
            rank = choices.get(option_key(stream.name, suspect), 0)
            if suspect not in STREAM_OPTIONS or (rank == 0 and place > 0):
                continue
            tried = [option.value for option in getattr(old, suspect).options[: rank + 1]]
            updates[suspect] = _last(getattr(stream, suspect), tried)
    return stream.model_copy(update=updates)


def _last(current: Decision[Any], tried: list[Any]) -> Decision[Any]:
    """The decision with the options in ``tried`` moved to the end, in their order."""
    fresh = [option for option in current.options if option.value not in tried]
    stale = [option for option in current.options if option.value in tried]
    if not fresh:
        return current
    ceiling = min(option.confidence for option in fresh)
    lowered = [option.model_copy(update={"confidence": min(option.confidence, ceiling)}) for option in stale]
    return decision([*fresh, *lowered])
