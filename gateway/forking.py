"""Whether a pipeline may be forked where somebody asks, and what the fork begins with. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from contracts.envelope import Envelope
from contracts.events import Engine, PipelineForked
from contracts.lineage import MAX_GENERATIONS
from contracts.pipeline import PipelineState, fold
from contracts.policy import Policy
from gateway.problems import Problem, invalid
from gateway.submission import StrictPolicy


class ForkRequest(BaseModel):
    """The body of ``POST /pipelines/{id}/fork``. ``at``: how many facts are shared, 1..n. ``policy``: those fields
    of the pipeline's policy that the fork has otherwise. ``engine``: another one."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    at: int = Field(ge=1)
    policy: dict[str, Any] = {}
    engine: Engine | None = None


def fork_of(parent: str, facts: Sequence[Envelope], request: ForkRequest) -> tuple[PipelineForked, PipelineState]:
    """The first fact of a fork of ``parent``, which has these ``facts``, and the state that it starts from.

    Raises:
        Problem: 422: there is nothing to go on with there, or the policy is none.
        UnknownFact: one of the shared facts is newer than this code.
    """
    if request.at > len(facts):
        raise _bad("at", f"the pipeline has {len(facts)} facts, so there is no fork at {request.at}")
    then = fold(facts[: request.at])
    if then.status.final:
        before = f": fork at {request.at - 1} or before" if request.at > 1 else ""
        raise _bad("at", f"after {request.at} facts the pipeline had ended ({then.status}){before}")
    if then.generation + 1 >= MAX_GENERATIONS:
        raise _bad("at", f"forks of forks go {MAX_GENERATIONS} generations deep; fork one of its ancestors")
    policy = _changed(then.policy, request.policy) if request.policy else None
    return PipelineForked(parent=parent, at=request.at, engine=request.engine, policy=policy), then


def _changed(own: Policy, given: dict[str, Any]) -> Policy:
    try:
        policy = StrictPolicy.model_validate({**own.model_dump(), **given})
    except ValidationError as error:
        faults = [
            {"pointer": "/".join(["#", "policy", *map(str, fault["loc"])]), "detail": str(fault["msg"])}
            for fault in error.errors(include_url=False, include_input=False)
        ]
        detail = "; ".join(f"{fault['pointer']}: {fault['detail']}" for fault in faults)
        raise invalid("invalid-request", detail, faults) from None
    return Policy.model_validate(policy.model_dump())


def _bad(field: str, why: str) -> Problem:
    return invalid("invalid-request", why, [{"pointer": f"#/{field}", "detail": why}])
