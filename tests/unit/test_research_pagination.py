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


# --- names and words that other APIs use -------------------------------------------------------------

LIMIT = query("limit", "integer")
NEXT = ("pages", "next")


@pytest.mark.parametrize(
    ("words", "largest"),
    [
        ("Acceptable range is 3 - 1000. Default is 1000.", 1000),
        ("Valid values: `1` to `100`", 100),
        ("The page size can never be larger than 250 entries.", 250),
        ("This value cannot exceed 200.", 200),
        ("Number of items (1-50)", 50),
        ("Can range between 1 and 500. (Default: 20)", 500),
        ("page size, default: 25, max. 300", 300),
        ("Must be greater than 0", 100),
        ("The maximum number of items per page", 100),
    ],
)
def test_the_largest_page_is_read_from_the_words(words: str, largest: int) -> None:
    found = paging(obj(**DATA), query("offset", "integer"), query("limit", "integer", words))
    assert found.size == PageSize(param="limit", value=largest)


def test_the_range_of_a_type_is_no_limit() -> None:
    found = paging(obj(**DATA), query("page", "integer"), query("size", "integer", maximum=2147483647, default=20))
    assert found.size == PageSize(param="size", value=20)


@pytest.mark.parametrize(
    ("param", "start"),
    [
        (query("page", "integer", "Page index of the results. First page is 0."), 0),
        (query("page", "integer", "Zero-based page index (0..N)", minimum=0), 0),
        (query("page", "integer", "0 is the first page"), 0),
        (query("page", "integer", "The page number. Defaults to `0`."), 0),
        (query("page", "integer", "Starting from 1", minimum=0), 1),
        (query("page", "integer", "The zero-relative start index", default=1, minimum=1), 1),
        (query("page", "integer", "Default: 1"), 1),
    ],
)
def test_the_first_page_is_read_from_the_words(param: Any, start: int) -> None:
    found = paging(obj(**DATA), param)
    assert isinstance(found, PageNumberPagination)
    assert found.start == start


def test_an_index_that_starts_at_one_is_an_offset_from_one() -> None:
    found = paging(
        obj(Resources=array(THING), totalResults="integer"),
        query("startIndex", "integer", "The 1-based index of the first query result"),
        query("count", "integer"),
    )
    assert isinstance(found, OffsetPagination)
    assert (found.start, found.total_path) == (1, ("totalResults",))


@pytest.mark.parametrize(
    ("parameters", "offset", "size"),
    [
        ((query("first", "integer", "Pagination offset"), query("max", "integer", "Page size")), "first", "max"),
        ((query("sysparm_skip", "integer"), query("sysparm_limit", "integer")), "sysparm_skip", "sysparm_limit"),
        ((query("from", "integer", "Index of the first hit"), query("size", "integer")), "from", "size"),
        ((query("amount", "integer", "The amount in cents"), query("offset", "integer"), LIMIT), "offset", "limit"),
        ((query("start", "string", "The zero-based start index"), query("count", "string")), "start", "count"),
        ((query("page[offset]", "integer"), query("page[limit]", "integer")), "page[offset]", "page[limit]"),
    ],
)
def test_offset_and_size_of_many_names(parameters: tuple[Any, ...], offset: str, size: str) -> None:
    found = paging(obj(**DATA), *parameters)
    assert isinstance(found, OffsetPagination)
    assert found.param == offset
    assert found.size is not None
    assert found.size.param == size


def test_an_amount_of_money_is_no_page_size() -> None:
    found = paging(obj(**DATA), query("amount", "integer", "The amount to refund"), query("page", "integer"))
    assert found.size is None


@pytest.mark.parametrize(
    ("param", "response", "path"),
    [
        ("continue", obj(items=array(THING), metadata=obj(**{"continue": "string"})), ("metadata", "continue")),
        ("start_cursor", obj(**DATA, next_cursor="string", has_more="boolean"), ("next_cursor",)),
        ("starting_after", obj(**DATA, pages=obj(next=obj(starting_after="string"))), (*NEXT, "starting_after")),
        ("after", obj(**DATA, paging=obj(next=obj(after="string", link="string"))), ("paging", "next", "after")),
        ("cursor", obj(**DATA, additional_data=obj(next_cursor="string")), ("additional_data", "next_cursor")),
        ("ExclusiveStartKey", obj(**DATA, LastEvaluatedKey="string"), ("LastEvaluatedKey",)),
        ("pagination_token", obj(**DATA, meta=obj(next_token="string")), ("meta", "next_token")),
        ("pagination[cursor]", obj(**DATA, pagination=obj(next="string")), ("pagination", "next")),
        ("max_id", obj(**DATA, search_metadata=obj(x="string"), next_max_id="string"), ("next_max_id",)),
    ],
)
def test_cursors_of_many_names(param: str, response: Any, path: tuple[str, ...]) -> None:
    found = stream("/things", get(response, query(param, "string", "Cursor of the next page"), LIMIT)).pagination
    values = [option.value for option in found.options if isinstance(option.value, CursorPagination)]
    assert (values[0].param, values[0].path) == (param, path)


@pytest.mark.parametrize(
    "response",
    [
        obj(**DATA, nextRecordsUrl="string"),
        obj(**DATA, nextLink="string"),
        obj(**DATA, next_page_path="string"),
        obj(**DATA, pagination=obj(next_page_href="string")),
        obj(**DATA, next_page={"type": "string", "nullable": True, "format": "uri"}),
    ],
)
def test_next_urls_of_many_names(response: Any) -> None:
    assert isinstance(paging(response), NextUrlPagination)


def test_a_next_url_that_an_example_leaves_out_is_one() -> None:
    item = get(None, query("page", "integer"))
    example = {"data": [{"id": 1}], "next_page_url": None, "total": 1}
    item["get"]["responses"]["200"]["content"] = {"application/json": {"example": example}}
    assert stream("/things", item).pagination.value == NextUrlPagination(path=("next_page_url",))


def test_a_complete_count_is_surer_than_a_url() -> None:
    found = stream(
        "/things",
        get(obj(**DATA, nextUri="string", totalSetSize="integer"), query("start_position", "integer"), LIMIT),
    ).pagination
    assert isinstance(found.value, OffsetPagination)
    assert isinstance(found.alternatives[0].value, NextUrlPagination)


@pytest.mark.parametrize("words", ["Reserved for Acme.", "DEPRECATED. Use cursor.", "This is no longer supported"])
def test_parameters_out_of_use_do_not_page(words: str) -> None:
    found = paging(
        obj(**DATA, next_cursor="string"), query("page", "integer", words), query("cursor", "string", "Cursor")
    )
    assert isinstance(found, CursorPagination)
    assert isinstance(paging(obj(**DATA), query("page", "integer", words)), NoPagination)


@pytest.mark.parametrize(
    ("param", "words"),
    [
        ("since_id", "Only things with an id greater than this"),
        ("starting_after", ""),
        ("after", "Get messages after this message ID"),
        ("before_id", "The id of the oldest thing that you have"),
        ("max_id", "Return things older than this ID"),
        ("last_id", "The last ID that was received"),
    ],
)
def test_the_last_record_is_asked_for_by_many_names(param: str, words: str) -> None:
    found = paging(obj(**DATA), query(param, "string", words), LIMIT)
    assert isinstance(found, LastRecordPagination)
    assert (found.param, found.field) == (param, ("id",))


def test_an_offset_that_is_compared_with_a_field_takes_the_last_records() -> None:
    record = obj(LedgerID="string", LedgerNumber="integer")
    words = "Ledgers with a LedgerNumber greater than the offset are returned"
    found = stream("/ledgers", get(obj(Ledgers=array(record)), query("offset", "integer", words))).pagination
    assert found.value == LastRecordPagination(param="offset", field=("LedgerNumber",))
    assert isinstance(found.alternatives[0].value, OffsetPagination)


def test_a_cursor_on_a_bare_list_comes_from_a_header_and_is_a_gap() -> None:
    explained = get(obj(**DATA, cursor="string"), query("cursor"))
    bare = get(array(THING), query("cursor", "string", "A pagination cursor"))
    found = blueprint({"/things": explained, "/others": bare})
    assert isinstance(named(found, "others").pagination.value, LinkHeaderPagination)
    assert any(gap.subject == "streams.others.pagination" for gap in found.gaps)


def test_numbers_that_are_written_as_text_count() -> None:
    total = {"type": "string", "description": "The total number of items in the result set."}
    found = paging(obj(**DATA, totalSetSize=total), query("offset", "integer"))
    assert found.total_path == ("totalSetSize",)


def test_a_response_that_speaks_of_pages_without_a_way_to_them_is_a_gap() -> None:
    found = blueprint({"/things": get(obj(**DATA, has_more="boolean"))})
    assert isinstance(found.streams[0].pagination.value, NoPagination)
    assert any(gap.subject == "streams.things.pagination" for gap in found.gaps)


def test_what_the_api_does_elsewhere_is_an_alternative() -> None:
    paged = get(obj(**DATA, links=obj(next="string")), query("p", "integer"))
    found = named(blueprint({"/things": paged, "/others": get(obj(**DATA))}), "others").pagination
    assert found.value == NoPagination()
    kinds = [option.value.kind for option in found.alternatives]
    assert kinds == ["next_url", "page", "link_header"]
