"""Puts one conversation together: client, transport, tools, keeper. The only importer of the SDK's client."""

from __future__ import annotations

import ssl
import warnings
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import anthropic
import httpx2
from pydantic import BaseModel

from contracts.errors import Permanent
from infra.runtime.claude import genai
from infra.runtime.claude.accounts import Till
from infra.runtime.claude.brief import Brief
from infra.runtime.claude.conversation import Conversation
from infra.runtime.claude.keeper import Keeper
from infra.runtime.claude.prices import load_prices
from infra.runtime.claude.tools import tools_of
from infra.runtime.claude.transport import LedgerTransport, Owner
from infra.runtime.claude.workspace import Workspace
from infra.runtime.telemetry.spans import span

if TYPE_CHECKING:
    from infra.runtime.claude.model import ClaudeModel

T = TypeVar("T", bound=BaseModel)

CONNECT_TIMEOUT_S = 10.0

# The SDK's runner tells the model so, and warns us of it with the name that the model made up.
warnings.filterwarnings("ignore", message="Tool .* not found in tool runner", category=UserWarning)


async def converse(model: ClaudeModel, brief: Brief[T], folder: Path) -> T:
    """See `ClaudeModel.converse`."""
    settings, job = model.settings, model.job
    owner = Owner(job.state.id, job.task.id, job.task.ledger, model.agent.service.value)
    if (key := settings.key()) is None:
        raise Permanent("there is no Anthropic key any more: set ANTHROPIC_API_KEY")
    timeout = httpx2.Timeout(settings.claude_silence_s, connect=CONNECT_TIMEOUT_S)
    transport = LedgerTransport(
        upstream=anthropic.DefaultAsyncHttpxClient(verify=_tls(), timeout=timeout, follow_redirects=False),
        owner=owner,
        turns=model.turns,
        artifacts=model.artifacts,
        till=Till(model.accounts, job.state.budget_usd),
        prices=load_prices(settings.claude_prices),
        progress=model.progress,
        model=model.name,
    )
    workspace = Workspace(folder, model.artifacts)
    keeper = Keeper(owner.ledger, model.turns, model.artifacts, workspace)
    tools = tools_of(brief, workspace, unconfined=settings.allow_unconfined_code)
    # The proxies of the environment are the upstream's: here they would take the transport's place. A redirect
    # would carry the key to another host.
    http = httpx2.AsyncClient(transport=transport, timeout=timeout, trust_env=False, follow_redirects=False)
    async with anthropic.AsyncAnthropic(
        api_key=key,
        base_url=settings.base_url,
        max_retries=settings.claude_retries,
        timeout=timeout,
        http_client=http,
        # Its own spans count what the ledger answered as asked, and may hold prompts if the environment says so.
        open_telemetry={"traces": False, "propagation": False},
    ) as client:
        conversation = Conversation(
            client, model.name, brief, brief.max_tokens or settings.claude_max_tokens, tools, keeper, transport
        )
        with span(f"invoke_agent {owner.service}", attributes=genai.agent(owner.service, model.name)):
            outcome = await conversation.run()
    await workspace.ready()
    return outcome


@cache
def _tls() -> ssl.SSLContext:
    """Certificates take 30 ms to load: once per process."""
    return httpx2.create_ssl_context()
