"""One walk: a stack whose agents ask the scripted server, a submit without a document, the proof of the result."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from rich.console import Console

from contracts.envelope import Envelope
from gateway.answers import Costs, Events
from infra.cli.client import Gateway
from infra.cli.demo import NAME, proved, sample_crm
from infra.cli.generate import generate
from infra.runtime.claude.settings import DEFAULT_MODEL
from infra.runtime.stack import Stack, StackConfig, running_stack
from tests.support.claude_demo.narrator import Narrated
from tests.support.claude_demo.script import SCRIPT
from tests.support.claude_server import KEY, ClaudeServer, script, serving


@dataclass(frozen=True)
class Walk:
    """What happened. ``equal``: the published connector reads exactly what the CRM holds. The stack still runs."""

    stack: Stack
    server: ClaudeServer
    facts: tuple[Envelope, ...]
    costs: Costs
    equal: bool


@contextlib.asynccontextmanager
async def walked(data: Path, output: Path, console: Console) -> AsyncIterator[Walk]:
    """Walk the graph, and say on ``console`` what happens. The stack is on the folder ``data``."""
    async with serving(Narrated(script(SCRIPT), console)) as server:
        config = replace(StackConfig.at(data, output, port=0), environment=environment(server.url))
        console.print("[bold]1.[/] start the scripted Messages API, the stack and the sample CRM")
        async with sample_crm() as base_url, running_stack(config) as stack, Gateway(stack.url) as client:
            console.print(f"   Messages API {server.url}, gateway {stack.url}, CRM {base_url}", soft_wrap=True)
            console.print("[bold]2.[/] submit no more than its name: POST /generate")
            state = await generate(NAME, None, "claude", client, console)
            equal = await proved(state, config, base_url, console)
            costs = await client.read(f"/pipelines/{state.id}/costs", Costs)
            told = await client.read(f"/pipelines/{state.id}/events", Events, limit=1000)
            yield Walk(stack, server, tuple(one.event for one in told.events), costs, equal)


def environment(url: str) -> Mapping[str, str]:
    """What the agents are started with, whatever key or model the user's own environment names. Where bubblewrap is
    missing this model's code may run all the same: it is ours, word for word."""
    return {
        "ANTHROPIC_API_KEY": KEY,
        "ANTHROPIC_API_KEY_FILE": "",
        "ANTHROPIC_BASE_URL": url,
        "CLAUDE_MODEL": DEFAULT_MODEL,
        "CONNECTORS_ALLOW_UNCONFINED_CODE": "true",
    }
