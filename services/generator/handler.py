"""`research.completed` or `generation.requested` -> `connector.generated`."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from contracts.errors import Permanent
from contracts.events import ConnectorGenerated, Fact, GeneratorMode
from contracts.services import Service
from infra.runtime.agent import Agent, Job, Tools
from infra.runtime.claude.announce import announced_models
from infra.runtime.claude.engine import model_for
from infra.runtime.isolated import run_isolated
from services.generator.settings import Settings
from services.generator.work import generate

_EDITED = (
    "a model wrote some of this connector's code, and a repair without a model would compile it anew and lose that:"
    " start the generator with ANTHROPIC_API_KEY and retry, with the engine `auto` or `claude`"
)


def agent(settings: Settings) -> Agent:
    return Agent(Service.GENERATOR, partial(_run, settings), models=announced_models(Service.GENERATOR))


async def run(job: Job, workspace: Path, tools: Tools) -> Fact:
    """Generate with the settings of the environment."""
    return await _run(Settings(), job, workspace, tools)


async def _run(settings: Settings, job: Job, workspace: Path, tools: Tools) -> Fact:
    state = job.state
    if state.blueprint is None:
        raise Permanent("there is nothing to generate from: the pipeline has no blueprint yet")
    mode = GeneratorMode(job.task.mode or GeneratorMode.GENERATE)
    feedback = job.task.feedback or state.feedback
    given = (
        await tools.artifacts.get(state.blueprint),
        await tools.artifacts.get(feedback) if feedback else None,
    )
    await tools.progress(f"{mode}: compiling")
    made = await run_isolated(
        generate,
        given[0],
        mode.value,
        dict(state.choices),
        tuple(state.degraded),
        given[1],
        timeout_s=settings.compile_timeout_s,
        memory_bytes=settings.compile_memory_bytes,
    )
    edited = state.code_by_model and mode is not GeneratorMode.GENERATE
    model = model_for(job, tools, left=edited or bool(made["left"]))
    if model is not None:
        from services.generator import claude  # where no model works nothing of it is loaded

        fact = await claude.work(model, job, made, given, settings, workspace, tools)
        if fact is not None:
            return fact
    elif edited:
        raise Permanent(_EDITED)
    return await _compiled(mode, made, tools)


async def _compiled(mode: GeneratorMode, made: dict[str, Any], tools: Tools) -> Fact:
    """The deterministic engine's answer."""
    if made["hopeless"]:
        raise Permanent(made["hopeless"])
    for step in made["steps"][:20]:
        await tools.progress(step)
    return ConnectorGenerated(
        mode=mode,
        code=await tools.artifacts.put_tree(made["tree"]),
        choices=made["choices"],
        degraded=tuple(made["degraded"]),
    )
