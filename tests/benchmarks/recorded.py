"""Recorded pipelines to measure with: decided by the real `decide`, made as needed, never all in memory."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from contracts import events as e
from contracts.envelope import Envelope, event_id
from contracts.policy import Policy
from contracts.services import Service
from services.event_store.database.folded import Message
from tests.support import scripted as s
from tests.support.facts import pipeline_id, subject
from tests.support.lives import lived, scripted
from tests.support.log import Log

KINDS = 200
"""Different lives; further pipelines are these again, under other ids."""

BATCH = 512
"""As the event store's reader takes them."""

_SIDE_BY_SIDE = 16


def lives(pipelines: int) -> Iterator[list[Envelope]]:
    """The facts of so many pipelines: some plain, some repaired, some failed."""
    kinds = [lived(Policy(), seed).facts for seed in range(KINDS)]
    for number in range(pipelines):
        pipeline = pipeline_id(number + 1)
        yield [_moved(fact, pipeline) for fact in kinds[number % KINDS]]


def _moved(fact: Envelope, pipeline: str) -> Envelope:
    """Ids stay what they are: within a pipeline they fit together, and no rule compares them across pipelines."""
    return fact.changed({"subject": pipeline})


def interleaved(pipelines: int) -> Iterator[Envelope]:
    """The facts as they come in: some pipelines side by side."""
    source = lives(pipelines)
    running = [iter(life) for life in islice(source, _SIDE_BY_SIDE)]
    while running:
        for life in list(running):
            fact = next(life, None)
            if fact is not None:
                yield fact
                continue
            running.remove(life)
            if (following := next(source, None)) is not None:
                running.append(iter(following))


def messages(facts: Iterator[Envelope]) -> Iterator[list[tuple[int, str, bytes]]]:
    """Sequence, subject and payload, in batches as they come from the stream."""
    batch: list[tuple[int, str, bytes]] = []
    for sequence, fact in enumerate(facts, start=1):
        batch.append((sequence, subject(fact), fact.encode()))
        if len(batch) == BATCH:
            yield batch
            batch = []
    if batch:
        yield batch


def decoded(batch: list[tuple[int, str, bytes]]) -> list[Message]:
    return [Message.decode(*message) for message in batch]


def long_life(facts: int, pipeline: str = pipeline_id(1)) -> list[Envelope]:
    """One pipeline of so many facts: paused and resumed again and again, while old answers come in late."""
    donor = scripted(s.bad_code(7), s.good(), pipeline=pipeline)
    late = [fact for fact in donor.facts if fact.source != Service.ROUTER][1:]
    log = Log(pipeline)
    log.say(Service.GATEWAY, e.PipelineSubmitted(name="long"))
    while len(log.facts) < facts:
        for command in (e.PipelinePauseRequested(), e.PipelineResumeRequested()):
            log.say(Service.GATEWAY, command)
            log.route()
        for fact in late:
            log.put(fact.changed({"id": event_id(pipeline, f"late {len(log.facts)}", fact.source)}))
    return log.facts[:facts]


def peak_mib(pid: int | str = "self") -> float:
    """The greatest resident size so far of a process that runs."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024
