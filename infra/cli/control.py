"""`connectors pause`, `resume`, `cancel`, `approve`, `deny` and `fork`: what a person may ask of a pipeline."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from rich.console import Console
from rich.markup import escape

from contracts.errors import Rejected
from contracts.events import Approval, Engine
from contracts.pipeline import Status
from infra.cli.generate import watch
from infra.cli.reach import reach

Command = Literal["pause", "resume", "cancel"]
Decision = Literal["granted", "denied"]


@dataclass(frozen=True)
class Options:
    """Which stack is asked."""

    url: str | None
    data: Path


_WILL: dict[Command, str] = {
    "pause": "is asked to pause: work that runs goes on to its end, nothing new is begun",
    "resume": "is asked to go on",
    "cancel": "is asked to end: work that runs is stopped",
}


_SAID: dict[Approval, dict[Decision, str]] = {
    "publish": {"granted": "is published", "denied": "is not published: the pipeline ends"},
    "budget": {
        "granted": "may spend its budget for model turns once more",
        "denied": "may spend no more on model turns: the pipeline ends",
    },
}


async def command(wanted: Command, pipeline: str, options: Options, out: Console) -> int:
    """Ask it of the pipeline; asking again changes nothing.

    Raises:
        Rejected: there is no such pipeline, or it has ended.
    """
    async with reach(options.url, options.data) as gateway:
        await gateway.post(f"/pipelines/{pipeline}/{wanted}")
    out.print(f"pipeline {pipeline} {_WILL[wanted]}", soft_wrap=True)
    return 0


async def answer(decision: Decision, pipeline: str, by: str, reason: str, options: Options, out: Console) -> int:
    """Answer the pipeline's open request to publish or to spend more, which is named in the answer.

    Raises:
        Rejected: there is no such pipeline, or it waits for no approval.
    """
    async with reach(options.url, options.data) as gateway:
        now = await gateway.ask(f"/pipelines/{pipeline}")
        if now["approval"] is None:
            raise Rejected(f"it waits for no approval; it is {now['status']}", where=f"pipeline {pipeline}")
        body = {"request": now["approval"], "decision": decision, "by": by, "reason": reason}
        await gateway.post(f"/pipelines/{pipeline}/approval", body)
    out.print(f"source-{now['name']} {_SAID[now['approval_about']][decision]}", soft_wrap=True)
    return 0


async def fork(
    pipeline: str, at: int, policy: Path | None, engine: Engine | None, options: Options, out: Console
) -> int:
    """Fork the pipeline after ``at`` facts and watch the fork; 0 when something was published.

    Raises:
        Rejected: there is no such pipeline, or no going on from there.
    """
    body: dict[str, Any] = {"at": at}
    if policy is not None:
        from infra.cli.policy_file import read_policy

        body["policy"] = read_policy(policy)
    if engine is not None:
        body["engine"] = engine
    async with reach(options.url, options.data) as gateway:
        begun = await gateway.post(f"/pipelines/{pipeline}/fork", body)
        out.print(f"[bold]pipeline {escape(begun['pipeline_id'])}[/] shares {at} facts", soft_wrap=True)
        state = await watch(gateway, begun["links"]["live"], out)
    return 0 if state.status in (Status.SUCCESS, Status.PARTIAL) else 1
