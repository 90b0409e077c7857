"""What the prompt cache would serve: each rule of the provider's documentation, on small prompts."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.claude_server.cache import Cache, Usage, account, minimum_tokens, prefixes, repeated_tokens

MARK = {"type": "ephemeral"}
HOUR = {"type": "ephemeral", "ttl": "1h"}
MODEL = "claude-sonnet-4-6"
LONG = "x" * 4 * 1024
SHORT = "y" * 4 * 10


def block(text: str, mark: dict[str, str] | None = None) -> dict[str, Any]:
    return {"type": "text", "text": text, **({"cache_control": mark} if mark else {})}


def asked(*blocks: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"model": MODEL, "messages": [{"role": "user", "content": [*blocks]}], **more}


def run(*bodies: dict[str, Any], every_s: float = 1.0) -> Iterator[Usage]:
    """The figures of requests that come one after the other."""
    cache: Cache = {}
    for number, body in enumerate(bodies):
        usage, entries = account(cache, body, number * every_s)
        cache = {**cache, **entries}
        yield usage


def test_prefix_is_written_once_and_read_then():
    body = asked(block(LONG, MARK), block(SHORT))
    assert [*run(body, body)] == [Usage(10, written_5m_tokens=1024), Usage(10, read_tokens=1024)]


def test_nothing_is_cached_without_a_breakpoint():
    body = asked(block(LONG))
    assert [*run(body, body)] == [Usage(1024), Usage(1024)]


def test_parts_sum_up_to_the_prompt():
    tools = [{"name": "t", "input_schema": {"type": "object"}}]
    body = asked(block("odd"), block(LONG, MARK), block("é" * 7), system="s" * 9, tools=tools)
    usages = [*run(body, body)]
    assert {usage.prompt_tokens for usage in usages} == {prefixes(body)[-1].tokens}
    assert usages[1].read_tokens == usages[0].written_tokens > 1024


@pytest.mark.parametrize(
    ("model", "tokens"),
    [
        ("claude-opus-5-5", 512),
        ("claude-sonnet-5", 1024),
        ("claude-opus-4-6", 4096),
        ("claude-haiku-4-5-20251001", 4096),
        ("another", 1024),
    ],
)
def test_short_prefix_is_not_cached(model, tokens):
    assert minimum_tokens(model) == tokens
    short, enough = (asked(block("x" * 4 * size, MARK), model=model) for size in (tokens - 1, tokens))
    assert [usage.read_tokens for usage in run(short, short)] == [0, 0]
    assert [usage.read_tokens for usage in run(enough, enough)] == [0, tokens]


@pytest.mark.parametrize(
    ("mark", "after_s", "read"), [(MARK, 299, 1024), (MARK, 301, 0), (HOUR, 3599, 1024), (HOUR, 3601, 0)]
)
def test_entry_is_forgotten_after_its_lifetime(mark, after_s, read):
    body = asked(block(LONG, mark))
    assert [usage.read_tokens for usage in run(body, body, every_s=after_s)] == [0, read]


def test_read_makes_an_entry_live_longer():
    body = asked(block(LONG, MARK))
    assert [usage.read_tokens for usage in run(body, body, body, every_s=200)] == [0, 1024, 1024]


def test_read_from_behind_makes_an_entry_live_longer():
    first = asked(block(LONG, MARK))
    longer = asked(block(LONG), block(SHORT, MARK))
    assert [usage.read_tokens for usage in run(first, longer, first, every_s=200)] == [0, 1024, 1024]


def test_other_models_other_caches():
    body = asked(block(LONG, MARK))
    assert [usage.read_tokens for usage in run(body, {**body, "model": "claude-sonnet-4-5"})] == [0, 0]


def test_breakpoint_on_what_changes_never_reads():
    bodies = [asked(block(LONG), block(f"at {n}", MARK)) for n in range(3)]
    assert [usage.read_tokens for usage in run(*bodies)] == [0, 0, 0]


@pytest.mark.parametrize(("added", "read"), [(19, 1024), (20, 0)])
def test_look_back_ends_after_twenty_positions(added, read):
    first = asked(block(LONG, MARK))
    second = asked(block(LONG), *[block("z")] * (added - 1), block("end", MARK))
    assert [usage.read_tokens for usage in run(first, second)][1] == read


def test_second_breakpoint_begins_a_look_back_of_its_own():
    first = asked(block(LONG, MARK))
    second = asked(block(LONG, MARK), *[block("z")] * 30, block("end", MARK))
    assert [usage.read_tokens for usage in run(first, second)][1] == 1024


def test_run_of_tool_blocks_is_one_position():
    calls = [{"type": "tool_use", "id": f"t{n}", "name": "t", "input": {}} for n in range(30)]
    results = [{"type": "tool_result", "tool_use_id": f"t{n}", "content": "r"} for n in range(30)]
    first = asked(block(LONG, MARK))
    second = {
        "model": MODEL,
        "messages": [
            {"role": "user", "content": [block(LONG)]},
            {"role": "assistant", "content": calls},
            {"role": "user", "content": [*results[:-1], {**results[-1], "cache_control": MARK}]},
        ],
    }
    assert [usage.read_tokens for usage in run(first, second)][1] == 1024


def conversation(turns: int, **more: Any) -> dict[str, Any]:
    messages: list[dict[str, Any]] = [{"role": "user", "content": LONG}]
    for n in range(turns):
        thought = {"type": "thinking", "thinking": f"thought {n}", "signature": "s"}
        messages += [
            {"role": "assistant", "content": [thought, {"type": "text", "text": f"answer {n} " * 20}]},
            {"role": "user", "content": f"question {n} " * 20},
        ]
    return {"model": MODEL, "system": LONG, "messages": messages, "cache_control": MARK, **more}


def test_automatic_breakpoint_moves_with_the_conversation():
    usages = [*run(*(conversation(turns) for turns in range(5)))]
    assert [usage.input_tokens for usage in usages] == [0] * 5
    assert [usage.read_tokens for usage in usages[1:]] == [usage.prompt_tokens for usage in usages[:-1]]


def test_automatic_breakpoint_goes_to_what_can_be_marked():
    thought = {"type": "thinking", "thinking": "t", "signature": "s"}
    body = {"model": MODEL, "cache_control": MARK}
    body["messages"] = [{"role": "user", "content": LONG}, {"role": "assistant", "content": [thought]}]
    assert [prefix.ttl for prefix in prefixes(body)] == ["5m", None]


@pytest.mark.parametrize(
    ("change", "read"),
    [
        ({"tools": [{"name": "u", "input_schema": {"type": "object"}}]}, 0),
        ({"system": "another"}, 0),
        ({"speed": "fast"}, 0),
        ({"output_config": {"format": {"type": "json_schema", "schema": {}}}}, 0),
        ({"tool_choice": {"type": "any"}}, 1024),
        ({"thinking": {"type": "adaptive"}}, 1024),
        ({"output_config": {"effort": "low"}}, 1024),
        ({"max_tokens": 9}, 2048),
    ],
)
def test_change_empties_its_level_and_those_below(change, read):
    system = [block(LONG, MARK)]
    first = conversation(0, system=system)
    assert [usage.read_tokens for usage in run(first, {**first, **change})][1] == read


def test_text_and_one_block_of_text_are_the_same():
    first, second = conversation(0), conversation(0, system=[block(LONG)])
    assert [usage.read_tokens for usage in run(first, second)][1] == 2048


@pytest.mark.parametrize(
    "marked", [block(LONG), {"type": "tool_result", "tool_use_id": "t", "content": LONG}], ids=["text", "result"]
)
def test_marks_are_no_part_of_the_prefix(marked):
    first, second = asked({**marked, "cache_control": MARK}), asked(marked, block(SHORT, MARK))
    written, read = run(first, second)
    assert read.read_tokens == written.written_tokens >= 1024


def test_writes_are_counted_by_their_lifetime():
    body = asked(block(LONG, HOUR), block(SHORT, MARK), block("tail" * 3))
    assert [*run(body)] == [Usage(3, written_1h_tokens=1024, written_5m_tokens=10)]


def test_what_was_compacted_is_no_part_of_the_prompt():
    body = conversation(1)
    summary = {"role": "assistant", "content": [{"type": "compaction", "content": "all of it"}]}
    body["messages"] = [*body["messages"], summary, {"role": "user", "content": SHORT}]
    assert prefixes(body)[-1].tokens < 1024 + 40


def test_what_was_sent_before_is_the_most_that_could_be_served():
    """Breakpoints and minimum make it less; a block that differs ends it."""
    one, two = asked(block(LONG), block(SHORT)), asked(block(LONG), block("z" * 40), block(SHORT))
    assert repeated_tokens([one, two]) == 1024
    assert repeated_tokens([one, two, two]) == 1024 + 1044
    assert sum(usage.read_tokens for usage in run(one, two, two)) == 0
