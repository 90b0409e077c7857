"""`PipelineState` and `evolve`: the fold that turns a pipeline's facts into what is true now. Pure."""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

from contracts.artifacts import ArtifactRef
from contracts.base import Frozen
from contracts.events import Engine
from contracts.policy import Policy
from contracts.services import Service


class Status(StrEnum):
    RUNNING = "running"
    PAUSED = "paused"
    SUCCESS = "success"
    PARTIAL = "partial"
    FAILED = "failed"
    CANCELLED = "cancelled"


class Task(Frozen):
    """An open obligation: ``service`` owes an answer to the fact whose event id is ``id``.

    ``mode`` is the agent's mode where it has one; ``attempt`` counts from 1 over transient failures.
    """

    id: str
    service: Service
    mode: str | None = None
    attempt: int = 1


class PipelineState(Frozen):
    """What is true after ``position`` facts (1..n). All references are the newest ones."""

    id: str = ""
    position: int = 0
    status: Status = Status.RUNNING
    name: str = ""
    engine: Engine = Engine.AUTO
    policy: Policy = Policy()
    document: ArtifactRef | None = None
    spec_url: str | None = None
    tasks: tuple[Task, ...] = ()
    blueprint: ArtifactRef | None = None
    streams: int = 0
    code: ArtifactRef | None = None
    choices: dict[str, int] = {}
    degraded: tuple[str, ...] = ()
    fixtures: ArtifactRef | None = None
    tests: ArtifactRef | None = None
    test_report: ArtifactRef | None = None
    review_report: ArtifactRef | None = None
    feedback: ArtifactRef | None = None
    outcome: Literal["success", "partial"] | None = None
    version: str | None = None
    reason: str | None = None
