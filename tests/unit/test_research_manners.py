"""How well-known kinds of API page, each as a list of the few words that give it away."""

from __future__ import annotations

from typing import Any

import pytest

from contracts.blueprint import Pagination
from tests.support.openapi import array, get, obj, post, query, stream

ROW = obj(id="string", name="string")
DATA = {"data": array(ROW)}
LIMIT, INT = query("limit", "integer"), "integer"
URI = {"type": "string", "format": "uri", "nullable": True}
LINK: dict[str, Any] = {"headers": {"Link": {"schema": {"type": "string"}}}}


def said(text: str) -> Any:
    return {"type": "string", "description": text}


def how(found: Pagination) -> str:
    """``cursor after <- paging.next.after``, ``page p``, ``next_url next``, ``link_header``."""
    path = ".".join(getattr(found, "path", ())) or getattr(found, "header", None)
    param = getattr(found, "param", None)
    told = f"{param} <- {path}" if param and path else param or path
    return f"{found.kind} {told}" if told else found.kind


REQUESTED: list[tuple[str, Any, tuple[Any, ...], dict[str, Any]]] = [
    # a Link header
    ("link_header", array(ROW), (query("page", INT, default=1), query("per_page", INT, default=30)), LINK),
    ("link_header", array(ROW), (query("max_id"), query("since_id"), LIMIT), LINK),
    (
        "link_header",
        array(ROW),
        (query("after", description="Opaque; from the `Link` response header."), LIMIT),
        {},
    ),
    (
        "link_header",
        obj(**DATA),
        (query("since_id"), query("page_info"), LIMIT),
        {"description": "Pages by links that are provided in the response header."},
    ),
    # a URL in the body
    (
        "next_url links.next",
        obj(**DATA, meta=obj(has_more="boolean", after_cursor="string"), links=obj(next="string", prev="string")),
        (query("page[size]", INT), query("page[after]", description="A pagination cursor")),
        {},
    ),
    ("next_url _metadata.next", obj(**DATA, _metadata=obj(next=said("The URL of the next page"))), (LIMIT,), {}),
    ("next_url links.pages.next", obj(**DATA, links=obj(pages=obj(next="string"))), (query("page", INT),), {}),
    ("next_url @odata.nextLink", obj(**DATA, **{"@odata.nextLink": "string"}), (query("$skip", INT),), {}),
    ("next_url nextRecordsUrl", obj(**DATA, totalSize=INT, nextRecordsUrl="string"), (query("q"),), {}),
    ("next_url _links.next.href", obj(**DATA, _links=obj(next=obj(href="string"))), (query("from"), LIMIT), {}),
    (
        "next_url paging.next",
        obj(**DATA, paging=obj(next="string", previous="string", first="string")),
        (LIMIT,),
        {},
    ),
    (
        "next_url meta.next_page_url",
        obj(**DATA, meta=obj(next_page_url=URI, page=INT, key="string")),
        (query("Page", INT, "This value is simply for client state."), query("PageToken"), query("PageSize", INT)),
        {},
    ),
    ("next_url next", obj(**DATA, count=INT, next=URI, previous=URI), (query("page", INT),), {}),
    ("next_url next", obj(**DATA, has_more="boolean", next=said("Path to the subsequent page.")), (LIMIT,), {}),
    ("next_url next.href", obj(**DATA, first=obj(href="string"), next=obj(href="string")), (query("start"),), {}),
    # a token in the body
    (
        "cursor after <- paging.next.after",
        obj(**DATA, paging=obj(next=obj(after="string", link="string"))),
        (query("after", description="The paging cursor token of the resource read last."), LIMIT),
        {},
    ),
    (
        "cursor offset <- next_page.offset",
        obj(**DATA, next_page=obj(offset="string", path="string", uri=URI)),
        (query("offset", description="Offset token returned by the previous request."), LIMIT),
        {},
    ),
    (
        "cursor starting_after <- pages.next.starting_after",
        obj(**DATA, pages=obj(next=obj(page=INT, starting_after="string"), total_pages=INT)),
        (query("starting_after", description="Used to get the next page."), query("per_page", INT)),
        {},
    ),
    (
        "cursor offset <- offset",
        obj(**DATA, offset="string"),
        (
            query(
                "offset", description="To fetch the next page of records, include offset from the previous request"
            ),
            query("pageSize", INT),
        ),
        {},
    ),
    (
        "cursor offset <- next_offset",
        obj(list=array(obj(plan=ROW)), next_offset="string"),
        (query("offset"), LIMIT),
        {},
    ),
    (
        "cursor pagination_token <- meta.next_token",
        obj(**DATA, meta=obj(next_token="string")),
        (query("pagination_token"),),
        {},
    ),
    (
        "cursor next_page_token <- next_page_token",
        obj(**DATA, page_number=INT, next_page_token="string"),
        (query("page_number", INT, "**Deprecated.** The page."), query("next_page_token")),
        {},
    ),
    (
        "cursor page[cursor] <- meta.page.after",
        obj(**DATA, meta=obj(page=obj(after="string"))),
        (query("page[cursor]"), query("page[limit]", INT)),
        {},
    ),
    (
        "cursor page[after] <- meta.after_cursor",
        obj(**DATA, meta=obj(after_cursor="string")),
        (query("page[after]"),),
        {},
    ),
    (
        "cursor after <- pageInfo.endCursor",
        obj(edges=array(obj(node=ROW)), pageInfo=obj(endCursor="string")),
        (query("first", INT), query("after", description="The cursor to start after")),
        {},
    ),
    (
        "cursor after <- data.after",
        obj(kind="string", data=obj(after="string", children=array(ROW))),
        (query("after", description="anchor of the next page"), LIMIT),
        {},
    ),
    (
        "cursor start <- next",
        obj(**DATA, next="string"),
        (
            query(
                "start",
                description="The token for the page that "
                "you want. Use `next` of the response for the next page of results.",
            ),
            LIMIT,
        ),
        {},
    ),
    (
        "cursor continue <- metadata.continue",
        obj(items=array(ROW), metadata=obj(**{"continue": "string"})),
        (query("continue", description="Set when retrieving more results from the server."), LIMIT),
        {},
    ),
    # counting
    ("offset offset", obj(**DATA, more="boolean", total=INT), (LIMIT, query("offset", INT)), {}),
    (
        "offset start",
        obj(**DATA, additional_data=obj(pagination=obj(start=INT, next_start=INT))),
        (query("start", INT, default=0), LIMIT),
        {},
    ),
    ("offset offset", obj(**DATA, next=said("URL to the next page"), total=INT), (query("offset", INT), LIMIT), {}),
    ("offset _skip", obj(**DATA, has_more="boolean"), (query("_skip", INT), query("_limit", INT)), {}),
    ("offset first", array(ROW), (query("first", INT, "Pagination offset"), query("max", INT)), {}),
    (
        "page page",
        obj(result=array(ROW), errors=array(ROW), result_info=obj(page=INT, total_pages=INT)),
        (query("page", "number"), query("per_page", "number")),
        {},
    ),
    ("page page", array(ROW), (query("page", INT, default=1), query("offset", INT), query("per_page", INT)), {}),
    (
        "page searchCriteria[currentPage]",
        obj(items=array(ROW), total_count=INT),
        (query("searchCriteria[pageSize]", INT), query("searchCriteria[currentPage]", INT)),
        {},
    ),
    (
        "page page",
        obj(content=array(ROW), totalPages=INT, number=INT, last="boolean"),
        (query("page", INT, "Zero-based page index (0..N)"), query("size", INT)),
        {},
    ),
    (
        "last_record after",
        array(ROW),
        (LIMIT, query("after", description="the highest user id in the previous page")),
        {},
    ),
]


@pytest.mark.parametrize(("expected", "response", "parameters", "members"), REQUESTED)
def test_paging_by_query(
    expected: str, response: Any, parameters: tuple[Any, ...], members: dict[str, Any]
) -> None:
    assert how(stream("/rows", get(response, *parameters, **members)).pagination.value) == expected


@pytest.mark.parametrize(
    ("expected", "path", "response", "body"),
    [
        ("cursor cursor <- cursor", "/files/list", obj(entries=array(ROW), cursor="string"), obj(cursor="string")),
        (
            "cursor cursor <- nextCursor",
            "/rows.list",
            obj(results=array(ROW), nextCursor="string"),
            obj(cursor="string"),
        ),
        (
            "page pagination.page",
            "/rows/search",
            obj(rows=array(ROW), total=INT),
            obj(filter=obj(page="string"), pagination=obj(page=INT, limit=INT)),
        ),
        ("offset options.offset", "/rows/list", obj(rows=array(ROW)), obj(options=obj(count=INT, offset=INT))),
        (
            "cursor page.cursor <- page.next_cursor",
            "/rows/search",
            obj(rows=array(ROW), page=obj(next_cursor="string")),
            obj(page=obj(cursor="string", size=INT)),
        ),
        ("offset from", "/rows/_search", obj(hits=obj(total=INT, hits=array(ROW))), obj(**{"from": INT}, size=INT)),
        ("page page", "/orders/list", obj(data=obj(list=array(ROW), total=INT)), obj(page=INT, page_size=INT)),
        (
            "cursor after <- paging.next.after",
            "/contacts/search",
            obj(results=array(ROW), total=INT, paging=obj(next=obj(after="string"))),
            obj(limit=INT, after=said("A paging cursor token for retrieving subsequent pages.")),
        ),
    ],
)
def test_paging_by_body(expected: str, path: str, response: Any, body: Any) -> None:
    found = stream(path, post(response, body)).pagination.value
    assert how(found) == expected
    assert getattr(found, "location", None) == "body"
