"""``python -m tests.chaos.agents``: an agent's process, in the real loop, that says what `plays` tells it to say.

Which service it is says the name that it has on the bus. When it begins a task, it writes so into
``<data>/journal/SERVICE.jsonl``; a kill loses no line.
"""

from __future__ import annotations

import asyncio
import json
from dataclasses import asdict, dataclass
from pathlib import Path

from contracts import events as e
from contracts.services import Service
from infra.runtime import clock
from infra.runtime.agent import Agent, Job, Tools
from infra.runtime.service import run_agent
from infra.runtime.settings import BusSettings
from tests.chaos.plays import Play, answer, work_s
from tests.support.scripted import CONTENTS, MEDIA_TYPE

UNTIL_CANCELLED_S = 3600


@dataclass(frozen=True)
class Begun:
    """One line of a journal; ``time`` is in seconds since 1970."""

    service: str
    pipeline: str
    task: str
    time: float


def journal(data: Path) -> Path:
    return data / "journal"


def read_journals(data: Path) -> list[Begun]:
    """Of all agents, in the order of time."""
    lines = [line for file in journal(data).glob("*.jsonl") for line in file.read_text().splitlines()]
    return sorted((Begun(**json.loads(line)) for line in lines), key=lambda begun: begun.time)


def agent(service: Service, data: Path) -> Agent:
    journal(data).mkdir(parents=True, exist_ok=True)
    file = (journal(data) / f"{service}.jsonl").open("a", buffering=1)

    async def run(job: Job, workspace: Path, tools: Tools) -> e.Fact:
        begun = Begun(service.value, job.state.id, job.task.id, clock.epoch_s())
        file.write(json.dumps(asdict(begun)) + "\n")
        if Play.of(job.state.name).cancelled_at is service:
            await asyncio.sleep(UNTIL_CANCELLED_S)
        await asyncio.sleep(work_s(job.state, job.task))
        CONTENTS.clear()
        fact = answer(job.state, job.task)
        for content in list(CONTENTS.values()):
            await tools.artifacts.put(content, MEDIA_TYPE)
        return fact

    return Agent(service, run)


if __name__ == "__main__":
    settings = BusSettings()
    run_agent(agent(Service(settings.nats_user or ""), settings.data_dir), settings)
