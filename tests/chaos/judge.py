"""What a chaos run did to its pipelines: pure, over what was read afterwards."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from contracts.artifacts import ArtifactRef, references
from contracts.envelope import Envelope
from contracts.events import AgentFailed
from contracts.pipeline import PipelineState, fold
from contracts.services import AGENTS
from tests.chaos.agents import Begun
from tests.chaos.plays import Ending, Play, undisturbed

STRIKES = 3
"""A task that was begun so often, and never answered, may be given up."""

GRACE = timedelta(seconds=2)
"""Between the moment an agent saw its task open and the one it says that it begins."""


@dataclass(frozen=True)
class Message:
    """One message of the log; ``time`` is when the bus stored it."""

    sequence: int
    subject: str
    payload: bytes
    time: datetime


@dataclass(frozen=True)
class Seen:
    """All that is left of a run: the stream, and what the event store has and says.

    ``rows`` are (sequence, subject, payload) of the SQL copy, ``states`` what the gateway answered for each
    pipeline, ``artifacts`` hash -> content in the copy.
    """

    accepted: Mapping[str, Play]
    stream: Sequence[Message]
    rows: Sequence[tuple[int, str, bytes]]
    states: Mapping[str, PipelineState]
    artifacts: Mapping[str, bytes]
    begun: Sequence[Begun]


@dataclass(frozen=True)
class Verdict:
    """Lines to read, one a finding. ``given_up`` are pipelines that failed because the blows hit one of their tasks
    `STRIKES` times: as it should be, and no finding."""

    lost: tuple[str, ...]
    duplicated: tuple[str, ...]
    divergent: tuple[str, ...]
    given_up: tuple[str, ...] = ()

    @property
    def clean(self) -> bool:
        return not (self.lost or self.duplicated or self.divergent)


def judge(seen: Seen) -> Verdict:
    """The three questions: is anything lost, is anything there twice, do the copies differ?"""
    pipelines = histories(seen.stream)
    given_up = {id for id, facts in pipelines.items() if _was_struck_out(facts, seen.begun)}
    return Verdict(
        lost=tuple(_lost(seen.accepted, pipelines, given_up)),
        duplicated=(*_twice(pipelines), *_done_again(seen.stream, seen.begun)),
        divergent=(
            *_copies_differ(seen),
            *_states_differ(pipelines, seen.states),
            *_hollow(pipelines, seen.artifacts),
        ),
        given_up=tuple(sorted(given_up)),
    )


def histories(stream: Iterable[Message]) -> dict[str, list[Envelope]]:
    """The facts of each pipeline, in the order of the log."""
    found: dict[str, list[Envelope]] = {}
    for message in stream:
        fact = Envelope.decode(message.payload)
        found.setdefault(fact.pipeline, []).append(fact)
    return found


# --- lost -------------------------------------------------------------------------------------------


def _lost(
    accepted: Mapping[str, Play], pipelines: Mapping[str, Sequence[Envelope]], given_up: set[str]
) -> Iterator[str]:
    """What was accepted and did not end, or not as the same pipeline does undisturbed."""
    for pipeline, play in accepted.items():
        facts = pipelines.get(pipeline, ())
        if not fold(facts).status.final:
            last = [fact.type for fact in facts][-3:]
            yield f"{play.name} ({pipeline}) did not end; its last facts: {', '.join(last) or 'none'}"
        elif pipeline not in given_up:
            ended, wanted = Ending.of(facts), undisturbed(play)
            if ended != wanted:
                yield f"{play.name} ({pipeline}) ended otherwise: {_difference(ended, wanted)}"


def _difference(ended: Ending, wanted: Ending) -> str:
    pairs = ((name, getattr(ended, name), getattr(wanted, name)) for name in vars(wanted))
    return "; ".join(f"{name} is {one}, undisturbed {other}" for name, one, other in pairs if one != other)


def _was_struck_out(facts: Sequence[Envelope], begun: Sequence[Begun]) -> bool:
    attempts = Counter(one.task for one in begun)
    told = (fact for fact in facts if fact.type == AgentFailed.TYPE)
    return any("never answered" in fact.data["what"] and attempts[fact.causation or ""] >= STRIKES for fact in told)


# --- duplicated -------------------------------------------------------------------------------------


def _twice(pipelines: Mapping[str, Sequence[Envelope]]) -> Iterator[str]:
    """Facts and answers that are in the log more than once."""
    for pipeline, facts in pipelines.items():
        for id, count in Counter(fact.id for fact in facts).items():
            if count > 1:
                yield f"the fact {id} of {pipeline} is in the log {count} times"
        answers = Counter((fact.source, fact.causation) for fact in facts if fact.source in AGENTS)
        for (service, task), count in answers.items():
            if count > 1:
                yield f"{service} answered task {task} of {pipeline} {count} times"


def _done_again(stream: Iterable[Message], begun: Iterable[Begun]) -> Iterator[str]:
    """Work that was begun although the log had its answer already."""
    answered: dict[tuple[str, str | None], float] = {}
    for message in stream:
        fact = Envelope.decode(message.payload)
        if fact.source in AGENTS:
            answered[fact.source, fact.causation] = (message.time + GRACE).timestamp()
    for one in begun:
        if one.time > answered.get((one.service, one.task), one.time):
            yield f"{one.service} began task {one.task} of {one.pipeline} although it had answered it"


# --- divergent --------------------------------------------------------------------------------------


def _copies_differ(seen: Seen) -> Iterator[str]:
    """Where the SQL copy is not the stream, fact by fact."""
    stream = {message.sequence: (message.subject, message.payload) for message in seen.stream}
    rows = {sequence: (subject, payload) for sequence, subject, payload in seen.rows}
    for sequence in sorted(stream.keys() | rows.keys()):
        if stream.get(sequence) != rows.get(sequence):
            where = "the copy lacks" if sequence not in rows else "only the copy has"
            where = "stream and copy differ in" if sequence in rows and sequence in stream else where
            yield f"{where} sequence {sequence}"


def _states_differ(
    pipelines: Mapping[str, Sequence[Envelope]], states: Mapping[str, PipelineState]
) -> Iterator[str]:
    """Where the event store's state is not the fold of the log."""
    for pipeline, facts in pipelines.items():
        if states.get(pipeline) != fold(facts):
            yield f"the event store's state of {pipeline} is not the fold of its facts"


def _hollow(pipelines: Mapping[str, Sequence[Envelope]], artifacts: Mapping[str, bytes]) -> Iterator[str]:
    """Artifacts that a fact names and the copy does not hold as they were."""
    for pipeline, facts in pipelines.items():
        for ref in (ref for fact in facts for ref in references(fact.data)):
            if not _is_content(artifacts.get(ref.sha256), ref):
                yield f"the copy does not hold the artifact {ref.sha256} that {pipeline} names"


def _is_content(content: bytes | None, ref: ArtifactRef) -> bool:
    return content is not None and len(content) == ref.size and hashlib.sha256(content).hexdigest() == ref.sha256
