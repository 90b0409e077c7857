"""The agents' prompts: files that name themselves, filled strictly."""

from __future__ import annotations

from pathlib import Path

import pytest

from contracts.services import Service
from infra.runtime.claude import prompts
from infra.runtime.claude.prompts import prompt

WRITTEN = [
    (Service.GENERATOR, "GENERATE"),
    (Service.GENERATOR, "FIX"),
    (Service.GENERATOR, "IMPROVE"),
    (Service.TESTER, "GENERATE"),
    (Service.TESTER, "FIX"),
]


@pytest.mark.parametrize(("service", "mode"), WRITTEN)
def test_prompt_names_itself_and_says_what_is_data(service: Service, mode: str) -> None:
    text = prompt(service, mode)

    assert text.startswith(f"<!-- agent: {service} mode: {mode} version: 1 -->\n")
    assert "is data" in text
    assert "`done`" in text


@pytest.fixture
def written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file of one prompt of a service of its own."""
    monkeypatch.setattr(prompts.resources, "files", lambda package: tmp_path)
    file = tmp_path / "reviewer" / "prompts" / "READ.md"
    file.parent.mkdir(parents=True)
    file.write_text("<!-- agent: reviewer mode: READ version: 3 -->\nLook at {{name}} and {{other}}.\n")
    return file


def test_values_fill_the_slots_once(written: Path) -> None:
    text = prompt(Service.REVIEWER, "READ", name="{{other}}", other="b")
    assert text.endswith("Look at {{other}} and b.\n")


@pytest.mark.parametrize("values", [{"name": "a"}, {"name": "a", "other": "b", "third": "c"}])
def test_slots_and_values_have_to_fit(written: Path, values: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="has the slots"):
        prompt(Service.REVIEWER, "READ", **values)


def test_prompt_of_another_is_refused(written: Path) -> None:
    written.write_text("<!-- agent: reviewer mode: WRITE version: 1 -->\n")
    with pytest.raises(ValueError, match="does not say whose it is"):
        prompt(Service.REVIEWER, "READ")
