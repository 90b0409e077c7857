"""The judge is judged: a right connector passes everything, each broken one fails a check that names its fault."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from contracts.reports import Outcome
from infra.runtime import sandbox
from infra.runtime.trees import write_tree
from services.tester.conformance import Judgement, Knowledge, Pace, Subject, conform
from tests.support import tiny_connector


@pytest.fixture
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="kit-") as name:  # a unix socket's path must be short
        yield Path(name)


async def judge(folder: Path, mutant: str | None, knowledge: Knowledge, pace: Pace | None = None) -> Judgement:
    write_tree(folder / "tree", tiny_connector.connector(mutant))
    (folder / "sockets").mkdir()
    return await conform(
        Subject(folder / "tree", ("{python}", "-I", "-S", "main.py"), Path(sys.executable)),
        tiny_connector.api(),
        folder=folder / "sockets",
        isolation=await sandbox.probe(),
        knowledge=knowledge,
        pace=pace or Pace(many=200),
    )


KNOWN = Knowledge(tiny_connector.ENDPOINTS, streams=tuple(tiny_connector.ENDPOINTS))


async def test_right_connector_passes_every_check(folder):
    judgement = await judge(folder, None, KNOWN)
    assert [check for check in judgement.checks if check.outcome is Outcome.FAILED] == []
    assert [(proof.stream, proof.proven) for proof in judgement.streams] == [
        ("contacts", True),
        ("deals", True),
        ("notes", True),
    ]
    judged = {check.id for check in judgement.checks if check.outcome is Outcome.PASSED}
    for size in ("0", "1", "page-1", "page", "page+1", "3-pages"):
        assert {f"completeness/contacts/{size}", f"completeness/deals/{size}"} <= judged
    assert {
        "completeness/notes/over-parents",
        "failures/contacts/429",
        "failures/deals/500",
        "failures/notes/429-date",
        "failures/deals/429-rate-limit-headers",
        "failures/contacts/broken-json",
        "failures/deals/cut-body",
        "failures/notes/reset",
        "failures/contacts/time-out",
        "failures/contacts/always-401",
        "failures/deals/always-403",
        "failures/contacts/always-404",
        "failures/deals/beside-always-401",
        "completeness/contacts/200",
        "termination/deals/repeated-page",
        "termination/deals/endless",
        "incremental/contacts/no-loss",
        "incremental/contacts/only-changes",
        "resume/deals/killed",
        "resume/contacts/every-checkpoint",
        "resume/deals/every-checkpoint",
        "resume/notes/every-checkpoint",
        "protocol/connector/sigterm",
        "auth/connector/read-wrong",
        "secrets/connector/output",
    } <= judged


async def test_streams_are_matched_by_what_they_read_when_nobody_says(folder):
    judgement = await judge(folder, None, Knowledge())
    assert judgement.ok
    assert all(proof.proven for proof in judgement.streams)


@pytest.mark.slow
async def test_everything_in_full_passes_too(folder):
    judgement = await judge(folder, None, KNOWN, Pace(full=True, many=200))
    assert judgement.ok
    judged = {check.id for check in judgement.checks if check.outcome is Outcome.PASSED}
    assert any(check.endswith("/always-503") for check in judged)
    assert {"completeness/notes/200", "resume/contacts/every-checkpoint-newest-first"} <= judged


QUICK = frozenset(
    {
        "skips_the_last_page",
        "swallows_a_500",
        "leaks_the_token_when_it_fails",
        "follows_a_repeated_cursor_for_ever",
        "checkpoints_ahead_of_its_records",
        "takes_only_what_is_newer",
    }
)
"""One each for completeness, failures, secrets, termination, resume, incremental; all in ``make test-all``."""


@pytest.mark.parametrize(
    "mutant",
    [pytest.param(name, marks=() if name in QUICK else pytest.mark.slow) for name in tiny_connector.MUTANTS],
)
async def test_mutant_is_caught(folder, mutant):
    judgement = await judge(folder, mutant, KNOWN)
    failed = [check.id for check in judgement.checks if check.outcome is Outcome.FAILED]
    assert any(check.startswith(tiny_connector.MUTANTS[mutant][2]) for check in failed), failed
