"""What no agent could handle: the letters in the stream ``DEAD``, and another attempt at their tasks."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from pydantic import AwareDatetime, BaseModel, ValidationError

from contracts import subjects
from contracts.envelope import Envelope, event_id
from contracts.events import AgentFailed, Fact, PipelineRetryRequested
from contracts.pipeline import PipelineState, Status, fold, open_task
from contracts.services import Service
from gateway.forking import ForkRequest, fork_of
from gateway.problems import Problem, not_found
from gateway.writes import Writes, pipeline_for
from infra.runtime.bus import Bus
from infra.runtime.direct import Stored


class DeadLetter(BaseModel):
    """``id`` is its place in the stream of dead letters; ``sequence`` and ``subject`` are those of the message in
    the log that ``service`` gave up. ``task`` is the id of the task that it opened, if it can be read."""

    id: int
    service: str
    pipeline_id: str
    task: str | None
    cause: str
    time: AwareDatetime
    sequence: int
    subject: str


class DeadLetters(BaseModel):
    """Oldest first; ``next`` is the link of the following page."""

    letters: tuple[DeadLetter, ...]
    next: str | None


class Dead:
    """Reads the letters from the bus; asks for retries in the log."""

    def __init__(self, bus: Bus, writes: Writes) -> None:
        self._bus = bus
        self._writes = writes

    async def letters(self, after: int, limit: int) -> tuple[list[DeadLetter], bool]:
        """The letters after ``after``, and whether there are more.

        Raises:
            StreamUnavailable: the bus did not answer.
        """
        found, more = await self._bus.reader.page(subjects.DEAD_STREAM, subjects.ALL_DEAD, after + 1, limit=limit)
        return [_letter(message) for message in found], more

    async def retry(self, id: int) -> str:
        """Ask for another attempt at the task of a letter; asking again changes nothing.

        Returns:
            The pipeline in which it is tried: the letter's own while it is open; if that has failed, a fork of it
            that goes on from before the failure.

        Raises:
            Problem: 404: no such letter; 409: its pipeline has ended otherwise, or waits for nothing of this kind.
            StreamUnavailable: the bus did not answer.
        """
        letters, _ = await self.letters(id - 1, 1)
        if not letters or letters[0].id != id:
            raise not_found(f"there is no dead letter {id}")
        letter = letters[0]
        if letter.task is None:
            detail = "the message cannot be read, so nobody can be asked to handle it; see what wrote it"
            raise Problem(409, "unreadable", f"dead letter {id}: {detail}")
        facts = [fact for _, fact in await self._bus.log.whole_history(letter.pipeline_id)]

        before = _before_failure(letter, facts)
        if before and fold(facts).status is Status.FAILED:
            fork, _ = fork_of(letter.pipeline_id, facts, ForkRequest(at=before))
            pipeline = pipeline_for(f"dead letter {id} of {letter.pipeline_id}")
            await self._writes.begin(pipeline, fork)
            return pipeline

        def choose(state: PipelineState) -> tuple[str, Fact] | None:
            return _request(letter, state)

        await self._writes.say(letter.pipeline_id, choose)
        return letter.pipeline_id


def _request(letter: DeadLetter, state: PipelineState) -> tuple[str, Fact] | None:
    """Event id and fact that ask for the attempt; ``None``: it is asked for already.

    Raises:
        Problem: it would change nothing; the text says what would.
    """
    for failure in state.failures:
        if (failure.task.id, failure.task.service) == (letter.task, letter.service):
            if failure.retry_wanted:
                return None
            retry = event_id(state.id, f"retry/{failure.id}", Service.GATEWAY)
            return retry, PipelineRetryRequested(failure=failure.id)
    if state.status.final:
        raise Problem(409, "already-final", f"pipeline {state.id} has ended: {state.reason or state.status}")
    if open_task(state, letter.service, letter.task):
        raise Problem(409, "still-open", f"{letter.service} has not answered this task yet; wait for it")
    raise Problem(409, "nothing-to-retry", f"pipeline {state.id} does not wait for this task any more")


def _before_failure(letter: DeadLetter, facts: Sequence[Envelope]) -> int | None:
    """The position at which the task was still open."""
    for position, fact in enumerate(facts):
        if (fact.type, fact.causation, fact.source) == (AgentFailed.TYPE, letter.task, letter.service):
            return position
    return None


def _letter(message: Stored) -> DeadLetter:
    _, service, pipeline = message.subject.split(".", 2)
    headers = message.headers
    try:
        task = Envelope.decode(message.data).id
    except ValidationError:
        task = None
    return DeadLetter(
        id=message.sequence,
        service=service,
        pipeline_id=pipeline,
        task=task,
        cause=headers.get("Connectors-Cause", "nobody said why"),
        time=datetime.fromisoformat(headers["Nats-Time-Stamp"]),
        sequence=int(headers.get("Connectors-Sequence", "0")),
        subject=headers.get("Connectors-Subject", ""),
    )
