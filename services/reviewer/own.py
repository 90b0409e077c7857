"""All of our own checks in one call, fit for a child process: it parses what nobody vouches for."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from contracts.blueprint import ApiBlueprint
from contracts.reports import Finding, TestReport
from infra.runtime.toolchain.pins import RUNTIME, pins
from services.reviewer.evidence import evidence_findings
from services.reviewer.layout import layout_findings
from services.reviewer.papers import paper_findings
from services.reviewer.secret_scan import secret_findings
from services.reviewer.source_rules import source_findings
from services.reviewer.streams import stream_findings
from services.reviewer.subject import Subject

_MAX_FINDINGS = 1_000


def own_findings(
    name: str,
    code: dict[str, bytes],
    tests: dict[str, bytes],
    blueprint: bytes,
    report: bytes,
    code_sha256: str,
    choices: dict[str, int],
    degraded: tuple[str, ...],
) -> list[dict[str, Any]]:
    """The findings as plain JSON values, at most 1,000. Takes plain values for the same reason."""
    subject = Subject(
        name=name,
        code=code,
        tests=tests,
        blueprint=ApiBlueprint.model_validate_json(blueprint),
        report=TestReport.model_validate_json(report),
        code_sha256=code_sha256,
        choices=choices,
        degraded=degraded,
    )
    found = zip(range(_MAX_FINDINGS), _all(subject, blueprint.decode(errors="replace")), strict=False)
    return [finding.model_dump(mode="json") for _, finding in found]


def _all(subject: Subject, public_text: str) -> Iterator[Finding]:
    layout = list(layout_findings(subject))
    yield from layout
    if any(finding.rule == "layout size" for finding in layout):
        return  # too large to be a connector: not worth the time that reading it would take
    yield from paper_findings(subject, pins(), RUNTIME)
    yield from stream_findings(subject)
    yield from evidence_findings(subject)
    public_texts = frozenset(_texts(subject.blueprint.model_dump(mode="json")))
    for tests, sources in ((False, subject.source), (True, subject.test_source)):
        for path, content in sources.items():
            yield from source_findings(
                path, content, package=subject.package, tests=tests, public_texts=public_texts
            )
    for path, content in (*subject.code.items(), *subject.tests.items()):
        yield from secret_findings(path, content, public_text=public_text)


def _texts(value: Any) -> Iterator[str]:
    """Every string in a JSON value, without recursion."""
    waiting = [value]
    while waiting:
        item = waiting.pop()
        if isinstance(item, str):
            yield item
        elif isinstance(item, dict):
            waiting += [*item.keys(), *item.values()]
        elif isinstance(item, list):
            waiting += item
