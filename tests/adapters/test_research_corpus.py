"""Real documents: each ends in a blueprint or in words, within bounded time."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import pytest

from contracts.blueprint import ApiBlueprint
from contracts.errors import Permanent
from infra.runtime.isolated import run_isolated
from services.research.study import study

SPECS = Path(os.environ.get("CORPUS_DIR", Path(__file__).parents[3] / "shared")) / "specs"
HEAVY_BYTES = 600_000
FOUND = sorted(path for path in SPECS.glob("*") if path.suffix in (".json", ".yaml")) if SPECS.is_dir() else []
pytestmark = pytest.mark.skipif(not FOUND, reason=f"no documents in {SPECS}: set CORPUS_DIR")


def cases() -> list[object]:
    return [
        pytest.param(path, id=path.stem, marks=pytest.mark.slow if path.stat().st_size > HEAVY_BYTES else ())
        for path in FOUND
    ]


@pytest.mark.parametrize("path", cases() or [pytest.param(Path(), id="none")])
async def test_document_ends_in_a_blueprint_or_in_words(path: Path) -> None:
    started = time.perf_counter()
    reason = ""
    try:
        result = await _studied(path)
    except Permanent as error:
        reason = error.what
    assert time.perf_counter() - started < 30
    if reason:
        assert "processing the input" not in reason
        return
    _is_consistent(ApiBlueprint.model_validate_json(result["blueprint"]))


async def _studied(path: Path) -> dict[str, Any]:
    """Nothing is fetched in tests: every external reference is answered with a reason."""
    contents: dict[str, bytes | str] = {}
    while True:
        name = path.stem.replace("_", "-")
        arguments = (path.read_bytes(), path.name, name, None, contents, None, 50_000_000)
        result: dict[str, Any] = await run_isolated(study, *arguments, timeout_s=60)
        if not result["missing"]:
            return result
        contents |= dict.fromkeys(result["missing"], "not fetched in tests")


def _is_consistent(blueprint: ApiBlueprint) -> None:
    names = [stream.name for stream in blueprint.streams]
    assert len(set(names)) == len(names)
    config = {parameter.target for parameter in blueprint.parameters if parameter.location == "path"}
    supplied: dict[str, set[str]] = {}
    waiting = list(blueprint.streams)
    while waiting:
        ready = [s for s in waiting if s.parent.value is None or s.parent.value.stream in supplied]
        assert ready, f"parents in a circle: {[stream.name for stream in waiting]}"
        for stream in ready:
            parent = stream.parent.value
            given = set(config)
            if parent is not None:
                given |= supplied[parent.stream] | {binding.variable for binding in parent.bindings}
            wanted = {part.split("}")[0] for part in stream.request.value.path.split("{")[1:]}
            assert wanted <= given, f"{stream.name} needs {wanted - given}"
            supplied[stream.name] = given
        waiting = [stream for stream in waiting if stream not in ready]
    for stream in blueprint.streams:
        assert "$ref" not in str(stream.json_schema.value)
        for decision in (stream.selector, stream.pagination, stream.primary_key, stream.cursor, stream.parent):
            assert decision.evidence
            ranks = [option.confidence for option in decision.options]
            assert ranks == sorted(ranks, reverse=True)
