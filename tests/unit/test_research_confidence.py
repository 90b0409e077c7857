"""What is stated is sure, what rests on a name or on silence is not, and a guess is named."""

from __future__ import annotations

from typing import Any

import pytest

from contracts.blueprint import Candidate
from services.research.openapi.ranking import GUESS, HIGH
from tests.support.openapi import THING, TIME, array, blueprint, get, named, obj, query, stream, variable

PAGE = query("page", "integer")
SIZE = query("per_page", "integer")
LISTS = {f"/extra{number}": get(array(THING)) for number in range(9)}


@pytest.mark.parametrize(
    ("item", "sure"),
    [
        pytest.param(get(array(THING), PAGE, SIZE), True, id="page and size"),
        pytest.param(get(None, PAGE, SIZE), False, id="a response of which nothing is said"),
        pytest.param(get(array(THING), PAGE), False, id="a name alone"),
        pytest.param(get(array(THING)), False, id="silence"),
        pytest.param(
            get(obj(data=array(THING), next_cursor="string"), query("cursor")), True, id="token and parameter"
        ),
        pytest.param(get(obj(data=array(THING), next_cursor="string")), False, id="a token that nothing takes"),
        pytest.param(
            get(array(THING), headers={"Link": {"schema": {"type": "string"}}}), True, id="a declared header"
        ),
    ],
)
def test_how_to_page_is_sure_where_two_places_say_it(item: dict[str, Any], sure: bool) -> None:
    assert (stream("/things", item).pagination.confidence >= HIGH) is sure


@pytest.mark.parametrize(
    ("path", "sure"),
    [
        pytest.param("/projects/{project_id}/tasks", True, id="the path goes on behind the list"),
        pytest.param("/archive/{project_id}/tasks", True, id="the only list of what the variable names"),
        pytest.param("/projects/{team}/{project_id}/tasks", False, id="no list of teams: by its field"),
        pytest.param("/archive/{parent_project_id}/tasks", False, id="in a role"),
        pytest.param("/archive/{proj_ref}/tasks", False, id="by a text alone"),
    ],
)
def test_a_parent_is_sure_where_path_or_noun_name_one_list(path: str, sure: bool) -> None:
    text = {"proj_ref": {**variable("proj_ref"), "description": "ID of the project"}}
    variables = [text.get(name, variable(name)) for name in path.replace("}", "{").split("{")[1::2]]
    paths = LISTS | {"/projects": get(array(obj(id="string", team="string"))), path: get(array(THING), *variables)}
    found: Candidate[Any] = named(blueprint(paths), "tasks").parent
    assert found.value is not None
    assert found.value.stream == "projects"
    assert (found.confidence >= HIGH) is sure


def test_a_guessed_parent_is_a_named_gap() -> None:
    paths = LISTS | {
        "/projects": get(array(obj(reponame="string", vcs="string"))),
        "/projects/{project}/keys": get(array(obj(made=TIME)), variable("project")),
    }
    found = blueprint(paths)
    keys = named(found, "keys")
    assert keys.parent.value is not None
    assert keys.parent.confidence < GUESS
    assert "streams.keys.parent" in {gap.subject for gap in found.gaps}
