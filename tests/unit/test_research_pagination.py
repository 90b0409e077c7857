"""Every kind of paging, judged by request and response together."""

from __future__ import annotations

from typing import Any

import pytest

from contracts.blueprint import (
    CursorPagination,
    LastRecordPagination,
    LinkHeaderPagination,
    NextUrlPagination,
    NoPagination,
    OffsetPagination,
    PageNumberPagination,
    PageSize,
)
from tests.support.openapi import THING, array, blueprint, get, header, named, obj, post, query, stream

DATA = {"data": array(THING)}
URI = {"type": "string", "format": "uri"}


def paging(response: Any, *parameters: Any, **members: Any) -> Any:
    return stream("/things", get(response, *parameters, **members)).pagination.value


@pytest.mark.parametrize(
    ("param", "start"),
    [
        (query("page", "integer"), 1),
        (query("page", "integer", default=0), 0),
        (query("page", "integer", minimum=0), 0),
        (query("PageNumber", "integer", "zero-based"), 0),
        (query("page[number]", "integer", "The first page is 1"), 1),
        (query("page", "integer", "pages start at 0"), 0),
        (query("page", "string", "Page number of the results", default="1"), 1),
    ],
)
def test_page_numbers_start_where_the_document_says(param: Any, start: int) -> None:
    found = paging(obj(**DATA), param, query("per_page", "integer", maximum=200))
    assert isinstance(found, PageNumberPagination)
    assert found.param == param["name"]
    assert found.start == start
    assert found.size == PageSize(param="per_page", value=200)


def test_page_number_ends_are_read_from_the_response() -> None:
    found = paging(obj(**DATA, total_pages="integer", has_more="boolean"), query("page", "integer"))
    assert found.total_pages_path == ("total_pages",)
    assert found.has_more_path == ("has_more",)


def test_a_total_is_preferred_to_a_count_which_may_be_the_pages() -> None:
    found = paging(
        obj(**DATA, count="integer", total="integer"), query("offset", "integer"), query("limit", "integer")
    )
    assert isinstance(found, OffsetPagination)
    assert found.total_path == ("total",)


@pytest.mark.parametrize("name", ["offset", "skip", "startAt", "$skip", "page[offset]", "start_index"])
def test_offsets_of_any_style_are_recognised(name: str) -> None:
    found = paging(obj(**DATA, total="integer"), query(name, "integer"), query("limit", "integer", default=20))
    assert found == OffsetPagination(param=name, size=PageSize(param="limit", value=20), total_path=("total",))


def test_start_is_an_offset_only_if_it_counts() -> None:
    assert isinstance(paging(obj(**DATA), query("start", "integer", "Index of the first record")), OffsetPagination)
    dated = paging(obj(**DATA), query("start", "string", "Start of the time window", format="date-time"))
    assert isinstance(dated, NoPagination)


def test_an_opaque_offset_is_a_cursor() -> None:
    found = paging(
        obj(**DATA, next_page=obj(offset="string")),
        query("offset", "string", "Offset token returned by the previous request"),
        query("limit", "integer"),
    )
    assert isinstance(found, CursorPagination)
    assert (found.param, found.path) == ("offset", ("next_page", "offset"))


@pytest.mark.parametrize(
    ("param", "response", "path"),
    [
        ("cursor", obj(**DATA, response_metadata=obj(next_cursor="string")), ("response_metadata", "next_cursor")),
        ("pageToken", obj(**DATA, nextPageToken="string"), ("nextPageToken",)),
        ("cursor", obj(**DATA, cursor="string"), ("cursor",)),
        ("marker", obj(**DATA, next_marker="string", marker="string"), ("next_marker",)),
        (
            "after",
            obj(**DATA, paging=obj(cursors=obj(after="string", before="string"))),
            ("paging", "cursors", "after"),
        ),
        (
            "page_token",
            obj(**DATA, meta=obj(next_page_token="string", total="integer")),
            ("meta", "next_page_token"),
        ),
    ],
)
def test_cursor_tokens_are_found_in_the_body(param: str, response: Any, path: tuple[str, ...]) -> None:
    found = paging(response, query(param, "string", "cursor of the next page"), query("limit", "integer"))
    assert isinstance(found, CursorPagination)
    assert (found.param, found.path, found.source) == (param, path, "body")


def test_a_parameter_of_any_name_pages_by_its_next_value() -> None:
    found = paging(obj(**DATA, next_stream_position="integer"), query("stream_position"), query("limit", "integer"))
    assert isinstance(found, CursorPagination)
    assert (found.param, found.path) == ("stream_position", ("next_stream_position",))


def test_cursor_tokens_are_found_in_a_header() -> None:
    found = paging(array(THING), query("cursor"), headers={"X-Next-Cursor": {"schema": {"type": "string"}}})
    assert isinstance(found, CursorPagination)
    assert (found.source, found.header) == ("header", "X-Next-Cursor")


def test_a_token_parameter_that_authenticates_is_no_cursor() -> None:
    found = paging(array(THING), query("token", "string", "Your API token", required=True))
    assert isinstance(found, NoPagination)


@pytest.mark.parametrize(
    ("response", "path"),
    [
        (obj(**DATA, next=URI), ("next",)),
        (obj(**DATA, links=obj(next="string", prev="string")), ("links", "next")),
        (obj(**DATA, _links=obj(next=obj(href="string"))), ("_links", "next", "href")),
        (obj(**DATA, **{"@odata.nextLink": "string"}), ("@odata.nextLink",)),
        (obj(**DATA, next_page_uri="string"), ("next_page_uri",)),
        (obj(**DATA, paging=obj(next={"type": "string", "example": "https://x.io/?page=2"})), ("paging", "next")),
    ],
)
def test_next_urls_beat_page_numbers(response: Any, path: tuple[str, ...]) -> None:
    found = stream("/things", get(response, query("page", "integer"), query("page_size", "integer", maximum=40)))
    assert found.pagination.value == NextUrlPagination(path=path, size=PageSize(param="page_size", value=40))
    assert any(isinstance(option.value, PageNumberPagination) for option in found.pagination.alternatives)


def test_a_number_called_next_page_is_no_url() -> None:
    found = paging(obj(**DATA, next_page="integer", page="integer"), query("page", "integer"))
    assert isinstance(found, PageNumberPagination)


def test_a_declared_link_header_is_used() -> None:
    found = paging(array(THING), query("page", "integer"), headers={"Link": {"schema": {"type": "string"}}})
    assert isinstance(found, LinkHeaderPagination)


def test_a_link_header_known_only_from_the_text_is_used() -> None:
    info = {"title": "Acme", "version": "1", "description": 'Lists carry a `Link` header with rel="next".'}
    found = blueprint({"/things": get(array(THING), query("cursor"))}, info=info)
    assert isinstance(found.streams[0].pagination.value, LinkHeaderPagination)


def test_the_last_record_pages_where_its_id_is_asked_for() -> None:
    found = paging(
        obj(**DATA, has_more="boolean"),
        query("starting_after", "string", "A cursor: the id of the last object of the page before"),
        query("limit", "integer", "between 1 and 100, default 10"),
    )
    assert found == LastRecordPagination(
        param="starting_after",
        field=("id",),
        size=PageSize(param="limit", value=100),
        has_more_path=("has_more",),
    )


def test_paging_by_body_stays_in_the_body() -> None:
    item = post(obj(**DATA, cursor="string"), obj(cursor="string", limit={"type": "integer", "maximum": 30}))
    found = stream("/things/search", item).pagination.value
    assert isinstance(found, CursorPagination)
    assert found.location == "body"
    assert found.size == PageSize(param="limit", value=30)


def test_without_any_sign_one_response_is_all() -> None:
    found = stream("/things", get(array(THING), query("color")))
    assert found.pagination.value == NoPagination()
    assert found.pagination.confidence > 0.7


def test_a_cursor_that_only_other_lists_explain_follows_them() -> None:
    explained = get(obj(**DATA, meta=obj(next_cursor="string")), query("cursor"))
    found = blueprint({"/things": explained, "/others": get(obj(**DATA), query("cursor"))})
    other = named(found, "others").pagination
    assert other.value == named(found, "things").pagination.value
    assert other.confidence < named(found, "things").pagination.confidence


def test_a_next_url_that_only_other_lists_explain_follows_them() -> None:
    explained = get(obj(**DATA, links=obj(next="string")), query("page[cursor]"))
    found = blueprint({"/things": explained, "/others": get(obj(**DATA), query("page[cursor]"))})
    assert named(found, "others").pagination.value == NextUrlPagination(path=("links", "next"))
    assert any(gap.subject == "streams.others.pagination" for gap in found.gaps)


def test_a_token_that_no_parameter_takes_is_a_gap() -> None:
    found = blueprint({"/things": get(obj(**DATA, next_cursor="string", has_more="boolean"))})
    pagination = found.streams[0].pagination
    assert isinstance(pagination.value, CursorPagination)
    assert pagination.confidence < 0.5
    assert any(gap.subject == "streams.things.pagination" for gap in found.gaps)


def test_paging_packed_into_one_parameter_is_a_gap() -> None:
    packed = {
        "in": "query",
        "name": "q",
        "content": {"application/json": {"schema": obj(page="integer", page_size="integer")}},
    }
    found = blueprint({"/things": get(obj(result=array(THING), count="integer"), packed)})
    assert any(gap.subject == "streams.things.pagination" for gap in found.gaps)


def test_deep_objects_page_by_their_members() -> None:
    page = {**query("page"), "style": "deepObject", "schema": obj(number="integer", size="integer")}
    found = paging(obj(**DATA), page)
    assert isinstance(found, PageNumberPagination)
    assert found.param == "page[number]"
    assert found.size is not None
    assert found.size.param == "page[size]"


@pytest.mark.parametrize(
    ("param", "value"),
    [
        (query("limit", "integer", maximum=5000), 1000),
        (query("limit", "integer", "Maximum of 250 per page", default=50), 250),
        (query("limit", "integer", "up to 1,000"), 1000),
        (query("limit", "integer", default=30), 30),
        (query("limit", "integer", enum=[10, 25, 50]), 50),
        (query("limit", "integer"), 100),
    ],
)
def test_page_size_is_the_largest_that_is_allowed(param: Any, value: int) -> None:
    found = paging(obj(**DATA), query("offset", "integer"), param)
    assert found.size == PageSize(param="limit", value=value)


def test_a_switch_that_turns_the_cursor_on_is_set() -> None:
    item = get(
        obj(entries=array(THING), next_marker="string"),
        query("usemarker", "boolean"),
        query("marker"),
        query("offset", "integer"),
        header("X-Unused"),
    )
    found = stream("/things", item)
    assert isinstance(found.pagination.value, CursorPagination)
    assert found.request.value.query == {"usemarker": "true"}
