"""The generator as an agent: a blueprint's artifact in, `connector.generated` with a tree out."""

from __future__ import annotations

from pathlib import Path

import pytest

from contracts.artifacts import JSON_MEDIA_TYPE
from contracts.blueprint import ApiBlueprint
from contracts.errors import Permanent
from contracts.events import ConnectorGenerated, GeneratorMode, Verdict
from contracts.pipeline import PipelineState, Task
from contracts.reports import Feedback, FeedbackList
from contracts.services import Service
from infra.runtime.agent import Job, Tools
from infra.runtime.artifacts import MemoryArtifacts
from services.generator.compiler import compile_connector
from services.generator.handler import run
from tests.support.blueprints import PAGINATIONS, blueprint, decided, small_crm, stream


class Heard:
    """Progress that remembers."""

    def __init__(self) -> None:
        self.said: list[str] = []

    async def __call__(self, message: str, *, done: int | None = None, total: int | None = None) -> None:
        self.said.append(message)


async def generated(
    known: ApiBlueprint,
    folder: Path,
    *,
    mode: str | None = None,
    feedback: tuple[Feedback, ...] = (),
    **state: object,
) -> tuple[ConnectorGenerated, dict[str, bytes], list[str]]:
    artifacts, heard = MemoryArtifacts(), Heard()
    ref = await artifacts.put(known.model_dump_json().encode(), JSON_MEDIA_TYPE)
    items = await artifacts.put(FeedbackList(items=feedback).model_dump_json().encode(), JSON_MEDIA_TYPE)
    task = Task(id="t", service=Service.GENERATOR, mode=mode, feedback=items if feedback else None)
    fact = await run(Job(task, PipelineState(blueprint=ref, **state)), folder, Tools(artifacts, heard))
    assert isinstance(fact, ConnectorGenerated)
    return fact, await artifacts.get_tree(fact.code), heard.said


async def test_blueprint_becomes_the_compiled_tree(tmp_path: Path) -> None:
    fact, tree, _ = await generated(small_crm(), tmp_path)
    assert fact.mode is GeneratorMode.GENERATE
    assert tree == compile_connector(small_crm(), {}, frozenset())


async def test_fix_takes_the_next_alternative_and_says_so(tmp_path: Path) -> None:
    uncertain = stream("things").model_copy(
        update={"pagination": decided(PAGINATIONS["none"], PAGINATIONS["page"], PAGINATIONS["offset"])}
    )
    known = blueprint(uncertain, stream("hopeless"))
    blame = tuple(
        Feedback(verdict=Verdict.VALID_FAIL, message="7 of 12 records", stream=name, suspects=("pagination",))
        for name in ("things", "hopeless")
    )
    fact, tree, said = await generated(
        known, tmp_path, mode="FIX", feedback=blame, choices={"streams.things.pagination": 1}
    )
    assert fact.choices == {"streams.things.pagination": 2}
    assert fact.degraded == ("hopeless",)
    assert b"Offset(" in tree["src/source_small_crm/streams.py"]
    assert "things: alternative 2 of pagination (0 more)" in said
    assert "hopeless: left out, no alternative is left" in said


@pytest.mark.parametrize("mode", ["FIX", "IMPROVE"])
async def test_repair_that_finds_nothing_to_change_answers_with_the_same_tree(mode: str, tmp_path: Path) -> None:
    """The router knows by the reference that there is nothing to test."""
    blame = (Feedback(verdict=Verdict.VALID_FAIL, message="the sync never ended"),)
    before, _, _ = await generated(small_crm(), tmp_path)
    after, _, said = await generated(small_crm(), tmp_path, mode=mode, feedback=blame)
    assert after.code == before.code
    assert any(message.startswith("nothing can be changed") for message in said)


async def test_nothing_left_is_permanent_with_the_reason(tmp_path: Path) -> None:
    blame = (Feedback(verdict=Verdict.VALID_FAIL, message="nothing came", stream="things"),)
    with pytest.raises(Permanent, match="no alternative is left for any"):
        await generated(blueprint(stream("things")), tmp_path, mode="FIX", feedback=blame)


async def test_without_a_blueprint_there_is_nothing_to_generate(tmp_path: Path) -> None:
    job = Job(Task(id="t", service=Service.GENERATOR), PipelineState())
    with pytest.raises(Permanent, match="no blueprint yet"):
        await run(job, tmp_path, Tools(MemoryArtifacts(), Heard()))
