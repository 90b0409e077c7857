"""``python -m tests.support.tiny_agent FOLDER``: research as a process; answers when FOLDER/release is there.

If FOLDER/kill is there, its work kills the process, as running out of memory does; if FOLDER/block is there, it
blocks the event loop for as long.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from pathlib import Path

from contracts.artifacts import ArtifactRef
from contracts.events import Fact, ResearchCompleted
from contracts.services import Service
from infra.runtime.agent import Agent, Job, Tools
from infra.runtime.service import run_agent


async def run(job: Job, workspace: Path, tools: Tools) -> Fact:
    folder = Path(sys.argv[1])
    (folder / "started").write_text(str(job.task.id))
    if (folder / "kill").exists():
        os.kill(os.getpid(), signal.SIGKILL)
    while (folder / "block").exists():
        time.sleep(0.02)
    while not (folder / "release").exists():
        await asyncio.sleep(0.02)
    return ResearchCompleted(blueprint=ArtifactRef.of(b"{}", "application/json"), streams=1)


if __name__ == "__main__":
    run_agent(Agent(Service.RESEARCH, run))
