"""The scoreboard's judgement: what counts as right, wrong and missing, and as declared."""

from __future__ import annotations

from typing import Any

import pytest

from contracts.blueprint import (
    ApiBlueprint,
    Binding,
    Cursor,
    CursorPagination,
    Gap,
    IncrementalFilter,
    LinkHeaderPagination,
    NoPagination,
    OffsetPagination,
    PageSize,
    Parent,
    Selector,
)
from tests.corpus.compare import Answer, Fact, compare, kinds
from tests.corpus.score import calibration, tally
from tests.corpus.truth import Truth
from tests.support.blueprints import blueprint, stream

OFFSET = OffsetPagination(param="skip", size=PageSize(param="take", value=50))
OURS = stream("users", path="/users", pagination=OFFSET, selector=Selector(path=("users",)))


def true_stream(**values: Any) -> dict[str, Any]:
    """A stream of a truth file, as `OURS` has it."""
    pagination = {"type": "offset_increment", "request_param": "skip", "size_param": "take", "inject": "query"}
    return {
        "name": "people",
        "method": "GET",
        "spec_path": "/users",
        "spec_has_method": True,
        "pagination": pagination,
        "primary_key": ["id"],
        "cursor_field": None,
        "incremental_request": None,
        "record_path": ["users"],
        "parent": None,
        "declared": {"page_param": True, "record_path": True, "primary_key": True},
        **values,
    }


def judged(*truths: dict[str, Any], ours: ApiBlueprint | None = None) -> dict[Fact, Answer]:
    """The answers about the last of ``truths``, by fact."""
    truth = Truth.model_validate({"name": "sample", "streams": truths})
    answers = compare(truth, ours or blueprint(OURS))
    return {answer.fact: answer for answer in answers if answer.stream == truths[-1]["name"]}


def verdicts(*truths: dict[str, Any], ours: ApiBlueprint | None = None) -> dict[Fact, str]:
    return {fact: answer.verdict for fact, answer in judged(*truths, ours=ours).items()}


def test_equal_answers_are_right_whatever_the_stream_is_called() -> None:
    assert set(verdicts(true_stream()).values()) == {"right"}


def test_streams_are_matched_by_method_and_path_whatever_variables_are_called() -> None:
    ours = blueprint(stream("notes", path="/users/{user_id}/notes", pagination=OFFSET))
    found = verdicts(true_stream(spec_path="/users/{id}/notes/"), ours=ours)
    assert found[Fact.STREAM] == "right"
    assert verdicts(true_stream(spec_path="/users/{id}/notes", method="POST"), ours=ours)[Fact.STREAM] == "gap"


def test_operations_that_the_document_lacks_are_not_asked_for() -> None:
    assert judged(true_stream(spec_path=None, spec_has_method=False)) == {}
    assert judged(true_stream(spec_has_method=False)) == {}


def test_all_facts_of_a_stream_that_we_do_not_have_are_missing() -> None:
    found = verdicts(true_stream(spec_path="/others"))
    assert set(found.values()) == {"gap"}
    assert {Fact.PAGINATION, Fact.PARAMETERS, Fact.KEY, Fact.RECORDS} <= found.keys()
    truth = Truth.model_validate({"name": "sample", "streams": [true_stream()]})
    assert {answer.verdict for answer in compare(truth, None)} == {"gap"}


def test_several_streams_of_the_truth_may_share_an_operation() -> None:
    truth = Truth.model_validate({"name": "sample", "streams": [true_stream(), true_stream(name="admins")]})
    assert tally(compare(truth, blueprint(OURS)), Fact.KEY).right == 2


def test_another_kind_of_pagination_is_wrong_and_so_are_its_parameters() -> None:
    found = verdicts(true_stream(pagination={"type": "page_increment", "request_param": "page"}))
    assert (found[Fact.PAGINATION], found[Fact.PARAMETERS]) == ("wrong", "wrong")


@pytest.mark.parametrize(
    ("pagination", "verdict"),
    [
        ({"type": "offset_increment", "request_param": "skip", "size_param": "count"}, "wrong"),
        ({"type": "offset_increment", "request_param": "offset", "size_param": "take"}, "wrong"),
        ({"type": "offset_increment", "request_param": "skip", "size_param": None}, "right"),
    ],
)
def test_each_parameter_that_the_truth_names_counts(pagination: dict[str, Any], verdict: str) -> None:
    assert verdicts(true_stream(pagination=pagination))[Fact.PARAMETERS] == verdict


def test_a_size_that_we_do_not_ask_for_is_missing_not_wrong() -> None:
    ours = blueprint(stream("users", path="/users", pagination=OffsetPagination(param="skip")))
    assert verdicts(true_stream(), ours=ours)[Fact.PARAMETERS] == "gap"


def test_a_name_that_only_the_truth_knows_is_wrong_and_contradicts_the_document() -> None:
    pagination = {"type": "offset_increment", "request_param": "skip", "size_param": "page_size"}
    truth = Truth.model_validate({"name": "sample", "streams": [true_stream(pagination=pagination)]})

    def found(*offered: str) -> tuple[str, bool]:
        answers = compare(truth, blueprint(OURS), {("GET", "/users"): frozenset(offered)})
        (answer,) = (answer for answer in answers if answer.fact is Fact.PARAMETERS)
        return answer.verdict, answer.contradicted

    assert found("skip", "take") == ("wrong", True)
    assert found("skip", "take", "page_size") == ("wrong", False)
    assert found("skip") == ("wrong", False)


def test_the_place_of_the_next_cursor_counts_without_the_remark_behind_it() -> None:
    cursor = CursorPagination(param="cursor", path=("meta", "next"))
    ours = blueprint(stream("users", path="/users", pagination=cursor))
    truth = {"type": "cursor_body", "request_param": "cursor", "next": "meta.next; stop when absent"}
    assert verdicts(true_stream(pagination=truth), ours=ours)[Fact.PARAMETERS] == "right"
    elsewhere = {**truth, "next": "meta.after"}
    assert verdicts(true_stream(pagination=elsewhere), ours=ours)[Fact.PARAMETERS] == "wrong"


@pytest.mark.parametrize("kind", ["link_header", "cursor_header"])
def test_a_token_of_the_link_header_is_link_header_pagination(kind: str) -> None:
    ours = blueprint(stream("users", path="/users", pagination=LinkHeaderPagination()))
    assert verdicts(true_stream(pagination={"type": kind}), ours=ours)[Fact.PAGINATION] == "right"


def test_no_pagination_is_wrong_where_there_is_some_unless_it_is_named_as_a_guess() -> None:
    ours = blueprint(stream("users", path="/users", pagination=NoPagination()))
    assert verdicts(true_stream(), ours=ours)[Fact.PAGINATION] == "wrong"
    named = ours.model_copy(update={"gaps": (Gap(subject="streams.users.pagination", reason="a guess"),)})
    assert verdicts(true_stream(), ours=named)[Fact.PAGINATION] == "gap"


def test_a_primary_key_is_a_set_of_fields() -> None:
    two = blueprint(stream("users", path="/users", primary_key=(("org", "id"), ("id",))))
    assert verdicts(true_stream(primary_key=["id", ["org", "id"]]), ours=two)[Fact.KEY] == "right"
    assert verdicts(true_stream(primary_key=["id"]), ours=two)[Fact.KEY] == "wrong"
    none = blueprint(stream("users", path="/users", primary_key=None))
    assert verdicts(true_stream(primary_key=["id"]), ours=none)[Fact.KEY] == "gap"
    assert Fact.KEY not in verdicts(true_stream(primary_key=None), ours=two)


@pytest.mark.parametrize(
    ("field", "start", "verdict"),
    [
        ("updated", "filter: greater-than(updated,...)", "right"),
        ("attributes.updated", "filter", "right"),
        ("created", "filter", "wrong"),
        ("updated", "since", "wrong"),
    ],
)
def test_a_cursor_is_right_with_its_field_and_the_parameter_that_filters(
    field: str, start: str, verdict: str
) -> None:
    cursor = Cursor(field=("attributes", "updated"), filter=IncrementalFilter(param="filter"))
    ours = blueprint(stream("users", path="/users", cursor=cursor))
    truth = true_stream(cursor_field=field, incremental_request={"start": start, "inject": "query"})
    assert verdicts(truth, ours=ours)[Fact.CURSOR] == verdict
    assert verdicts(truth)[Fact.CURSOR] == "gap"


def test_a_cursor_that_the_api_cannot_filter_by_is_not_asked_for() -> None:
    truth = true_stream(cursor_field="updated", incremental_request={"note": "client-side filter"})
    assert Fact.CURSOR not in verdicts(truth)


def test_the_record_path_counts_without_wildcards() -> None:
    assert verdicts(true_stream(record_path=["users", "*"]))[Fact.RECORDS] == "right"
    assert verdicts(true_stream(record_path=[]))[Fact.RECORDS] == "wrong"
    assert Fact.RECORDS not in verdicts(true_stream(record_path=None))


def with_parent(field: str) -> ApiBlueprint:
    parent = Parent(stream="users", bindings=(Binding(variable="user", field=(field,)),))
    return blueprint(OURS, stream("notes", path="/users/{user}/notes", parent=parent))


NOTES = {"name": "notes", "spec_path": "/users/{id}/notes"}


def test_a_parent_is_right_with_its_operation_and_its_field() -> None:
    truth = true_stream(**NOTES, parent={"stream": "people", "parent_key": "id", "inject": "path"})
    assert verdicts(true_stream(), truth, ours=with_parent("id"))[Fact.PARENT] == "right"
    assert verdicts(true_stream(), truth, ours=with_parent("name"))[Fact.PARENT] == "wrong"
    alone = blueprint(OURS, stream("notes", path="/users/{user}/notes"))
    assert verdicts(true_stream(), truth, ours=alone)[Fact.PARENT] == "gap"


def test_a_parent_outside_the_document_is_not_asked_for() -> None:
    truth = true_stream(**NOTES, parent={"stream": "people", "parent_key": "id"})
    absent = true_stream(spec_path=None, spec_has_method=False)
    assert not {Fact.PARENT, Fact.ORPHAN} & verdicts(absent, truth, ours=with_parent("id")).keys()


def test_a_parent_where_the_truth_has_none_is_wrong() -> None:
    assert verdicts(true_stream(), true_stream(**NOTES), ours=with_parent("id"))[Fact.ORPHAN] == "wrong"
    assert verdicts(true_stream())[Fact.ORPHAN] == "right"


@pytest.mark.parametrize(
    ("flags", "kind", "parameters"),
    [
        ({"page_param": True, "next_in_body": True}, True, True),
        ({"page_param": True, "next_in_body": False}, True, False),
        ({"next_in_body": True}, True, True),
        ({"page_param": False, "next_in_body": False}, False, False),
        ({}, False, False),
    ],
)
def test_paging_is_declared_by_half_of_it_its_parameters_by_all(
    flags: dict[str, bool], kind: bool, parameters: bool
) -> None:
    cursor = {"type": "cursor_body", "request_param": "cursor", "next": "meta.next"}
    found = judged(true_stream(pagination=cursor, declared=flags))
    assert (found[Fact.PAGINATION].declared, found[Fact.PARAMETERS].declared) == (kind, parameters)


def test_a_fact_is_declared_where_a_flag_says_so_and_none_denies_it() -> None:
    cursor = {"cursor_field": "updated", "incremental_request": {"start": "since"}}

    def declared(**flags: bool) -> bool:
        return judged(true_stream(**cursor, declared=flags))[Fact.CURSOR].declared

    assert declared(cursor_field=True, incremental_param=True)
    assert declared(cursor_field=True)
    assert not declared(cursor_field=False, incremental_param=True)
    assert not declared()


def test_calibration_counts_what_was_answered_and_trivial_answers_not_at_all() -> None:
    def answer(verdict: str, confidence: float | None) -> Answer:
        return Answer("sample", "users", "GET /users", Fact.KEY, verdict, True, confidence, "", "")  # type: ignore[arg-type]

    counts = calibration([answer("right", 0.9), answer("wrong", 0.8), answer("right", 0.5), answer("gap", None)])
    assert (counts.answered, counts.high, counts.high_right, counts.right) == (3, 2, 1, 2)
    truth = Truth.model_validate({"name": "sample", "streams": [true_stream()]})
    assert calibration(compare(truth, blueprint(OURS))).answered == 4


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("offset_increment", "offset"),
        ("offset_from_body", "offset"),
        ("page_increment", "page"),
        ("cursor_body", "cursor"),
        ("cursor_link_header", "link_header"),
        ("cursor_last_record", "last_record"),
        ("next_url_body", "next_url"),
        ("none", "none"),
    ],
)
def test_kinds_of_pagination_are_the_same_by_other_names(theirs: str, ours: str) -> None:
    assert kinds(theirs) == (ours,)
