"""Connectors against servers that contradict their own documents: complete or loud, never silent."""

from __future__ import annotations

from pathlib import Path

import pytest

from contracts.blueprint import ApiBlueprint
from infra.runtime.documents import load
from infra.runtime.recording import read_har
from services.research.observe import observed
from services.research.openapi.engine import infer
from tests.support.connector_process import Said
from tests.support.contrary import SERVERS, Contrary, ids
from tests.support.contrary.record import har
from tests.support.generated import connector
from tests.support.paged_api import serving

STREAM = "things"


def documented(server: Contrary) -> ApiBlueprint:
    return infer(load(server.document, where=f"{server.name}.json"), name="things", document_url=None)


def read(server: Contrary, known: ApiBlueprint, folder: Path) -> Said:
    with serving(server.api()) as api:
        return connector(known, folder).read({"base_url": api.url}, STREAM)


def assert_complete(server: Contrary, said: Said) -> None:
    assert said.code == 0, said.stdout
    assert ids(said.records(STREAM)) == ids(server.as_read)
    assert said.statuses(STREAM)[-1] == "COMPLETE"


def assert_loud(said: Said) -> None:
    assert said.code == 1, said.stdout
    assert said.statuses(STREAM)[-1] == "INCOMPLETE"
    (error,) = said.errors()
    assert error["stream_descriptor"] == {"name": STREAM}
    assert "/things" in error["message"]


@pytest.mark.parametrize("server", SERVERS, ids=lambda server: server.name)
def test_document_that_lies_never_loses_rows_in_silence(server: Contrary, tmp_path: Path) -> None:
    said = read(server, documented(server), tmp_path)
    if server.alone == "complete":
        assert_complete(server, said)
    else:
        assert_loud(said)


@pytest.mark.parametrize("server", SERVERS, ids=lambda server: server.name)
def test_recorded_answers_mend_what_the_document_says(server: Contrary, tmp_path: Path) -> None:
    with serving(server.api()) as api:
        recorded = read_har(har(api.url, server.targets()))
    said = read(server, observed(documented(server), recorded), tmp_path)
    if server.mended == "complete":
        assert_complete(server, said)
    else:
        assert_loud(said)
