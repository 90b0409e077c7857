"""Who decides what is answered: a script, which is a pure function of the request."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from tests.support.claude_server.messages import MessagesRequest
from tests.support.claude_server.replies import Answer


class ScriptError(Exception):
    """The script has no answer for a request. The server answers 400 and lists the request as refused."""


class Script(Protocol):
    def reply(self, request: MessagesRequest) -> Answer:
        """The answer; the same request gives the same.

        Raises:
            ScriptError: there is none.
        """


Step = Answer | Callable[[MessagesRequest], Answer]
Steps = Sequence[Step]
Source = Script | Callable[[MessagesRequest], Answer] | Steps | Mapping[str, "Source"]
"""What `script` makes a script of."""


@dataclass(frozen=True)
class InOrder:
    """The first request of a marker gets the first answer, the second the second, whatever they ask. A step may be
    a function of the request, like a whole script."""

    steps: Steps

    def reply(self, request: MessagesRequest) -> Answer:
        return _step(self.steps, request.arrival, request)


@dataclass(frozen=True)
class ByTurn:
    """The answer follows from how long the conversation is: asked again, the same turn is the same.

    After a compaction the conversation begins anew.

    ``before``: what the first attempts at a turn get instead, by the number of the turn.
    """

    steps: Steps
    before: Mapping[int, Steps]

    def reply(self, request: MessagesRequest) -> Answer:
        failing = self.before.get(request.turn, ())
        if request.attempt < len(failing):
            return _step(failing, request.attempt, request)
        return _step(self.steps, request.turn, request)


@dataclass(frozen=True)
class ByFunction:
    function: Callable[[MessagesRequest], Answer]

    def reply(self, request: MessagesRequest) -> Answer:
        return self.function(request)


@dataclass(frozen=True)
class ByMarker:
    """Agents that talk at the same time have scripts of their own: the longest beginning of the marker decides."""

    scripts: Mapping[str, Script]

    def reply(self, request: MessagesRequest) -> Answer:
        fitting = [marker for marker in self.scripts if request.marker.startswith(marker)]
        if not fitting:
            raise ScriptError(f"no script for {request.marker!r}; there are {sorted(self.scripts)}")
        return self.scripts[max(fitting, key=len)].reply(request)


def script(source: Source) -> Script:
    """A sequence is answered in order, a mapping by marker; a function decides by itself; a script is one."""
    if isinstance(source, Mapping):
        return ByMarker({marker: script(part) for marker, part in source.items()})
    if isinstance(source, Sequence):
        return InOrder(source)
    return source if hasattr(source, "reply") else ByFunction(source)


def by_turn(*steps: Step, before: Mapping[int, Steps] | None = None) -> ByTurn:
    return ByTurn(steps, before or {})


def seeing(words: str, step: Step) -> Step:
    """``step``, which follows from what the tools said last.

    Raises:
        ScriptError: they did not say ``words``.
    """

    def answer(request: MessagesRequest) -> Answer:
        told = "\n".join(request.results.values())
        if words not in told:
            raise ScriptError(
                f"{request.marker!r} was to see {words!r} before turn {request.turn + 1}, not: {told}"
            )
        return step(request) if callable(step) else step

    return answer


def _step(steps: Steps, number: int, request: MessagesRequest) -> Answer:
    if number >= len(steps):
        raise ScriptError(
            f"the script of {request.marker!r} has {len(steps)} answers, asked for number {number + 1}"
        )
    step = steps[number]
    return step(request) if callable(step) else step
