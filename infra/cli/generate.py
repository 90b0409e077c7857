"""`connectors generate`: submit, watch, tell where the package is."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

from rich.console import Console

from contracts.errors import ConnectorsError, Rejected
from contracts.pipeline import PipelineState
from infra.cli.client import Gateway
from infra.cli.watch import Board
from infra.runtime.stack import StackConfig, running_stack

LOOK_EVERY_S = 5.0


@contextlib.asynccontextmanager
async def gateway(url: str | None, config: StackConfig, console: Console) -> AsyncIterator[Gateway]:
    """A client of the stack at ``url`` or, if none answers there, of one that is started for the while."""
    running = Gateway(url or f"http://{config.host}:{config.port}")
    async with running:
        if await running.answers():
            yield running
            return
        if url is not None:
            raise Rejected("no stack answers there; start one with `connectors up`", where=url)
    console.print("[dim]no stack is running: starting one for the while[/]")
    async with running_stack(StackConfig(config.data, config.output, port=0)) as stack, Gateway(stack.url) as own:
        yield own


async def watch(client: Gateway, live: str, console: Console) -> PipelineState:
    """Show a pipeline until its final fact; returns its last state."""
    with Board(console) as board:
        looking = asyncio.create_task(_look_for_waiting(client, live.removesuffix("/live"), board))
        try:
            async for message in client.follow(live):
                if message.fact is not None:
                    board.fact(message.fact)
                else:
                    board.progress(message.service, message.progress)
        finally:
            looking.cancel()
    return board.state


async def _look_for_waiting(client: Gateway, pipeline: str, board: Board) -> None:
    """Now and then: which steps does nobody work on? What is found twice was not just about to be taken."""
    before: set[str] = set()
    while True:
        await asyncio.sleep(LOOK_EVERY_S)
        try:
            found = await client.ask(pipeline)
        except ConnectorsError:
            continue  # who follows the pipeline tells if the gateway stays away
        steps = {step["task"] + step["service"]: step for step in found.get("waiting", ())}
        for key in before & steps.keys():
            board.waiting(steps[key]["service"], steps[key]["task"], steps[key]["why"])
        before = set(steps)


def split_source(source: str | None) -> tuple[Path | None, str | None]:
    """``--spec`` as a file or as a URL.

    Raises:
        Rejected: neither an http(s) URL nor a file that is there.
    """
    if source is None:
        return None, None
    if source.startswith(("http://", "https://")):
        return None, source
    path = Path(source)
    if not path.is_file():
        raise Rejected("there is no such file; give a file's path or an http(s) URL", where=source)
    return path, None


def recording(path: Path | None) -> Path | None:
    """``--answers``, which must be a file if it is given.

    Raises:
        Rejected: there is no such file.
    """
    if path is not None and not path.is_file():
        raise Rejected("there is no such file; give a HAR recording of requests to the API", where=str(path))
    return path


async def generate(
    name: str,
    source: str | None,
    engine: str,
    client: Gateway,
    console: Console,
    answers: Path | None = None,
    policy: Mapping[str, Any] | None = None,
) -> PipelineState:
    """Submit ``source`` (a file or a URL) as connector ``name``, with recorded ``answers`` of the API if there are
    any, and those fields of the ``policy`` that are not to be the default; watch the pipeline to its end."""
    document, spec_url = split_source(source)
    accepted = await client.generate(
        name, document=document, spec_url=spec_url, engine=engine, answers=recording(answers), policy=policy
    )
    console.print(f"[bold]source-{name}[/]  pipeline {accepted['pipeline_id']}", soft_wrap=True)
    return await watch(client, accepted["links"]["live"], console)
