"""The tools of one conversation. The file tools are the SDK's, confined to the workspace; the rest is ours.

Allow-lists are exclusive: a tool that a brief does not name does not exist for the model.
"""

from __future__ import annotations

import json
import os
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from anthropic.lib.tools.agent_toolset import (
    AgentToolContext,
    beta_edit_tool,
    beta_glob_tool,
    beta_read_tool,
    beta_write_tool,
)
from anthropic.types.beta import (
    BetaToolParam,
    BetaToolUnionParam,
    BetaWebFetchTool20260318Param,
    BetaWebSearchTool20260318Param,
)
from pydantic import BaseModel, ValidationError

from contracts.errors import Rejected
from infra.runtime.claude.brief import MUTATING, AgentTool, Brief, WebFetch, WebSearch
from infra.runtime.claude.commands import MAX_COMMAND_S, BashInput, GrepInput, bash, grep
from infra.runtime.claude.workspace import ROOT, Workspace, inside, shown

MAX_FILE_BYTES = 64 * 1024
"""Of one file that is read whole, and of a result: some 16,000 tokens. What is larger is read by ``view_range``."""

FILE_TIMEOUT_S = 30.0
COMMAND_TIMEOUT_S = MAX_COMMAND_S + 60.0

Content = str | list[dict[str, Any]]
"""Of a tool's result, as the Messages API has it."""


@dataclass(frozen=True)
class Tool:
    """One tool: what the API is told of it, and what runs. ``run`` raises `Rejected` for what the model is told."""

    definition: BetaToolParam
    run: Callable[[dict[str, Any]], Awaitable[Content]]
    mutates: bool
    timeout_s: float

    @property
    def name(self) -> str:
        return self.definition["name"]


def tools_of(brief: Brief[Any], workspace: Workspace, *, unconfined: bool) -> list[Tool]:
    """Those that ``brief`` names, in its order.

    ``unconfined``: commands may run without bubblewrap.
    """
    files = _file_tools(workspace)
    commands = {"bash": _bash(workspace, unconfined), "grep": _grep(workspace)}
    named: list[Tool] = [{**files, **commands}[name] for name in brief.tools]
    return named + [_own(tool, workspace) for tool in brief.own]


def server_tools(brief: Brief[Any]) -> list[BetaToolUnionParam]:
    """Definitions of what runs at the provider, of the newest types that this SDK knows. ``direct``: the model
    calls them itself, not from code that it would run there."""
    return [_web(tool) for tool in brief.web]


def _web(tool: WebSearch | WebFetch) -> BetaToolUnionParam:
    domains = list(tool.allowed_domains) or None
    if isinstance(tool, WebSearch):
        return BetaWebSearchTool20260318Param(
            type="web_search_20260318",
            name="web_search",
            max_uses=tool.max_uses,
            allowed_callers=["direct"],
            allowed_domains=domains,
        )
    return BetaWebFetchTool20260318Param(
        type="web_fetch_20260318",
        name="web_fetch",
        max_uses=tool.max_uses,
        max_content_tokens=tool.max_content_tokens,
        allowed_callers=["direct"],
        allowed_domains=domains,
    )


def _file_tools(workspace: Workspace) -> dict[str, Tool]:
    """The SDK's, with `ROOT` for the real folder in what they get and what they say."""
    folder = workspace.folder
    context = AgentToolContext(workdir=folder, max_file_bytes=MAX_FILE_BYTES)
    made = [beta_read_tool(context), beta_write_tool(context), beta_edit_tool(context), beta_glob_tool(context)]

    def tool(sdk: Any) -> Tool:
        async def run(given: dict[str, Any]) -> Content:
            if sdk.name == "edit":
                _check_growth(folder, given)
            content: Content = await sdk.call(_real(folder, given))
            return _sorted(content, folder) if sdk.name == "glob" else content

        definition: BetaToolParam = {
            "name": sdk.name,
            "description": f"{_DESCRIPTIONS[sdk.name]} Paths are below {ROOT}, or relative to it.",
            "input_schema": sdk.input_schema,
        }
        return Tool(definition, run, sdk.name in MUTATING, FILE_TIMEOUT_S)

    return {sdk.name: tool(sdk) for sdk in made}


_DESCRIPTIONS = {
    "read": f"Read a text file whole (up to {MAX_FILE_BYTES // 1024} KiB) or the lines of view_range.",
    "write": "Write a file, with the folders that it needs.",
    "edit": "Replace text in a file by exact match.",
    "glob": "List the files that match a glob pattern, sorted by path.",
}


def _real(folder: Path, given: dict[str, Any]) -> dict[str, Any]:
    """``given`` with real paths; what is of another type is left for the SDK to refuse."""
    paths = {name: given[name] for name in ("file_path", "path") if isinstance(given.get(name), str)}
    return {**given, **{name: inside(folder, path) for name, path in paths.items()}}


def _check_growth(folder: Path, given: dict[str, Any]) -> None:
    """An edit that replaces everywhere multiplies: a file of ``a`` times a long text does not fit into memory."""
    old, new, path = given.get("old_string"), given.get("new_string"), given.get("file_path")
    if isinstance(old, str) and isinstance(new, str) and isinstance(path, str):
        if not old:
            raise Rejected("old_string is empty: name the text to replace")
        if MAX_FILE_BYTES // len(old) * len(new) > 64 * 1024 * 1024:
            raise Rejected("this edit could make the file too large: replace less at a time")


def _sorted(content: Content, folder: Path) -> Content:
    """The SDK sorts by time of change, which differs where a workspace was laid out again."""
    if not isinstance(content, str) or str(folder) not in content:
        return content
    return "\n".join(sorted(content.splitlines()))


def _bash(workspace: Workspace, unconfined: bool) -> Tool:
    async def run(given: dict[str, Any]) -> Content:
        return await bash(_validated(BashInput, given), workspace, unconfined=unconfined)

    description = (
        f"Run a command with bash in {ROOT}: Python with pytest and a connector's dependencies, no network, at most"
        f" {MAX_COMMAND_S} s. Files that it changes are taken over, processes that it leaves are ended. Each call"
        " begins anew: no variable and no current folder is kept."
    )
    return Tool(_definition("bash", description, BashInput), run, True, COMMAND_TIMEOUT_S)


def _grep(workspace: Workspace) -> Tool:
    async def run(given: dict[str, Any]) -> Content:
        asked = _validated(GrepInput, given)
        return await grep(asked, workspace, _relative(workspace.folder, asked.path))

    description = f"Search the files below {ROOT} for a regular expression; paths in the result are relative to it."
    return Tool(_definition("grep", description, GrepInput), run, False, COMMAND_TIMEOUT_S)


def _relative(folder: Path, path: str) -> str:
    below = os.path.normpath(inside(folder, path))
    if not Path(below).is_relative_to(folder):
        raise Rejected(f"{path} is outside {ROOT}")
    return os.path.relpath(below, folder)


def _own(tool: AgentTool, workspace: Workspace) -> Tool:
    async def run(given: dict[str, Any]) -> Content:
        return await tool.run(_validated(tool.input, given), workspace.folder)

    return Tool(_definition(tool.name, tool.description, tool.input), run, tool.mutates, tool.timeout_s)


def _definition(name: str, description: str, input: type[BaseModel]) -> BetaToolParam:
    return {"name": name, "description": description, "input_schema": input.model_json_schema()}


def _validated(kind: type[Any], given: dict[str, Any]) -> Any:
    """
    Raises:
        Rejected: it is of another shape; says where, without repeating what was given.
    """
    try:
        return kind.model_validate(given)
    except ValidationError as error:
        raise Rejected(f"the input is not valid: {faults(error)}") from error


def faults(error: ValidationError) -> str:
    """What is wrong and where, in one line."""
    return "; ".join(
        f"{'.'.join(map(str, fault['loc'])) or 'the whole'}: {fault['msg']}" for fault in error.errors()[:10]
    )


def bounded(content: Content, folder: Path) -> Content:
    """As the model gets it: no real path, and of a long text the beginning and the end."""
    if isinstance(content, str):
        text = shown(folder, content)
        if len(text) <= MAX_FILE_BYTES:
            return text
        half = MAX_FILE_BYTES // 2
        return f"{text[:half]}\n[{len(text) - 2 * half} characters left out]\n{text[-half:]}"
    blocks: list[dict[str, Any]] = json.loads(json.dumps(content))
    return [
        {**block, "text": bounded(block["text"], folder)} if block.get("type") == "text" else block
        for block in blocks
    ]
