"""What a connector said in one run, and which rules of the Airbyte protocol it broke in saying it. Pure.

The messages are those of airbyte-protocol-models; the order of stream statuses and ``recordCount`` are as the real
clients expect them (STARTED, RUNNING with the first record, COMPLETE or INCOMPLETE; records since the last state).
"""

from __future__ import annotations

import signal as signals
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from airbyte_protocol.models import AirbyteMessage, TraceType, Type  # type: ignore[import-untyped]
from pydantic import ValidationError
from pydantic_core import from_json

from contracts.blueprint import JsonPath
from infra.runtime.sandbox import Report, Stop
from services.tester.conformance.comparison import dig

MAX_PROBLEMS = 20
TERMINAL = ("COMPLETE", "INCOMPLETE")


@dataclass(frozen=True)
class Problem:
    """A rule that was broken; ``stream`` is ``None`` where it concerns the whole connector."""

    text: str
    stream: str | None = None


@dataclass(frozen=True)
class Failure:
    """An ERROR trace."""

    stream: str | None
    failure_type: str | None
    message: str


@dataclass(frozen=True)
class Checkpoint:
    """A STATE message: the whole message's ``state``, and how many records of its stream had come before it."""

    stream: str
    state: dict[str, Any]
    records: int


@dataclass
class Transcript:
    """Everything that one run said. Fed line by line, then `close`d with the sandbox's report. ``trimmed``: of each
    record only the member at this path is kept, where there are too many to keep them whole."""

    command: str
    streams: tuple[str, ...] = ()
    trimmed: JsonPath | None = None
    spec: dict[str, Any] | None = None
    status: str | None = None
    status_message: str = ""
    catalog: list[dict[str, Any]] | None = None
    records: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    checkpoints: list[Checkpoint] = field(default_factory=list)
    statuses: dict[str, list[str]] = field(default_factory=dict)
    failures: list[Failure] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    lines: int = 0
    exit_code: int | None = None
    signal: int | None = None
    stopped: Stop | None = None
    killed: bool = False
    stderr: str = ""
    cpu_s: float = 0.0
    _since_state: dict[str, int] = field(default_factory=dict)

    def feed(self, line: bytes) -> Type | None:
        """Take one line of stdout; returns the type of the message, ``None`` if it is none."""
        self.lines += 1
        try:
            message = AirbyteMessage.model_validate(from_json(line))
        except ValueError as error:
            reason = error.errors()[0]["msg"] if isinstance(error, ValidationError) else "it is not JSON"
            self._broken(f"line {self.lines} of stdout is no message: {reason}")
            return None
        if message.type is Type.RECORD and message.record is not None:
            self._record(message.record.stream, message.record.data)
        elif message.type is Type.STATE:
            self._state(message)
        elif message.type is Type.TRACE:
            self._trace(message)
        elif message.type is Type.SPEC and message.spec is not None:
            self.spec = message.spec.connectionSpecification
        elif message.type is Type.CONNECTION_STATUS and message.connectionStatus is not None:
            self.status = message.connectionStatus.status.value
            self.status_message = message.connectionStatus.message or ""
        elif message.type is Type.CATALOG and message.catalog is not None:
            self.catalog = [stream.model_dump(mode="json", exclude_none=True) for stream in message.catalog.streams]
        elif message.type not in (Type.LOG, Type.CONTROL):
            self._broken(f"line {self.lines} of stdout: a {message.type.value} message without its content")
        return message.type

    def close(self, report: Report, *, killed: bool = False) -> None:
        """The process has ended; ``killed``: because we wanted it to."""
        self.exit_code, self.signal, self.stopped = report.exit_code, report.signal, report.stopped
        self.stderr = report.stderr.decode(errors="replace")
        self.cpu_s = report.cpu_s
        self.killed = killed
        if not killed and self.stopped is None:
            self._judge_end()

    # --- what the others ask --------------------------------------------------------------------

    @property
    def ended(self) -> str:
        """In words, how it ended."""
        if self.stopped is not None:
            return f"was stopped by the sandbox ({self.stopped.value})"
        if self.signal is not None:
            return f"died of signal {signals.Signals(self.signal).name}"
        return f"exited with {self.exit_code}"

    @property
    def complaint(self) -> str:
        """The first error it reported, else the end of its stderr."""
        return self.complaint_about(None)

    def complaint_about(self, stream: str | None) -> str:
        """The first error about ``stream``; without one, the first of all, else the end of its stderr."""
        own = [failure for failure in self.failures if stream is not None and failure.stream == stream]
        for failure in own or self.failures:
            return failure.message[:300]
        return self.stderr.strip()[-300:]

    def completed(self, stream: str) -> bool:
        return self.statuses.get(stream, [])[-1:] == ["COMPLETE"]

    def of(self, stream: str) -> list[dict[str, Any]]:
        """The records of ``stream``, in the order they came."""
        return self.records.get(stream, [])

    def final_states(self) -> list[dict[str, Any]]:
        """The last state of each stream, as `read` takes them with ``--state``."""
        return list({checkpoint.stream: checkpoint.state for checkpoint in self.checkpoints}.values())

    # --- the rules ------------------------------------------------------------------------------

    def _broken(self, text: str, stream: str | None = None) -> None:
        if len(self.problems) < MAX_PROBLEMS:
            self.problems.append(Problem(text, stream))

    def _record(self, stream: str, data: dict[str, Any]) -> None:
        said = self.statuses.get(stream, [])
        if stream not in self.records:
            self.records[stream] = []
            if stream not in self.streams:
                self._broken(f"a record of {stream!r}, which was not asked for")
            elif said != ["STARTED", "RUNNING"]:
                self._broken(
                    f"the first record came after the statuses {said or 'none'}, not STARTED, RUNNING", stream
                )
        elif said and said[-1] in TERMINAL:
            self._broken(f"a record after {said[-1]}", stream)
        self.records[stream].append(data if self.trimmed is None else _only(data, self.trimmed))
        self._since_state[stream] = self._since_state.get(stream, 0) + 1

    def _state(self, message: AirbyteMessage) -> None:
        state = message.state
        if state is None or state.type is None or state.type.value != "STREAM" or state.stream is None:
            self._broken(f"line {self.lines} of stdout: a STATE that is not of type STREAM with its stream")
            return
        stream = state.stream.stream_descriptor.name
        since = self._since_state.pop(stream, 0)
        if state.sourceStats is None or state.sourceStats.recordCount is None:
            self._broken("a STATE without recordCount", stream)
        elif state.sourceStats.recordCount != since:
            self._broken(f"recordCount {state.sourceStats.recordCount:g}, but {since} records came", stream)
        if self.statuses.get(stream, [])[-1:] and self.statuses[stream][-1] in TERMINAL:
            self._broken(f"a STATE after {self.statuses[stream][-1]}", stream)
        kept = state.model_dump(mode="json", exclude_none=True)
        self.checkpoints.append(Checkpoint(stream, kept, len(self.of(stream))))

    def _trace(self, message: AirbyteMessage) -> None:
        trace = message.trace
        if trace is not None and trace.type is TraceType.STREAM_STATUS and trace.stream_status is not None:
            self._status(trace.stream_status.stream_descriptor.name, trace.stream_status.status.value)
        elif trace is not None and trace.type is TraceType.ERROR and trace.error is not None:
            error = trace.error
            stream = error.stream_descriptor.name if error.stream_descriptor else None
            kind = error.failure_type.value if error.failure_type else None
            self.failures.append(Failure(stream, kind, error.message))

    def _status(self, stream: str, status: str) -> None:
        said = self.statuses.setdefault(stream, [])
        if said[-1:] == [status] == ["RUNNING"]:
            return  # may be repeated, with reasons
        going_on = bool(said) and said[-1] not in TERMINAL
        legal = {
            "STARTED": not said,
            "RUNNING": said == ["STARTED"],
            "INCOMPLETE": going_on or not said,  # of a stream that does not exist, as airbyte-cdk says it
        }.get(status, going_on)
        if not legal:
            self._broken(f"status {status} after {said or 'none'}", stream)
        said.append(status)

    def _judge_end(self) -> None:
        failed = self.exit_code != 0
        if self.failures and not failed:
            self._broken(
                f"an ERROR trace ({self.failures[0].message[:120]}), but exit code 0: clients take it as success"
            )
        if failed and not self.failures:
            self._broken(f"it {self.ended} without an ERROR trace that says why")
        if self.command != "read":
            return
        for stream in self.streams:
            said = self.statuses.get(stream, [])
            if said and said[-1] not in TERMINAL:
                self._broken(f"the last status is {said[-1]}, not COMPLETE or INCOMPLETE", stream)
            if not failed and said[-1:] != ["COMPLETE"]:
                self._broken(f"exit code 0, but the stream's status is {said[-1] if said else 'missing'}", stream)
            if said[-1:] == ["COMPLETE"] and self._since_state.get(stream):
                self._broken(f"COMPLETE, with {self._since_state[stream]} records after the last STATE", stream)


def _only(record: dict[str, Any], path: JsonPath) -> dict[str, Any]:
    value: Any = dig(record, path)
    for key in reversed(path):
        value = {key: value}
    kept: dict[str, Any] = value
    return kept


def read(command: str, output: Iterable[bytes], report: Report, streams: tuple[str, ...] = ()) -> Transcript:
    """The transcript of a run that is over."""
    transcript = Transcript(command, streams)
    for line in output:
        transcript.feed(line)
    transcript.close(report)
    return transcript
