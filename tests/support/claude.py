"""A model over a scripted server, as an agent gets it, without a bus: ledger, account and artifacts in memory."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, SecretStr

from contracts.pipeline import PipelineState, Task
from contracts.policy import Policy
from contracts.services import Service
from infra.runtime.agent import Agent, Job, Tools
from infra.runtime.artifacts import MemoryArtifacts
from infra.runtime.claude.accounts import Accounts, MemoryAccounts
from infra.runtime.claude.brief import Brief
from infra.runtime.claude.ledger import MemoryTurns, Turns
from infra.runtime.claude.model import ClaudeModel
from infra.runtime.claude.settings import ClaudeSettings
from tests.support.claude_server import KEY, ClaudeServer

PIPELINE = "0" * 32
LEDGER = "ledger-1"

T = TypeVar("T", bound=BaseModel)


class Done(BaseModel):
    """The outcome of most scripts."""

    summary: str
    files: int = 0


async def _no_agent(job: Job, workspace: Path, tools: Tools) -> None:
    raise AssertionError("no agent is run here")


@dataclass
class Desk:
    """What outlives a worker: everything that is kept, and the server."""

    server: ClaudeServer
    turns: Turns = field(default_factory=MemoryTurns)
    accounts: Accounts = field(default_factory=MemoryAccounts)
    artifacts: MemoryArtifacts = field(default_factory=MemoryArtifacts)
    budget_usd: float = 20.0
    told: list[str] = field(default_factory=list)
    settings: dict[str, object] = field(default_factory=dict)

    def model(
        self, name: str = "claude-opus-5", *, service: Service = Service.GENERATOR, ledger: str = LEDGER
    ) -> ClaudeModel:
        """A worker's, new each time."""
        state = PipelineState(id=PIPELINE, policy=Policy(budget_usd=self.budget_usd))
        job = Job(Task(id="task-1", ledger=ledger, service=service), state)
        settings = ClaudeSettings(
            api_key=SecretStr(KEY), base_url=self.server.url, **{"claude_retries": 2, **self.settings}
        )
        agent = Agent(service, _no_agent, models=(name,))  # type: ignore[arg-type]
        return ClaudeModel(settings, name, agent, job, self.turns, self.accounts, self.artifacts, self._tell)

    async def _tell(self, message: str, *, done: int | None = None, total: int | None = None) -> None:
        self.told.append(message)


def brief(**changes: object) -> Brief[Done]:
    """A brief with all of the workspace's tools."""
    whole = Brief(
        system="test agent\nDo what is asked.",
        task="Write the files.",
        outcome=Done,
        tools=("read", "write", "edit", "glob", "grep", "bash"),
    )
    return replace(whole, **changes)  # type: ignore[arg-type]
