"""Which tests there are, and which check of the conformance kit judges the same behaviour. Pure.

Written into the package's tests as ``tests/cases.json``, so that a run knows what has to come out of it, and FIX
what was given up before.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from contracts.artifacts import Tree

CASES = "tests/cases.json"

CONFIG = "tests/test_config.py"
CONNECTION = "tests/test_connection.py"
DISCOVERY = "tests/test_discovery.py"
READ = "tests/test_read.py"

EVERY_RECORD = f"{READ}::test_every_record_is_read_once"
PRIMARY_KEY = "test_primary_key_tells_records_apart"

Concession = Literal["one_page", "left_out"]
"""What is given up where the kit saw the code right and the document's evidence says otherwise: that the stream's
answers come in several pages, or the test itself."""


@dataclass(frozen=True)
class Case:
    """One test, by its id (``tests/test_read.py::test_x[contacts]``)."""

    id: str
    stream: str | None = None
    confirms: str | None = None

    @property
    def file(self) -> str:
        return self.id.partition("::")[0]

    @property
    def function(self) -> str:
        return self.id.partition("::")[2].partition("[")[0]

    @property
    def parameter(self) -> str:
        return self.id.partition("[")[2].removesuffix("]")


@dataclass(frozen=True)
class Ledger:
    """The content of ``tests/cases.json``: all tests by id, and what was conceded, by the id of the test."""

    cases: Mapping[str, Case]
    concessions: Mapping[str, Concession]

    def encode(self) -> bytes:
        cases = {case.id: {"stream": case.stream, "confirms": case.confirms} for case in self.cases.values()}
        text = json.dumps({"concessions": dict(sorted(self.concessions.items())), "cases": cases}, indent=1)
        return text.encode() + b"\n"


NOTHING = Ledger({}, {})


def read_ledger(tests: Tree) -> Ledger:
    """That of a tree of tests; an empty one for tests that somebody else wrote, or spoilt."""
    try:
        content = json.loads(tests.get(CASES, b"{}"))
        cases = {
            str(name): Case(str(name), case.get("stream"), case.get("confirms"))
            for name, case in content.get("cases", {}).items()
        }
        concessions: dict[str, Concession] = {
            str(name): "one_page" if kind == "one_page" else "left_out"
            for name, kind in content.get("concessions", {}).items()
        }
    except (ValueError, AttributeError, RecursionError):
        return NOTHING
    return Ledger(cases, concessions)


def config_cases(required: Mapping[str, str]) -> list[Case]:
    """``required``: fields that must be given, by their path."""
    return [
        Case(f"{CONFIG}::test_spec_describes_a_configuration", confirms="protocol/connector/messages"),
        Case(f"{CONFIG}::test_secrets_are_marked"),
        *(Case(_with(f"{CONFIG}::test_missing_field_is_a_config_error", path)) for path in required),
    ]


def connection_cases(ways: Mapping[str, str], guarded: frozenset[str]) -> list[Case]:
    """``ways``: id of each kind of credentials -> its title in the form. ``guarded``: those that can be wrong."""
    suffix = {way: f"-{title}" if len(ways) > 1 else "" for way, title in ways.items()}
    right = f"{CONNECTION}::test_check_succeeds_with_right_credentials"
    wrong = f"{CONNECTION}::test_check_fails_with_wrong_credentials"
    return [
        *(Case(_with(right, way), confirms=f"auth/connector/check{suffix[way]}") for way in ways),
        *(
            Case(_with(wrong, way), confirms=f"auth/connector/check-wrong{suffix[way]}")
            for way in ways
            if way in guarded
        ),
    ]


def stream_cases(name: str, *, nested: bool | None, identified: bool) -> list[Case]:
    """``nested``: its records are read by those of a parent; ``None``: there are no answers to read it from."""
    discovery = [
        Case(_with(f"{DISCOVERY}::test_stream_is_offered", name), name, f"discovery/{name}/present"),
        Case(_with(f"{DISCOVERY}::test_stream_has_a_schema", name), name, f"schema/{name}/records"),
    ]
    if nested is None:
        return discovery
    size = "over-parents" if nested else "page+1"
    reading = [
        Case(_with(EVERY_RECORD, name), name, f"completeness/{name}/{size}"),
        Case(_with(f"{READ}::test_stream_ends_complete", name), name, f"completeness/{name}/{size}"),
        Case(_with(f"{READ}::test_states_account_for_the_records", name), name, f"protocol/{name}/messages"),
    ]
    key = Case(_with(f"{READ}::{PRIMARY_KEY}", name), name, f"primary_key/{name}/unique")
    return [*discovery, *([key] if identified else []), *reading]


def secret_case() -> Case:
    return Case(f"{READ}::test_no_secret_is_shown", confirms="secrets/connector/output")


def _with(test: str, parameter: str) -> str:
    """The id that pytest gives to a test with one text as its parameter."""
    return f"{test}[{parameter.encode('unicode_escape').decode()}]"
