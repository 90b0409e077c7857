from __future__ import annotations

import re

import pytest

from infra.runtime.toolchain.pins import BUILD, RUNTIME, TEST, parse_pins, pins, toolchain_key


def test_pins_hold_everything_that_is_named_and_normalised() -> None:
    assert {*RUNTIME, *TEST, *BUILD, "pip"} <= set(pins())
    assert all(re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", name) for name in pins())


HASH = f"--hash=sha256:{'0a' * 32}"


@pytest.mark.parametrize("line", ["pydantic>=2", "pydantic", "==2", "-r other.txt", "pydantic=="])
def test_parse_pins_refuses_what_pins_nothing(line: str) -> None:
    with pytest.raises(ValueError, match="not a pin"):
        parse_pins(f"{line} {HASH}")


@pytest.mark.parametrize("hashes", ["", "--hash=md5:00", "--hash=sha256:0a", f"{HASH} --pre"])
def test_parse_pins_refuses_what_could_be_swapped_on_its_way(hashes: str) -> None:
    with pytest.raises(ValueError, match="with hashes"):
        parse_pins(f"pydantic==2 {hashes}")


def test_parse_pins_skips_comments_and_blank_lines_and_joins_continued_ones() -> None:
    text = f"# why\n\na==1 {HASH}  # because\nb==2 \\\n    {HASH} \\\n    {HASH}\n"
    assert parse_pins(text) == {"a": "1", "b": "2"}


def test_the_key_changes_with_everything_that_matters() -> None:
    base = ("a==1", "3.11.7", "linux-x86_64", "/usr")
    keys = {toolchain_key(*base)}
    for index in range(4):
        changed = list(base)
        changed[index] += "x"
        keys.add(toolchain_key(*changed))
    assert len(keys) == 5
