"""Connectors made from the document alone, against servers that contradict it: complete or loud, never silent."""

from __future__ import annotations

from pathlib import Path

import pytest

from infra.runtime.documents import load
from services.research.openapi.engine import infer
from tests.support.connector_process import Said
from tests.support.contrary import SERVERS, Contrary, ids
from tests.support.generated import connector
from tests.support.paged_api import serving

STREAM = "things"


def read_alone(server: Contrary, folder: Path) -> Said:
    """What the connector made from the server's document says when it reads the server."""
    known = infer(load(server.document, where=f"{server.name}.json"), name="things", document_url=None)
    with serving(server.api()) as api:
        return connector(known, folder).read({"base_url": api.url}, STREAM)


@pytest.mark.parametrize("server", SERVERS, ids=lambda server: server.name)
def test_a_document_that_lies_never_loses_rows_in_silence(server: Contrary, tmp_path: Path) -> None:
    said = read_alone(server, tmp_path)
    if server.alone == "complete":
        assert said.code == 0, said.stdout
        assert ids(said.records(STREAM)) == ids(server.rows)
        assert said.statuses(STREAM)[-1] == "COMPLETE"
        return
    assert said.code == 1, said.stdout
    assert said.statuses(STREAM)[-1] == "INCOMPLETE"
    (error,) = said.errors()
    assert error["stream_descriptor"] == {"name": STREAM}
    assert "/things" in error["message"]
