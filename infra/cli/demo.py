"""`connectors demo`: the whole product on one screen, judged against an API that knows nothing of it.

A stack, the sample CRM, a submit as any user would do it, the pipeline live, then the finished package: installed
in a venv of its own, run as a process, and compared record by record with what the CRM really holds.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import shutil
import sys
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from contracts.errors import Permanent
from contracts.pipeline import PipelineState, Status
from infra.cli.client import Gateway
from infra.cli.generate import generate
from infra.cli.sample_crm.data import TOKEN, Record, collections
from infra.runtime.processes import die_with_parent, without_keys
from infra.runtime.stack import StackConfig, running_stack
from infra.runtime.toolchain import install_offline, prepare_async

NAME = "sample-crm"
DOCUMENT = Path(__file__).parent / "sample_crm" / "openapi.yaml"
READ_TIMEOUT_S = 120


@contextlib.asynccontextmanager
async def sample_crm() -> AsyncIterator[str]:
    """The sample CRM as a process of its own; yields its base URL."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "infra.cli.sample_crm.server",
        stdout=asyncio.subprocess.PIPE,
        env=without_keys(),
        start_new_session=True,
        preexec_fn=die_with_parent,
    )
    try:
        assert process.stdout is not None
        url = (await process.stdout.readline()).decode().strip()
        if not url:
            raise Permanent("the sample CRM did not start")
        yield url
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        await process.wait()


class Installed:
    """The installed connector: each method is one run of its console script."""

    def __init__(self, script: Path, folder: Path) -> None:
        self._script = script
        self._folder = folder

    def _file(self, name: str, content: object) -> str:
        path = self._folder / name
        path.write_text(json.dumps(content))
        path.chmod(0o600)
        return str(path)

    async def _run(self, *argv: str) -> list[dict[str, Any]]:
        process = await asyncio.create_subprocess_exec(
            self._script,
            *argv,
            stdout=asyncio.subprocess.PIPE,
            env=without_keys(),
            preexec_fn=die_with_parent,
        )
        try:
            stdout, _ = await asyncio.wait_for(process.communicate(), READ_TIMEOUT_S)
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
        if process.returncode:
            last = stdout.decode(errors="replace").splitlines()[-1:]
            raise Permanent(
                f"`{self._script.name} {argv[0]}` ended with {process.returncode}: {''.join(last)[:500]}"
            )
        return [json.loads(line) for line in stdout.splitlines()]

    async def spec(self) -> dict[str, Any]:
        specification: dict[str, Any] = _only(await self._run("spec"), "SPEC")["spec"]["connectionSpecification"]
        return specification

    async def check(self, config: Record) -> dict[str, Any]:
        messages = await self._run("check", "--config", self._file("config.json", config))
        status: dict[str, Any] = _only(messages, "CONNECTION_STATUS")["connectionStatus"]
        return status

    async def discover(self, config: Record) -> list[dict[str, Any]]:
        messages = await self._run("discover", "--config", self._file("config.json", config))
        streams: list[dict[str, Any]] = _only(messages, "CATALOG")["catalog"]["streams"]
        return streams

    async def read(self, config: Record, selected: list[dict[str, Any]]) -> dict[str, list[Record]]:
        """Stream -> records, of a full refresh of the ``selected`` streams of a catalog."""
        configured = [
            {"stream": stream, "sync_mode": "full_refresh", "destination_sync_mode": "overwrite"}
            for stream in selected
        ]
        catalog = self._file("catalog.json", {"streams": configured})
        messages = await self._run("read", "--config", self._file("config.json", config), "--catalog", catalog)
        found: dict[str, list[Record]] = {stream["name"]: [] for stream in selected}
        for message in messages:
            if message["type"] == "RECORD":
                found[message["record"]["stream"]].append(message["record"]["data"])
        return found


def _only(messages: list[dict[str, Any]], type_: str) -> dict[str, Any]:
    for message in messages:
        if message["type"] == type_:
            return message
    raise Permanent(f"the connector wrote no {type_} message")


def _config(specification: dict[str, Any], base_url: str) -> Record:
    """What a user of the sample CRM would fill in: the token, and this sample's URL in place of the real one."""
    variant = specification["properties"]["credentials"]["oneOf"][0]["properties"]
    secrets = {name: TOKEN for name, field in variant.items() if field.get("airbyte_secret")}
    return {"credentials": {"auth_type": variant["auth_type"]["const"], **secrets}, "base_url": base_url}


def _identities(records: list[Record]) -> list[str]:
    return sorted(json.dumps(record, sort_keys=True) for record in records)


def compare(read: dict[str, list[Record]], console: Console) -> bool:
    """Print each stream beside the collection that it should be; True if all are equal, record by record.

    A stream and its collection are matched by the end of the stream's name (``company_notes`` is ``notes``).
    """
    held = collections()
    table = Table("stream", "read", "the API holds", "equal", box=None)
    equal = True
    for name in sorted(held):
        stream = next((stream for stream in read if stream == name or stream.endswith(f"_{name}")), None)
        records = read.get(stream, []) if stream else []
        same = stream is not None and _identities(records) == _identities(held[name])
        equal &= same
        mark = "[green]yes[/]" if same else "[red]NO[/]"
        table.add_row(stream or f"({name}: no stream)", str(len(records)), str(len(held[name])), mark)
    console.print(table)
    return equal and len(read) == len(held)


async def _install(output: Path, version: str, venv: Path) -> Path:
    """Install the published wheel into ``venv``; returns its console script."""
    shutil.rmtree(venv, ignore_errors=True)
    wheels = sorted((output / "connectors" / f"source-{NAME}" / version).glob("*.whl"))
    if not wheels:
        raise Permanent("no wheel was published", where=str(output))
    toolchain = await prepare_async()
    python = await asyncio.to_thread(install_offline, toolchain, venv, wheels[0])
    return python.parent / f"source-{NAME}"


async def proved(state: PipelineState, config: StackConfig, base_url: str, console: Console) -> bool:
    """Install what the pipeline published and run it against the sample CRM at ``base_url``; True only if every
    stream was read exactly as the CRM holds it.

    Raises:
        Permanent: it cannot be installed, or a command of it fails.
    """
    if state.status is not Status.SUCCESS or state.version is None:
        return False
    console.print("[bold]3.[/] install the package in a venv of its own")
    script = await _install(config.output, state.version, config.data / "venv")
    with tempfile.TemporaryDirectory(prefix="connectors-demo-") as folder:
        connector = Installed(script, Path(folder))
        console.print(f"[bold]4.[/] run it: {script.name} spec, check, discover, read")
        filled = _config(await connector.spec(), base_url)
        status = await connector.check(filled)
        console.print(f"   check: {status['status']}")
        streams = await connector.discover(filled)
        equal = compare(await connector.read(filled, streams), console)
    package = config.output / "connector-implementations" / f"source-{NAME}"
    console.print(f"[green]all equal[/]: {package}" if equal else "[red]not equal[/]", soft_wrap=True)
    return equal


async def demo(data: Path, output: Path, console: Console) -> int:
    """0 only if every stream was read exactly as the API holds it."""
    config = StackConfig.at(data / "demo", output, port=0)
    console.print("[bold]1.[/] start the stack and the sample CRM")
    async with sample_crm() as base_url, running_stack(config) as stack, Gateway(stack.url) as client:
        console.print(f"   gateway {stack.url}, CRM {base_url}\n[bold]2.[/] submit its document: POST /generate")
        state = await generate(NAME, str(DOCUMENT), "offline", client, console)
        return 0 if await proved(state, config, base_url, console) else 1
