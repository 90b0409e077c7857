"""The shapes of the answers, as they are in the gateway's OpenAPI document."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pydantic import AwareDatetime, BaseModel

from contracts.catalogue import CatalogueEntry
from contracts.events import Approval
from contracts.pipeline import PipelineState, Task, outstanding
from contracts.queries import PipelineSummary, Recorded, StateAnswer
from contracts.turns import Account, Reply, Spent

Links = dict[str, str]


class Accepted(BaseModel):
    """The pipeline is in the log; what becomes of it is at the links."""

    pipeline_id: str
    status: str
    links: Links


class WaitingStep(BaseModel):
    """A task that no process works on: of which service, since when, and why."""

    service: str
    task: str
    since: AwareDatetime | None
    why: str


class PipelineAnswer(BaseModel):
    """``position`` facts so far; ``tasks`` is what should be running now, ``waiting`` what of it nobody works on,
    ``approval`` the request that a person has to answer, ``approval_about`` whether it is to *publish* or to spend
    more than ``budget_usd`` on model turns, of which ``spent_usd`` are spent. A fork shares the first ``forked_at``
    facts of ``parent``. Of an ``imported`` pipeline this is what was true elsewhere."""

    pipeline_id: str
    name: str
    status: str
    engine: str
    position: int
    submitted: AwareDatetime
    updated: AwareDatetime
    tasks: tuple[Task, ...]
    waiting: tuple[WaitingStep, ...]
    streams: int
    coverage: int | None
    score: int | None
    degraded: tuple[str, ...]
    unproven: tuple[str, ...]
    approval: str | None
    approval_about: Approval | None
    budget_usd: float
    spent_usd: float
    parent: str | None
    forked_at: int | None
    imported: bool
    cancel_requested: bool
    outcome: str | None
    version: str | None
    reason: str | None
    links: Links

    @classmethod
    def of(cls, answer: StateAnswer, *, waiting: tuple[WaitingStep, ...], account: Account) -> PipelineAnswer:
        state = answer.state
        return cls(
            pipeline_id=state.id,
            name=state.name,
            status=state.status_here,
            engine=state.engine,
            position=answer.position,
            submitted=answer.submitted,
            updated=answer.updated,
            tasks=() if state.imported else outstanding(state),
            waiting=waiting,
            streams=state.streams,
            coverage=state.coverage.percent if state.coverage else None,
            score=state.score,
            degraded=state.degraded,
            unproven=state.unproven,
            approval=state.approval,
            approval_about=state.approval_about,
            budget_usd=state.budget_usd,
            spent_usd=account.total.cost_usd,
            parent=state.parent,
            forked_at=state.forked_at,
            imported=state.imported,
            cancel_requested=state.cancel is not None,
            outcome=state.outcome,
            version=state.version,
            reason=state.reason,
            links=links(state.id, package=package_link(state)),
        )


class Costs(BaseModel):
    """What a pipeline spent on model turns, by agent and in ``total``; ``reserved_usd`` is kept back for turns that
    run, ``turns`` are those that it paid, oldest first. Of ``unpriced`` turns nobody knows the price: they are
    counted with the most that they can have cost."""

    pipeline_id: str
    name: str
    agents: dict[str, Spent]
    total: Spent
    reserved_usd: float
    budget_usd: float
    turns: tuple[Reply, ...]
    links: Links

    @classmethod
    def of(cls, state: PipelineState, account: Account, turns: Sequence[Reply]) -> Costs:
        return cls(
            pipeline_id=state.id,
            name=state.name,
            agents={service: account.spent[service] for service in sorted(account.spent)},
            total=account.total,
            reserved_usd=sum(account.reserved.values()),
            budget_usd=state.budget_usd,
            turns=tuple(turns),
            links=links(state.id, package=package_link(state)),
        )


class PipelineLine(BaseModel):
    """One line of the list."""

    pipeline: PipelineSummary
    links: Links


class PipelineList(BaseModel):
    """Newest first; ``next`` is the link of the following page."""

    pipelines: tuple[PipelineLine, ...]
    next: str | None


class Events(BaseModel):
    """Facts in order, each a CloudEvent. ``next`` is the link of the following page, ``position`` the last one."""

    events: tuple[Recorded, ...]
    position: int
    next: str | None


class StateAt(BaseModel):
    """The folded state after ``position`` facts."""

    pipeline_id: str
    position: int
    sequence: int
    time: AwareDatetime
    state: PipelineState


class ConnectorLine(BaseModel):
    """A connector, with its newest version."""

    name: str
    version: str
    outcome: str
    links: Links


class ConnectorList(BaseModel):
    connectors: tuple[ConnectorLine, ...]


class ConnectorAnswer(BaseModel):
    """All published versions, newest first, each with the links of its files."""

    name: str
    versions: tuple[dict[str, Any], ...]


def links(pipeline: str, *, package: str | None = None) -> Links:
    """Where to go from a pipeline; ``package`` is there once it is published."""
    base = f"/pipelines/{pipeline}"
    found = {
        "self": base,
        "events": f"{base}/events",
        "state": f"{base}/state",
        "live": f"{base}/live",
        "costs": f"{base}/costs",
        "cancel": f"{base}/cancel",
        "fork": f"{base}/fork",
        "export": f"{base}/export",
        "package": f"{base}/package",
    }
    return {**found, "connector": package} if package else found


def package_link(state: PipelineState) -> str | None:
    return f"/connectors/{state.name}" if state.version else None


def version_links(entry: CatalogueEntry) -> Links:
    base = f"/connectors/{entry.name}/{entry.version}"
    return {
        "wheel": f"{base}/{entry.wheel_file}",
        "sdist": f"{base}/{entry.sdist_file}",
        "report": f"{base}/report.json",
        "review": f"{base}/review.json",
        "pipeline": f"/pipelines/{entry.pipeline}",
    }
