"""Runs a generated connector as a process of its own and reads what it says."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from airbyte_protocol.models import AirbyteMessage  # type: ignore[import-untyped]

from contracts.artifacts import Tree

Message = dict[str, Any]


@dataclass(frozen=True)
class Said:
    """What a finished process wrote, and how it ended."""

    code: int
    stdout: str
    stderr: str

    @property
    def messages(self) -> list[Message]:
        return [json.loads(line) for line in self.stdout.splitlines()]

    def of(self, kind: str) -> list[Message]:
        return [message[kind.lower()] for message in self.messages if message["type"] == kind]

    @property
    def connection_status(self) -> Message:
        return next(m["connectionStatus"] for m in self.messages if m["type"] == "CONNECTION_STATUS")

    def records(self, stream: str) -> list[Message]:
        return [record["data"] for record in self.of("RECORD") if record["stream"] == stream]

    def statuses(self, stream: str) -> list[str]:
        statuses = [trace["stream_status"] for trace in self.of("TRACE") if trace["type"] == "STREAM_STATUS"]
        return [item["status"] for item in statuses if item["stream_descriptor"]["name"] == stream]

    def errors(self) -> list[Message]:
        return [trace["error"] for trace in self.of("TRACE") if trace["type"] == "ERROR"]

    def states(self, stream: str) -> list[Message]:
        """The state messages of one stream, as they have to be handed back."""
        return [state for state in self.of("STATE") if state["stream"]["stream_descriptor"]["name"] == stream]

    def last_states(self) -> list[Message]:
        """What a platform keeps: the last state of each stream."""
        kept = {state["stream"]["stream_descriptor"]["name"]: state for state in self.of("STATE")}
        return list(kept.values())


def validated(said: Said) -> Said:
    """Every line is a message of the protocol, by Airbyte's own models."""
    for line in said.stdout.splitlines():
        assert "\n" not in line
        AirbyteMessage.model_validate_json(line)
    return said


class Connector:
    """A package laid out in ``folder``, run without installing it."""

    def __init__(self, tree: Tree, folder: Path, python: Path) -> None:
        self.folder = folder
        self.python = python
        for path, content in tree.items():
            file = folder / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content)
        (self.package,) = (path.name for path in (folder / "src").iterdir())

    def command(self, *arguments: str) -> list[str]:
        return [str(self.python), "-m", self.package, *arguments]

    @property
    def environment(self) -> dict[str, str]:
        return {"PYTHONPATH": str(self.folder / "src"), "PATH": os.environ["PATH"]}

    def run(self, *arguments: str, timeout_s: float = 60) -> Said:
        done = subprocess.run(
            self.command(*arguments),
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )
        return Said(done.returncode, done.stdout, done.stderr)

    def file(self, name: str, content: Any) -> str:
        path = self.folder / name
        path.write_text(json.dumps(content))
        return str(path)

    def check(self, config: Mapping[str, Any]) -> Said:
        return validated(self.run("check", "--config", self.file("config.json", config)))

    def discover(self, config: Mapping[str, Any]) -> Said:
        return validated(self.run("discover", "--config", self.file("config.json", config)))

    def read_arguments(
        self, config: Mapping[str, Any], streams: Sequence[str], *, mode: str = "full_refresh", state: Any = None
    ) -> list[str]:
        selected = [
            {"stream": {"name": name}, "sync_mode": mode, "destination_sync_mode": "append"} for name in streams
        ]
        arguments = ["read", "--config", self.file("config.json", config)]
        arguments += ["--catalog", self.file("catalog.json", {"streams": selected})]
        return arguments if state is None else [*arguments, "--state", self.file("state.json", state)]

    def read(self, config: Mapping[str, Any], *streams: str, mode: str = "full_refresh", state: Any = None) -> Said:
        return validated(self.run(*self.read_arguments(config, streams, mode=mode, state=state)))
