"""Connectors against servers that contradict their own documents: complete or loud, never silent."""

from __future__ import annotations

from pathlib import Path

import pytest

from contracts.blueprint import ApiBlueprint
from contracts.events import Engine, TestsPassed
from contracts.services import Service
from infra.cli.run_alone import RunFolder, run_alone
from infra.runtime.documents import load
from infra.runtime.recording import read_har
from infra.runtime.toolchain import prepare
from services.fixtures.inference.infer import infer as simulated
from services.research.observe import observed
from services.research.openapi.engine import infer
from tests.support.connector_process import Connector, Said
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


SEEN: dict[str, tuple[str, str, str, int, set[str]]] = {
    "token_named_offset": ("records", "id", "cursor offset", 0, {"next_cursor offset"}),
    "undeclared_link_header": ("", "id", "cursor after", 0, {"link "}),
    "link_header_for_page": ("data", "id", "cursor after", 0, {"link "}),
    "undeclared_paging": ("data", "id", "page page", 1, set()),
    "pages_from_zero": ("data", "id", "page page", 0, set()),
    "pages_from_one": ("data", "id", "page page", 1, set()),
    "offset_of_pages": ("data", "id", "page offset", 0, set()),
    "page_size_capped": ("data", "id", "offset offset", 0, set()),
    "cursor_elsewhere": (
        "data",
        "id",
        "cursor cursor",
        0,
        {"has_more paging.has_more", "next_cursor paging.next_cursor"},
    ),
    "total_of_the_page": ("data", "id", "offset offset", 0, set()),
    "total_pages_less_one": ("data", "id", "page page", 1, set()),
    "rows_under_another_key": ("items", "id", "offset offset", 0, set()),
    "key_not_called_id": ("data", "thing_uid", "offset offset", 0, set()),
    "bare_object": ("data", "id", "offset offset", 0, set()),
    "rows_wrapped_deeper": ("items", "data.id", "offset offset", 0, set()),
}
"""Server -> where its records are, their identity, kind and parameter of its pages, the first one, its signals."""


@pytest.mark.parametrize("server", [one for one in SERVERS if one.name in SEEN], ids=lambda server: server.name)
def test_simulated_api_behaves_as_the_real_one_was_seen_to(server: Contrary) -> None:
    with serving(server.api()) as api:
        recorded = read_har(har(api.url, server.targets()))
    api_of = simulated(load(server.document, where="things.json"), recorded.answers)
    endpoint = api_of.endpoints["GET /things"]
    position = endpoint.position
    assert (
        ".".join(endpoint.records.path),
        ".".join(endpoint.records.identity[0]),
        f"{position.kind} {position.param}",
        position.first,
        {f"{signal.kind} {'.'.join(signal.path)}" for signal in endpoint.signals},
    ) == SEEN[server.name]
    assert endpoint.records.lone == (server.name == "bare_object")
    assert endpoint.size.maximum == (20 if server.name == "page_size_capped" else endpoint.size.maximum)


async def quiet(message: str, *, done: int | None = None, total: int | None = None) -> None:
    pass


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("server", SERVERS, ids=lambda server: server.name)
async def test_agents_make_a_proven_connector_of_a_wrong_document_and_a_recording(
    server: Contrary, tmp_path: Path
) -> None:
    """The whole loop. The kit proves each in its simulated API, which is as the real one was seen to be; what the
    real one refuses, or does without having been seen to, must still be loud."""
    run = RunFolder(tmp_path / "run")
    with serving(server.api()) as api:
        await run.begin("things", server.document, None, Engine.OFFLINE, har(api.url, server.targets()))
        for service in (Service.RESEARCH, Service.GENERATOR, Service.FIXTURES, Service.TESTER):
            fact, _ = await run_alone(service, run, quiet)
        assert isinstance(fact, TestsPassed), fact
        code = run.state().code
        assert code is not None
        made = Connector(await run.artifacts.get_tree(code), tmp_path / "made", prepare().python)
        said = made.read({"base_url": api.url}, STREAM)
    if server.mended == "complete":
        assert_complete(server, said)
    else:
        assert_loud(said)
