"""The script of `make demo-claude` fits today's prompts and compiled code: what its slow walk would stumble on."""

from __future__ import annotations

from functools import cache
from importlib import resources

import pytest

from contracts.services import AGENTS
from infra.cli.demo import DOCUMENT
from tests.support.claude_demo.narrator import agent_of
from tests.support.claude_demo.script import SCRIPT, marker
from tests.support.claude_demo.script.generator import CHECK, FAULT, PAGINATION, RIGHT
from tests.support.claude_demo.story import STORY, departure
from tests.support.compiled import generated

WITH_A_DOCUMENT = marker("research", "FILL")
"""The only prompt that the walk leaves out: it begins without one."""


def prompts() -> set[str]:
    folders = {agent: resources.files("services") / agent.value / "prompts" for agent in AGENTS}
    return {
        marker(agent, file.name.removesuffix(".md"))
        for agent, folder in folders.items()
        for file in folder.iterdir()
    }


def test_every_agent_in_every_mode_has_its_conversation() -> None:
    assert prompts() == {*SCRIPT, WITH_A_DOCUMENT}
    assert {agent_of(each) for each in SCRIPT} == {*AGENTS}


@cache
def pagination() -> str:
    return generated(DOCUMENT.read_bytes(), "sample", "sample-crm")[PAGINATION.removeprefix("/workspace/")].decode()


@pytest.mark.parametrize("text", [RIGHT, CHECK, CHECK + " " * 12 + RIGHT])
def test_what_the_script_edits_is_in_the_compiled_code_once(text: str) -> None:
    assert pagination().count(text) == 1
    assert FAULT not in pagination()


@pytest.mark.parametrize(
    ("told", "words"),
    [
        (STORY, []),
        (STORY[:4], ["fact 5 is its end, not tests.failed GENERATE"]),
        ((*STORY[:4], "agent.failed"), ["fact 5 is agent.failed, not tests.failed GENERATE"]),
        ((*STORY, "timer.elapsed"), ["fact 27 is timer.elapsed, not its end"]),
    ],
)
def test_what_departs_from_the_story_is_named(told: tuple[str, ...], words: list[str]) -> None:
    assert [*departure(told)] == words
