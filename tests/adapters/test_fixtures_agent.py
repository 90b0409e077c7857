"""The fixtures agent on its own: a document in, the reference of a `SimulatedApi` out."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from contracts.artifacts import ArtifactRef
from contracts.errors import Permanent, Rejected
from contracts.pipeline import PipelineState, Task
from contracts.services import Service
from contracts.simulation import SimulatedApi
from infra.runtime.agent import Job, Tools
from infra.runtime.artifacts import MemoryArtifacts
from services.fixtures.handler import agent, run
from services.fixtures.settings import Settings

DOCUMENT = {
    "openapi": "3.0.3",
    "info": {"title": "Tiny", "version": "1"},
    "paths": {
        "/users": {
            "get": {
                "responses": {
                    "200": {
                        "description": "ok",
                        "content": {
                            "application/json": {
                                "schema": {
                                    "type": "array",
                                    "items": {"type": "object", "properties": {"id": {"type": "integer"}}},
                                }
                            }
                        },
                    }
                }
            }
        }
    },
}


async def _quiet(message: str, *, done: int | None = None, total: int | None = None) -> None:
    assert message


def _job(document: ArtifactRef | None) -> Job:
    return Job(
        task=Task(id="1" * 32, service=Service.FIXTURES), state=PipelineState(id="2" * 32, document=document)
    )


async def test_a_document_becomes_a_simulated_api(tmp_path: Path) -> None:
    artifacts = MemoryArtifacts()
    document = await artifacts.put(json.dumps(DOCUMENT).encode(), "application/json")
    created = await run(_job(document), tmp_path, Tools(artifacts, _quiet))
    api = SimulatedApi.model_validate_json(await artifacts.get(created.fixtures))
    assert (api.title, list(api.endpoints)) == ("Tiny", ["GET /users"])
    again = await run(_job(document), tmp_path, Tools(artifacts, _quiet))
    assert again == created, "the same document gives the same artifact"


async def test_a_pipeline_without_a_document_cannot_have_fixtures(tmp_path: Path) -> None:
    with pytest.raises(Permanent, match="document"):
        await run(_job(None), tmp_path, Tools(MemoryArtifacts(), _quiet))


@pytest.mark.parametrize("content", [b"{}", b"not a document", b"[" * 100_000])
async def test_what_is_no_document_is_rejected(content: bytes, tmp_path: Path) -> None:
    artifacts = MemoryArtifacts()
    document = await artifacts.put(content, "application/json")
    with pytest.raises(Rejected):
        await run(_job(document), tmp_path, Tools(artifacts, _quiet))


async def test_a_document_that_takes_too_long_is_given_up(tmp_path: Path) -> None:
    artifacts = MemoryArtifacts()
    document = await artifacts.put(json.dumps(DOCUMENT).encode(), "application/json")
    hasty = agent(Settings(infer_timeout_s=0.01))
    with pytest.raises(Rejected, match="s to process"):
        await hasty.run(_job(document), tmp_path, Tools(artifacts, _quiet))
