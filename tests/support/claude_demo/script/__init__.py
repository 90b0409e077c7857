"""What the scripted Claude says: a conversation for each agent and mode, by the first line of its prompt."""

from __future__ import annotations

from collections.abc import Mapping

from tests.support.claude_demo.script import (
    fixtures,
    generator,
    judge,
    publisher,
    research,
    reviewer,
    tester,
)
from tests.support.claude_server.scripts import Source


def marker(agent: str, mode: str) -> str:
    """How the prompt of an agent in a mode begins (`infra.runtime.claude.prompts`)."""
    return f"<!-- agent: {agent} mode: {mode} "


REPAIRS: Mapping[str, Source] = {
    marker("test_reviewer", "JUDGE"): judge.JUDGE,
    marker("generator", "FIX"): generator.FIX,
    marker("tester", "FIX"): tester.FIX,
    marker("reviewer", "REVIEW"): reviewer.review,
    marker("generator", "IMPROVE"): generator.IMPROVE,
}
"""From the first failed test on."""

SCRIPT: Mapping[str, Source] = {
    marker("research", "WRITE"): research.WRITE,
    marker("fixtures", "EXAMPLES"): fixtures.EXAMPLES,
    marker("generator", "GENERATE"): generator.GENERATE,
    marker("tester", "GENERATE"): tester.GENERATE,
    **REPAIRS,
    marker("publisher", "PUBLISH"): publisher.PUBLISH,
}
