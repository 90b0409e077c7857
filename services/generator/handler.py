"""`research.completed` or `generation.requested` -> `connector.generated`."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from contracts.errors import Permanent
from contracts.events import ConnectorGenerated, Fact, GeneratorMode
from contracts.services import Service
from infra.runtime.agent import Agent, Job, Tools
from infra.runtime.isolated import run_isolated
from services.generator.settings import Settings
from services.generator.work import generate


def agent(settings: Settings) -> Agent:
    return Agent(Service.GENERATOR, partial(_run, settings))


async def run(job: Job, workspace: Path, tools: Tools) -> Fact:
    """Generate with the settings of the environment."""
    return await _run(Settings(), job, workspace, tools)


async def _run(settings: Settings, job: Job, workspace: Path, tools: Tools) -> Fact:
    state = job.state
    if state.blueprint is None:
        raise Permanent("there is nothing to generate from: the pipeline has no blueprint yet")
    mode = GeneratorMode(job.task.mode or GeneratorMode.GENERATE)
    feedback = job.task.feedback or state.feedback
    await tools.progress(f"{mode}: compiling")
    made = await run_isolated(
        generate,
        await tools.artifacts.get(state.blueprint),
        mode.value,
        dict(state.choices),
        tuple(state.degraded),
        await tools.artifacts.get(feedback) if feedback else None,
        timeout_s=settings.compile_timeout_s,
        memory_bytes=settings.compile_memory_bytes,
    )
    for step in made["steps"][:20]:
        await tools.progress(step)
    return ConnectorGenerated(
        mode=mode,
        code=await tools.artifacts.put_tree(made["tree"]),
        choices=made["choices"],
        degraded=tuple(made["degraded"]),
    )
