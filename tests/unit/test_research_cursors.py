"""Incremental reads: which filter goes with which time of the record, and how both are written."""

from __future__ import annotations

from typing import Any

import pytest

from contracts.blueprint import Cursor
from tests.support.openapi import TIME, array, blueprint, get, header, obj, post, query, stream

DAY = {"type": "string", "format": "date"}
CREATED = obj(id="string", created_at=TIME)
BOTH = obj(id="string", created_at=TIME, updated_at=TIME)


def text(description: str, kind: str = "string") -> dict[str, Any]:
    return {"type": kind, "description": description}


def cursor(record: Any, *parameters: Any) -> Cursor | None:
    return stream("/things", get(array(record), *parameters)).cursor.value


def known(record: Any, *parameters: Any) -> Cursor:
    found = cursor(record, *parameters)
    assert found is not None
    return found


# --- which field -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("param", "record", "field"),
    [
        (header("If-Modified-Since"), CREATED, "created_at"),
        (query("updated_after", format="date-time"), CREATED, "created_at"),
        (
            query("begin_time", description="Of the query on opened_at"),
            obj(opened_at=TIME, **BOTH["properties"]),
            "opened_at",
        ),
        (query("since_time", description="Payout creation time"), BOTH, "created_at"),
        (query("StartDate", format="date"), obj(start_date=DAY, end_date=DAY), "start_date"),
        (query("created[gte]", "integer"), obj(date=text("Time at which it was created", "integer")), "date"),
        (
            query("since", description="Unix time", type_="integer"),
            obj(changeTime=text("The time of it", "integer")),
            "changeTime",
        ),
        (
            query("modified_from", format="date-time"),
            obj(lastModified="string", lastModifiedDateTime=text("Date and time")),
            "lastModifiedDateTime",
        ),
        (
            query("start_date", required=True, format="date-time"),
            obj(begin_date=text("A date"), updated_date=text("A date")),
            "updated_date",
        ),
    ],
)
def test_the_field_is_the_one_that_name_and_text_tell(param: Any, record: Any, field: str) -> None:
    assert known(record, param).field == (field,)


def test_of_two_named_times_the_later_one_is_read_by() -> None:
    record = obj(start_time=TIME, end_time=TIME, date_created=TIME)
    params = [
        query(f"{name}{sign}", format="date-time") for name in ("StartTime", "EndTime") for sign in ("", "<", ">")
    ]
    found = known(record, *params)
    assert (found.field, found.filter.param) == (("end_time",), "EndTime>")


def test_the_creation_is_preferred_to_what_may_happen_later() -> None:
    record = obj(created=text("", "integer"), canceled_at=text("Unix time", "integer"))
    params = [
        query(f"{name}[{sign}]", "integer") for name in ("canceled_at", "created") for sign in ("gt", "gte", "lt")
    ]
    found = known(record, *params)
    assert (found.field, found.filter.param, found.filter.inclusive) == (("created",), "created[gte]", True)


@pytest.mark.parametrize(
    ("param", "record"),
    [
        pytest.param(query("created_after", format="date-time"), obj(updated_at=TIME), id="created is not changed"),
        pytest.param(query("start_at_min", format="date-time"), obj(start_at=TIME, updated_at=TIME), id="planned"),
        pytest.param(query("due_after", format="date-time"), obj(due_at=TIME, created_at=TIME), id="due"),
        pytest.param(query("fromDate", format="date"), obj(updated_at=TIME), id="a report's days are no changes"),
        pytest.param(query("updated_since", format="date-time"), obj(id="string"), id="not in the record"),
        pytest.param(query("started_min", format="date-time"), obj(a=TIME, b=TIME), id="of neither"),
    ],
)
def test_a_filter_that_would_lose_records_is_a_named_gap(param: Any, record: Any) -> None:
    found = blueprint({"/things": get(array(record), param)})
    assert found.streams[0].cursor.value is None
    assert any(gap.subject == "streams.things.cursor" and param["name"] in gap.reason for gap in found.gaps)


@pytest.mark.parametrize(
    "param",
    [
        query("startAt", description="The index of the first item to return per page"),
        query("created_by_after", "boolean"),
        query("min_price", description="since when"),
        query("queue_time_until", format="date-time"),
        query("start_key", description="the position of the row"),
    ],
)
def test_what_counts_pages_or_bounds_above_is_no_filter(param: Any) -> None:
    found = blueprint({"/things": get(array(BOTH), param)})
    assert found.streams[0].cursor.value is None
    assert not any(gap.subject == "streams.things.cursor" for gap in found.gaps)


def test_an_equality_beside_comparisons_is_no_bound() -> None:
    params = [query(name, format="date-time") for name in ("DateCreated", "DateCreated<", "DateCreated>")]
    found = stream("/things", get(array(obj(date_created=TIME)), *params)).cursor
    assert {option.value.filter.param for option in found.options if option.value} == {"DateCreated>"}


def test_a_filter_in_the_body_of_a_search() -> None:
    body = obj(
        begin_time=text("Return objects modified after this timestamp. The timestamp is exclusive."),
        cursor="string",
    )
    found = stream("/things/search", post(obj(objects=array(BOTH), cursor="string"), body)).cursor.value
    assert found is not None
    assert (found.field, found.filter.location, found.filter.inclusive) == (("updated_at",), "body", False)


# --- how it is written -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("description", "inclusive"),
    [
        ("Only those created on or\nafter this time", True),
        ("Created at or after", True),
        ("Only those created after this time", False),
        ("Created later than this time", False),
        ("Greater than or equal to this time", True),
        ("The inclusive start of the range", True),
        ("The start of the range, exclusive", False),
        ("", True),
    ],
)
def test_the_text_says_whether_the_bound_is_included(description: str, inclusive: bool) -> None:
    name = "created_after" if "after" in description else "created_since"
    found = known(CREATED, query(name, description=description, format="date-time"))
    assert found.filter.inclusive is inclusive


def test_a_switch_for_the_bound_means_that_it_is_left_out() -> None:
    item = get(
        array(obj(ts="string")), query("oldest", "number", "Start of the time range"), query("inclusive", "boolean")
    )
    found = stream("/things", item).cursor.value
    assert found is not None
    assert not found.filter.inclusive


@pytest.mark.parametrize(
    ("param", "field", "formats"),
    [
        (query("since", "integer", "UNIX time in milliseconds"), {"type": "integer"}, ("epoch_ms", "epoch_ms")),
        (
            query("since", "integer", "UNIX time in milliseconds"),
            text("in seconds", "integer"),
            ("epoch_s", "epoch_ms"),
        ),
        (query("since", "integer", "UNIX time"), text("in milliseconds", "integer"), ("epoch_ms", "epoch_s")),
        (query("date_from", description="the first day"), DAY, ("date", "date")),
        (query("date_from", format="date-time"), DAY, ("date", "date-time")),
        (query("since", description="a date, yyyy-mm-dd"), TIME, ("date-time", "date")),
        (
            query("date_from", format="date-time"),
            {"type": "string", "format": "date-time-rfc-2822"},
            ("rfc2822", "date-time"),
        ),
        (
            query("date_from", format="date-time"),
            {"type": "string", "example": "/Date(1573755038314)/"},
            ("ms_date", "date-time"),
        ),
    ],
)
def test_what_is_not_said_of_one_form_follows_the_other(param: Any, field: Any, formats: tuple[str, str]) -> None:
    found = known(obj(id="string", date=field), param)
    assert (found.field_format, found.format) == formats


# --- how sure --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("param", "record", "sure"),
    [
        (query("updated_since", format="date-time"), BOTH, True),
        (query("created[gte]", "integer"), obj(created="integer"), True),
        (query("since", description="Only what was updated since"), BOTH, True),
        (query("start_date", format="date"), CREATED, False),
        (query("updated_since", format="date-time"), CREATED, False),
        (query("ts_from", description="Unix time"), obj(id="string", ts="string"), False),
    ],
)
def test_only_a_filter_that_names_the_field_is_sure(param: Any, record: Any, sure: bool) -> None:
    found = stream("/things", get(array(record), param)).cursor
    assert found.value is not None
    assert (found.confidence >= 0.8) is sure
