"""What every agent looks like: a job in, one fact out. No bus is needed to run one."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeVar

from pydantic import BaseModel

from contracts.artifacts import ArtifactRef, Tree
from contracts.events import Fact
from contracts.pipeline import PipelineState, Task
from contracts.services import Service

if TYPE_CHECKING:
    from infra.runtime.claude.brief import Brief

T = TypeVar("T", bound=BaseModel)

WARNING = "warning: "
"""What a progress message begins with that whoever watches should still see later."""


class Progress(Protocol):
    """Tells whoever watches what is being done right now; live, never part of the log."""

    async def __call__(self, message: str, *, done: int | None = None, total: int | None = None) -> None: ...


class Artifacts(Protocol):
    """Content-addressed storage: in memory, in a folder, or the bus's object store."""

    async def put(self, content: bytes, media_type: str) -> ArtifactRef: ...

    async def get(self, ref: ArtifactRef) -> bytes: ...

    async def put_tree(self, tree: Tree) -> ArtifactRef: ...

    async def get_tree(self, ref: ArtifactRef) -> dict[str, bytes]: ...


class Model(Protocol):
    """A language model, bound to one task: its turns are kept in the task's ledger and paid from its pipeline's
    budget."""

    async def converse(self, brief: Brief[T], workspace: Path) -> T:
        """Let it do what ``brief`` asks for; afterwards ``workspace`` holds the files as it left them.

        Raises:
            Permanent: the work cannot be done like this: refused, out of turns, loops, never valid, a wrong key.
            Transient: its server is not there, after many tries.
            BudgetReached: the next turn could cost more than is left.
        """


@dataclass(frozen=True)
class Job:
    """One task, with the state of its pipeline as folded when the work starts."""

    task: Task
    state: PipelineState


@dataclass(frozen=True)
class Tools:
    """What an agent may use besides its own folder; ``model`` where there is a key for one."""

    artifacts: Artifacts
    progress: Progress
    model: Model | None = None


Run = Callable[[Job, Path, Tools], Awaitable[Fact]]
"""``await run(job, workspace, tools)``: ``workspace`` is an empty folder of this attempt alone.

Raises `Transient`, `Permanent` or `Rejected`; the loop turns these into `agent.failed`.
"""


@dataclass(frozen=True)
class Agent:
    """A service's entry in the loop; ``models`` are those that it can ask, the first one by default."""

    service: Service
    run: Run
    models: tuple[str, ...] = ()
