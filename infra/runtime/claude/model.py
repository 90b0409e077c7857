"""What an agent gets to work with a model: `Tools.model`. The SDK is loaded when the first conversation begins."""

from __future__ import annotations

import asyncio
import importlib
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel

from infra.runtime.agent import Artifacts, Progress
from infra.runtime.claude.accounts import Accounts
from infra.runtime.claude.brief import Brief
from infra.runtime.claude.ledger import Turns
from infra.runtime.claude.settings import ClaudeSettings

T = TypeVar("T", bound=BaseModel)


@dataclass(frozen=True)
class ClaudeModel:
    """A model for one task: where its turns are kept, and whose money they cost.

    ``name`` is the model's id, ``limit_usd`` the pipeline's budget (None: none).
    """

    settings: ClaudeSettings
    key: str
    name: str
    pipeline: str
    task: str
    ledger: str
    service: str
    turns: Turns
    accounts: Accounts
    artifacts: Artifacts
    progress: Progress
    limit_usd: float | None

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
