"""Questions to the event store and their answers: request and reply on ``store.<name>``.

A request's payload is one of the ``*Query`` models as JSON; the reply is an `Answer`. Every answer stays below
the bus's payload limit of 1 MiB: longer ones come in pages. ``min_seq`` is the last sequence of the log that
the asker knows of: the store answers when its copy has reached it, or refuses with ``behind``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Generic, Literal, TypeVar

from pydantic import AwareDatetime, ConfigDict, Field

from contracts.base import Frozen, PipelineId, Sha256, Slug
from contracts.envelope import Envelope
from contracts.pipeline import PipelineState, Status, fold
from contracts.verification import Part

R = TypeVar("R")

MAX_PAGE_BYTES = 700_000
"""Facts of one page together; what is left up to 1 MiB is for the JSON around them."""

MAX_CHUNK_BYTES = 512 * 1024
"""Of an artifact in one answer (base64 makes it a third longer)."""


class Query(Frozen):
    """Base of all questions."""

    min_seq: int = Field(default=0, ge=0)


class Refusal(Frozen):
    """Why there is no result.

    ``not_found``: no such thing here. ``behind``: the copy did not reach ``min_seq`` in time, ask again.
    ``invalid``: the question is malformed. ``unreadable``: the pipeline holds facts newer than the store's code.
    ``unavailable``: the database did not answer.
    """

    kind: Literal["not_found", "behind", "invalid", "unreadable", "unavailable"]
    what: str


class Answer(Frozen, Generic[R]):
    """A result or the reason why there is none."""

    result: R | None = None
    refusal: Refusal | None = None


class Recorded(Frozen):
    """A fact with its place in the log (``sequence``) and in its pipeline (``position``, 1..n)."""

    sequence: int = Field(ge=1)
    position: int = Field(ge=1)
    event: Envelope


class HistoryQuery(Query):
    """The facts of ``pipeline`` after position ``after``, oldest first."""

    pipeline: PipelineId
    after: int = Field(default=0, ge=0)
    limit: int = Field(default=100, ge=1, le=1000)


class HistoryPage(Frozen):
    """``next`` is the ``after`` of the next page; ``None``: there is nothing more yet. ``position`` is the last
    one of the pipeline in the copy."""

    events: tuple[Recorded, ...]
    next: int | None = None
    position: int


class Place(Frozen):
    """In the histories of all pipelines: the facts of the one whose first fact is at sequence ``begun`` are read up
    to position ``after``, those of all that began before it completely."""

    begun: int = Field(default=0, ge=0)
    after: int = Field(default=0, ge=0)


class HistoriesQuery(Query, Place):
    """At most ``limit`` facts from there on, one pipeline after another in the order of their first facts."""

    limit: int = Field(default=1000, ge=1, le=2000)


class History(Frozen):
    """The next facts of ``pipeline`` (a fork's begin with those that it shares). ``unreadable`` says why there are
    none: the code of the store is too old for them."""

    pipeline: PipelineId
    facts: tuple[Recorded, ...]
    unreadable: str | None = None


class HistoriesPage(Frozen):
    """A history that is not complete goes on as the first of the page after ``next``; ``None``: that was all."""

    histories: tuple[History, ...]
    next: Place | None = None


class StateQuery(Query):
    """The state after ``at`` facts (1..n), or after all of them."""

    pipeline: PipelineId
    at: int | None = Field(default=None, ge=1)


class StateAnswer(Frozen):
    """``position`` and ``sequence`` are those of the last fact folded; ``updated`` is its time. ``submitted`` is
    when the pipeline's own first fact was said (of a fork: when it was forked), if that is among them."""

    state: PipelineState
    position: int
    sequence: int
    submitted: AwareDatetime
    updated: AwareDatetime

    @classmethod
    def of(cls, pipeline: str, events: Sequence[Envelope], sequence: int) -> StateAnswer:
        """After ``events``, the first facts of ``pipeline``, the last of which is at ``sequence``.

        Raises:
            UnknownFact: one of them is of a newer version than this code can read.
        """
        own = (event.time for event in events if event.pipeline == pipeline)
        return cls(
            state=fold(events),
            position=len(events),
            sequence=sequence,
            submitted=next(own, events[0].time),
            updated=events[-1].time,
        )


class PipelinesQuery(Query):
    """Pipelines, newest first. ``before`` is the ``next`` of the previous page."""

    status: Status | None = None
    name: Slug | None = None
    before: int | None = Field(default=None, ge=1)
    limit: int = Field(default=50, ge=1, le=200)


class PipelineSummary(Frozen):
    """One line of a list. ``readable`` false: it holds facts newer than the store's code; the rest is what was
    known before them."""

    id: PipelineId
    name: str
    status: Status
    engine: str
    position: int
    submitted: AwareDatetime
    updated: AwareDatetime
    degraded: tuple[str, ...] = ()
    outcome: str | None = None
    version: str | None = None
    reason: str | None = None
    readable: bool = True


class PipelinesPage(Frozen):
    pipelines: tuple[PipelineSummary, ...]
    next: int | None = None


class ArtifactQuery(Query):
    """``MAX_CHUNK_BYTES`` of an artifact from ``offset`` (bytes)."""

    sha256: Sha256
    offset: int = Field(default=0, ge=0)


class ArtifactChunk(Frozen):
    """``size`` is that of the whole artifact; ``content`` is base64 in JSON."""

    model_config = ConfigDict(ser_json_bytes="base64", val_json_bytes="base64")

    media_type: str
    size: int
    content: bytes


class CountsQuery(Query):
    """How much there is."""


class MissingArtifact(Frozen):
    """Named by the fact at ``sequence``, but not found in the object store."""

    sha256: Sha256
    sequence: int


class Counts(Frozen):
    """``missing`` artifacts are being looked for; ``problem`` says why the copy does not go on, if it does not.
    ``ledgers``: how far the streams beside the log are copied, the last sequence of each."""

    facts: int
    last_sequence: int
    artifacts: int
    pipelines: dict[Status, int]
    missing: tuple[MissingArtifact, ...] = ()
    problem: str | None = None
    ledgers: dict[str, int] = {}


class VerifyQuery(Query):
    """Compare ``part`` of the log with its copy from ``after`` on (the ``next`` of the page before), for about a
    second. The answer is a `contracts.verification.VerifyPage`."""

    part: Part
    after: str = Field(default="", pattern=r"^[0-9a-f]{0,64}$")


QUERIES: dict[str, type[Query]] = {
    "history": HistoryQuery,
    "histories": HistoriesQuery,
    "state": StateQuery,
    "pipelines": PipelinesQuery,
    "artifact": ArtifactQuery,
    "counts": CountsQuery,
    "verify": VerifyQuery,
}
"""Name of a question (`contracts.subjects.query`) -> its model."""


class StoreReady(Frozen):
    """The event store's answer to `subjects.STORE_READY`: what is wrong with its database or its copy, if so."""

    problem: str | None = None


class Capability(Frozen):
    """An agent's answer to `subjects.CAPABILITIES`. Who has no model does not answer."""

    service: str
    models: tuple[str, ...] = Field(min_length=1)


class Presence(Frozen):
    """An agent's answer to `subjects.PRESENCE`: the ids of the tasks that this process works on right now."""

    service: str
    tasks: tuple[str, ...]
