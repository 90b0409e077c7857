"""What recorded answers say of where the records are."""

from __future__ import annotations

from typing import Any

import pytest

from contracts.answers import RecordedAnswer, RecordedAnswers
from contracts.blueprint import Selector
from infra.runtime.documents import load
from services.research.observe import observed
from services.research.openapi.engine import infer
from tests.support.contrary import SERVERS

DOCUMENTED = next(server for server in SERVERS if server.name == "bare_object").document
THING = {"id": 1, "name": "a", "colour": "red"}
TAGGED = {**THING, "tags": [{"tag": "x"}, {"tag": "y"}]}


@pytest.mark.parametrize(
    ("bodies", "place"),
    [
        pytest.param(([THING, THING], THING), Selector(path=("data",), lone=True), id="beside_a_list"),
        pytest.param((THING,), Selector(path=("data",), lone=True), id="no_list_at_all"),
        pytest.param((TAGGED,), Selector(path=("data",), lone=True), id="with_a_list_of_its_own"),
        pytest.param(([THING], {"code": "too_deep", "message": "no"}), Selector(path=("data",)), id="an_error"),
        pytest.param(([THING], {}), Selector(path=("data",)), id="nothing"),
        pytest.param(({"rows": [THING], "page": 1},), Selector(path=("data", "rows")), id="an_envelope"),
    ],
)
def test_object_where_a_list_should_be_is_a_record_only_if_it_looks_like_one(
    bodies: tuple[Any, ...], place: Selector
) -> None:
    answers = tuple(
        RecordedAnswer(method="GET", path="/things", status=200, body={"data": data}) for data in bodies
    )
    known = infer(load(DOCUMENTED, where="things.json"), name="things", document_url=None)
    assert observed(known, RecordedAnswers(answers=answers)).streams[0].selector.value == place
