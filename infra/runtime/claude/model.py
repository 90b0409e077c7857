"""What an agent gets to work with a model: `Tools.model`. The SDK is loaded when the first conversation begins."""

from __future__ import annotations

import asyncio
import importlib
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel

from infra.runtime.agent import Agent, Artifacts, Job, Progress
from infra.runtime.bus import Bus
from infra.runtime.claude.accounts import Accounts, BusAccounts, FolderAccounts
from infra.runtime.claude.brief import Brief
from infra.runtime.claude.ledger import BusTurns, FolderTurns, Turns
from infra.runtime.claude.settings import ClaudeSettings
from infra.runtime.health import Health

T = TypeVar("T", bound=BaseModel)


@dataclass(frozen=True)
class ClaudeModel:
    """A model for one task: where its turns are kept, and what pays for them. ``name`` is its id."""

    settings: ClaudeSettings
    name: str
    agent: Agent
    job: Job
    turns: Turns
    accounts: Accounts
    artifacts: Artifacts
    progress: Progress

    async def converse(self, brief: Brief[T], workspace: Path) -> T:
        """Let the model do what ``brief`` asks for, in ``workspace``; afterwards its files are there as the model
        left them, also where all of it was answered from the ledger.

        Raises:
            Permanent: the work cannot be done like this: refused, out of turns, loops, never valid, a wrong key.
            Transient: the API or the bus is not there, after many tries.
            BudgetReached: the next turn could cost more than is left of the pipeline's budget.
        """
        # half a second of imports, off the event loop: heartbeats go on meanwhile
        session = await asyncio.to_thread(importlib.import_module, "infra.runtime.claude.session")
        outcome: T = await session.converse(self, brief, workspace)
        return outcome


@dataclass(frozen=True)
class Models:
    """Gives each task of ``agent`` its model: the first that the agent announces."""

    agent: Agent

    def on_bus(self, bus: Bus, health: Health, job: Job, artifacts: Artifacts, progress: Progress) -> ClaudeModel:
        """With ledger and account in the stream of turns."""
        accounts = BusAccounts(bus, health, job.state.id)
        return self._bound(job, BusTurns(bus, health), accounts, artifacts, progress)

    def in_folder(self, root: Path, job: Job, artifacts: Artifacts, progress: Progress) -> ClaudeModel:
        """With ledger and account below ``root``."""
        accounts = FolderAccounts(root / "accounts" / f"{job.state.id}.json")
        return self._bound(job, FolderTurns(root / "turns"), accounts, artifacts, progress)

    def _bound(
        self, job: Job, turns: Turns, accounts: Accounts, artifacts: Artifacts, progress: Progress
    ) -> ClaudeModel:
        name, settings = self.agent.models[0], ClaudeSettings()
        return ClaudeModel(settings, name, self.agent, job, turns, accounts, artifacts, progress)
