"""Which engine does a task: the deterministic one, or a model. Pure."""

from __future__ import annotations

from contracts.errors import Permanent
from contracts.events import Engine
from infra.runtime.agent import Job, Model, Tools


def model_for(job: Job, tools: Tools, *, left: bool) -> Model | None:
    """The model that is to work on this task; ``None``: the deterministic engine's answer stands.

    Args:
        left: the deterministic engine has left something that a model could do (a gap, a repair without
            alternatives, no document). With the engine ``auto`` only then a model is asked.

    Raises:
        Permanent: the pipeline wants a model (`Engine.CLAUDE`), and this process has none.
    """
    engine = job.state.engine
    if engine is Engine.OFFLINE or (engine is Engine.AUTO and not left):
        return None
    if tools.model is None and engine is Engine.CLAUDE:
        raise Permanent(
            f"the engine `claude` was asked for, and {job.task.service} has no model: start it with"
            " ANTHROPIC_API_KEY, or submit with the engine `auto` or `offline`"
        )
    return tools.model
