"""Old facts always load, and no fact changes its shape without a new version."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from contracts.envelope import Envelope
from contracts.events import FACTS, Fact
from contracts.upcasts import UPCASTS
from tests.contract import golden

FILES = sorted(file for file in golden.FOLDER.glob("*.json") if file != golden.SCHEMAS)
KINDS = sorted(FACTS.values(), key=lambda fact: fact.TYPE)


@pytest.mark.parametrize("fact", KINDS, ids=lambda fact: fact.TYPE)
def test_every_fact_has_a_golden_file_with_every_field(fact: type[Fact]) -> None:
    stored = json.loads(golden.path(fact).read_text())

    assert set(stored["data"]) == set(fact.model_fields)
    assert all(value is not None for value in stored["data"].values())


@pytest.mark.parametrize("fact", KINDS, ids=lambda fact: fact.TYPE)
def test_shape_of_a_fact_changes_only_with_its_version(fact: type[Fact]) -> None:
    name = golden.path(fact).stem
    assert golden.fingerprint(fact) == golden.stored_fingerprints().get(name), (
        f"{fact.TYPE} no longer looks like {name}: raise its VERSION, add an upcast and run "
        "python -m tests.contract.golden"
    )


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_golden_file_loads_as_the_current_fact(file: Path) -> None:
    stored = json.loads(file.read_text())
    envelope = Envelope.decode(file.read_bytes())

    fact = envelope.fact()

    assert json.loads(envelope.encode()) == stored
    assert type(fact) is FACTS[stored["type"]]
    if stored["dataversion"] == fact.VERSION:
        assert fact.model_dump(mode="json") == stored["data"]


@pytest.mark.parametrize("fact", KINDS, ids=lambda fact: fact.TYPE)
def test_every_older_version_has_an_upcast_and_its_golden_file(fact: type[Fact]) -> None:
    for version in range(1, fact.VERSION):
        assert (fact.TYPE, version) in UPCASTS
        assert golden.path(fact, version).exists()


def test_unknown_field_of_a_newer_writer_is_ignored() -> None:
    file = FILES[0]
    stored = json.loads(file.read_text())
    newer = {**stored, "brand_new": 1, "data": {**stored["data"], "brand_new": 1}}

    assert Envelope.decode(json.dumps(newer).encode()).fact() == Envelope.decode(file.read_bytes()).fact()
