"""Checks the connector against its blueprint and test report: every stream there, described, proven. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TypeVar

from contracts.blueprint import Choices, Decision, Stream, option_key
from contracts.reports import Finding, Severity
from services.reviewer.subject import Subject

T = TypeVar("T")


def stream_findings(subject: Subject) -> Iterator[Finding]:
    """Of each stream that is not degraded: is it in the code, has it a schema and a primary key (or a named gap),
    was it proven."""
    named_gaps = {gap.subject for gap in subject.blueprint.gaps}
    text = b"\n".join(content for path, content in subject.code.items() if path.startswith("src/")).decode(
        errors="replace"
    )
    quoted = set(re.findall(r"""["']([^"'\n]{1,200})["']""", text))
    for stream in subject.blueprint.streams:
        if stream.name not in subject.degraded:
            yield from _stream(stream, subject.choices, named_gaps, stream.name in quoted)
    for proof in subject.report.streams:
        if not proof.proven and proof.stream not in subject.degraded:
            message = f"not proven to be read completely: {proof.reason or 'no reason given'}"[:300]
            yield _finding(Severity.LOW, "unproven", message, proof.stream)


def _stream(stream: Stream, choices: Choices, named_gaps: set[str], in_code: bool) -> Iterator[Finding]:
    if not in_code:
        yield _finding(
            Severity.HIGH, "missing", "in the blueprint and not degraded, but not in the code", stream.name
        )
    schema = _taken(stream, "json_schema", stream.json_schema, choices)
    undecided = (
        (
            "json_schema",
            "schema",
            not schema.get("properties") and schema.get("additionalProperties") in (None, False),
        ),
        ("primary_key", "primary key", not _taken(stream, "primary_key", stream.primary_key, choices)),
    )
    for field, label, absent in undecided:
        if absent:
            named = option_key(stream.name, field) in named_gaps
            severity = Severity.LOW if named else Severity.MEDIUM
            message = f"has no {label}; " + ("a named gap" if named else "and no gap says why")
            yield _finding(severity, field, message, stream.name)


def _taken(stream: Stream, field: str, decision: Decision[T], choices: Choices) -> T:
    """The option that this code was compiled with."""
    rank = choices.get(option_key(stream.name, field), 0)
    return decision.chosen(min(rank, len(decision.options) - 1))


def _finding(severity: Severity, case: str, message: str, stream: str) -> Finding:
    return Finding(severity=severity, rule=f"stream {case}", message=message, stream=stream)
