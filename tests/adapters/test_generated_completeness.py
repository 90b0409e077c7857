"""Whatever the pagination, a generated connector reads every record once, and says so only if it did."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from contracts.blueprint import LastRecordPagination, PageNumberPagination, Selector
from tests.support.blueprints import PAGINATIONS, blueprint, child, small_crm, stream
from tests.support.connector_process import Connector, Said
from tests.support.generated import config, connector
from tests.support.paged_api import Answer, Api, Asked, collection, records, serving

KINDS = list(PAGINATIONS)


@pytest.fixture(scope="module")
def crm(tmp_path_factory: pytest.TempPathFactory) -> Connector:
    return connector(small_crm(), tmp_path_factory.mktemp("crm"))


@pytest.mark.parametrize("count", [0, 1, 4, 5, 6, 11])
def test_every_pagination_reads_every_record_once(crm: Connector, count: int) -> None:
    with serving(Api()) as api:
        api.routes = {f"/by_{kind}": collection(kind, records(count), api=api) for kind in KINDS}
        said = crm.read(config(api.url), *(f"by_{kind}" for kind in KINDS))
    assert said.code == 0, said.stdout
    for kind in KINDS:
        assert said.records(f"by_{kind}") == records(count), kind
        assert said.statuses(f"by_{kind}") == ["STARTED", *(["RUNNING"] if count else []), "COMPLETE"]
        counted = sum(state["sourceStats"]["recordCount"] for state in said.states(f"by_{kind}"))
        assert counted == count


def nested_api(api: Api, contacts: int = 7) -> dict[str, list[int]]:
    """Contacts with 0 to 6 deals, deals with two notes; the answer is what each stream has to yield."""
    deals, notes = {}, {}
    api.routes["/contacts"] = collection("offset", records(contacts), api=api)
    for contact in range(1, contacts + 1):
        deals[contact] = records(contact - 1, start=contact * 100)
        api.routes[f"/contacts/{contact}/deals"] = collection("page", deals[contact], api=api)
        for deal in deals[contact]:
            notes[deal["id"]] = records(2, start=deal["id"] * 10)
            path = f"/contacts/{contact}/deals/{deal['id']}/notes"
            api.routes[path] = collection("none", notes[deal["id"]], api=api)
    return {
        "contacts": [contact["id"] for contact in records(contacts)],
        "deals": [deal["id"] for held in deals.values() for deal in held],
        "notes": [note["id"] for held in notes.values() for note in held],
    }


def ids(said: Said, name: str) -> list[int]:
    """In the order of the parents, which are read side by side; the records of each stay in theirs."""
    return sorted((record["id"] for record in said.records(name)), key=lambda number: number // 100)


def test_nested_streams_are_read_for_every_parent_and_parents_once(crm: Connector) -> None:
    with serving(Api()) as api:
        expected = nested_api(api)
        said = crm.read(config(api.url), "notes", "deals", "contacts")
    assert said.code == 0, said.stdout
    assert ids(said, "contacts") == expected["contacts"]
    assert ids(said, "deals") == expected["deals"]
    assert sorted(ids(said, "notes")) == sorted(expected["notes"])
    asked = Counter((asked.path, asked.query.get("offset")) for asked in api.asked)
    assert asked[("/contacts", "0")] == asked[("/contacts", "5")] == 1, "each page is asked for once"


def test_nested_stream_alone_reads_its_parents_for_their_keys_only(crm: Connector) -> None:
    with serving(Api()) as api:
        expected = nested_api(api)
        said = crm.read(config(api.url, start_date="2024-01-01T00:00:03Z"), "deals")
    assert ids(said, "deals") == expected["deals"], "the start date is no reason to forget a parent's deals"
    assert said.records("contacts") == []


def test_parent_that_is_gone_fails_the_stream_after_reading_the_others(crm: Connector) -> None:
    with serving(Api()) as api:
        expected = nested_api(api)
        del api.routes["/contacts/3/deals"]
        said = crm.read(config(api.url), "deals")
    assert said.code == 1
    assert ids(said, "deals") == [deal for deal in expected["deals"] if not 300 <= deal < 400]
    assert "1 of 7 parents" in said.errors()[0]["message"]
    assert said.statuses("deals")[-1] == "INCOMPLETE"


LIARS: dict[str, tuple[str, Any]] = {
    "total says more": ("offset", {"data": [], "meta": {"total": 3}}),
    "page exists but is empty": ("page_zero", {"data": [], "meta": {"pages": 2}}),
    "has more but sends nothing": ("last_record", {"data": [], "has_more": True}),
    "rows under another key": ("page", {"items": [{"id": 1}], "data_": None}),
    "no object where the list should be": ("page", {"data": {"1": {"id": 1}}}),
    "something else than objects": ("page", {"data": ["a", "b"]}),
    "an array where an object should be": ("page", [{"id": 1}]),
    "an error with status 200": ("page", {"ok": False, "error": "channel_is_archived"}),
    "a total that is no number": ("offset", {"data": [{"id": 1}], "meta": {"total": "many"}}),
    "an undeclared total": ("none", {"data": [{"id": 1}], "total": 17}),
    "an undeclared next page": ("none", {"data": [{"id": 1}], "meta": {"next_page": 2}}),
    "next URL to another host": ("next_url", {"data": [{"id": 1}], "links": {"next": "http://evil.example/x"}}),
    "next URL that is none": ("next_url", {"data": [{"id": 1}], "links": {"next": {"href": "/x"}}}),
}


def test_answers_that_contradict_themselves_fail_loudly(tmp_path: Path) -> None:
    streams = [stream(name.replace(" ", "_"), pagination=PAGINATIONS[kind]) for name, (kind, _) in LIARS.items()]
    with serving(Api()) as api:
        for name, (_, body) in LIARS.items():
            api.routes[f"/{name.replace(' ', '_')}"] = lambda asked, body=body: Answer(body=body)
        said = connector(blueprint(*streams), tmp_path).read(config(api.url), *(item.name for item in streams))
    assert said.code == 1
    failed = {error["stream_descriptor"]["name"]: error for error in said.errors()}
    for item in streams:
        assert said.statuses(item.name)[-1] == "INCOMPLETE", item.name
        assert failed[item.name]["failure_type"] == "system_error"


LOOPS = {
    "page": lambda asked: Answer(body={"data": records(5)}),
    "page_zero": lambda asked: Answer(body={"data": records(5), "meta": {"pages": 99}}),
    "offset": lambda asked: Answer(body={"data": records(5), "meta": {"total": 99}}),
    "cursor": lambda asked: Answer(
        body={"data": records(5, start=int(asked.query.get("cursor", "0")) + 1), "meta": {"next_cursor": "1"}}
    ),
    "header_cursor": lambda asked: Answer(
        body={"data": []}, headers={"X-Next-Cursor": str(int(asked.query.get("cursor", "0")) + 1)}
    ),
    "last_record": lambda asked: Answer(body={"data": records(5), "has_more": True}),
    "next_url": lambda asked: Answer(body={"data": records(5), "links": {"next": asked.path}}),
    "link_header": lambda asked: Answer(body={"data": records(5)}, headers={"Link": "<?from=5>; rel=next"}),
}


def test_paginations_that_do_not_advance_end_loudly(crm: Connector) -> None:
    with serving(Api()) as api:
        api.routes = {f"/by_{kind}": loop for kind, loop in LOOPS.items()}
        said = crm.read(config(api.url), *(f"by_{kind}" for kind in LOOPS))
    assert said.code == 1
    assert {error["stream_descriptor"]["name"] for error in said.errors()} == {f"by_{kind}" for kind in LOOPS}
    assert len(said.errors()) == len(LOOPS)
    assert all("does not advance" in error["message"] for error in said.errors()), said.errors()
    assert len(api.asked) < 150


def test_undeclared_link_header_fails_a_stream_without_pagination(crm: Connector) -> None:
    with serving(Api()) as api:
        api.routes["/by_none"] = lambda asked: Answer(
            body={"data": records(5)}, headers={"Link": '</by_none?page=2>; rel="next"'}
        )
        said = crm.read(config(api.url), "by_none")
    assert said.code == 1
    assert "Link header" in said.errors()[0]["message"]


def test_smaller_pages_than_asked_for_and_empty_pages_lose_nothing(crm: Connector) -> None:
    def gappy(asked: Asked) -> Answer:
        number = int(asked.query.get("cursor", "0"))
        held = records(12)[number * 2 : number * 2 + 2] if number != 2 else []
        after = {"next_cursor": str(number + 1)} if number < 5 else {}
        return Answer(body={"data": held, "meta": after})

    with serving(Api()) as api:
        api.routes = {
            "/by_offset": collection("offset", records(11), size=2, api=api),
            "/by_page": collection("page", records(11), size=3, api=api),
            "/by_cursor": gappy,
        }
        said = crm.read(config(api.url), "by_offset", "by_page", "by_cursor")
    assert said.code == 0, said.stdout
    assert said.records("by_offset") == said.records("by_page") == records(11)
    assert said.records("by_cursor") == records(4) + records(6, start=7)


def test_every_place_and_shape_of_records_is_read(tmp_path: Path) -> None:
    shapes = {
        "bare": (Selector(), [{"id": 1}, {"id": 2}], 2),
        "deep": (Selector(path=("a", "b", "c")), {"a": {"b": {"c": [{"id": 1}]}}}, 1),
        "mapped": (Selector(path=("users",), shape="map"), {"users": {"u1": {"id": 1}, "u2": {"id": 2}}}, 2),
        "one": (Selector(shape="single"), {"id": 1}, 1),
        "nothing": (Selector(path=("data",)), {"data": None}, 0),
        "left_out": (Selector(path=("data",)), {"kind": "list", "meta": {"page": 1}}, 0),
    }
    streams = [stream(name, selector=selector) for name, (selector, _, _) in shapes.items()]
    with serving(Api()) as api:
        for name, (_, body, _) in shapes.items():
            api.routes[f"/{name}"] = lambda asked, body=body: Answer(body=body)
        said = connector(blueprint(*streams), tmp_path).read(config(api.url), *shapes)
    assert said.code == 0, said.stdout
    assert {name: len(said.records(name)) for name in shapes} == {
        name: count for name, (*_, count) in shapes.items()
    }


def test_records_pass_through_as_the_api_wrote_them(crm: Connector) -> None:
    text = (
        '{"data": [\r\n  {"id": 12345678901234567890, "price": 1.10, "name": "\\u00e9\\n\\ud83d\\ude00 \u00fc"}\n]}'
    )
    with serving(Api()) as api:
        api.routes["/by_none"] = lambda asked: Answer(raw=b"\xef\xbb\xbf" + text.encode())
        said = crm.read(config(api.url), "by_none")
    assert said.code == 0, said.stdout
    (line,) = (line for line in said.stdout.splitlines() if '"RECORD"' in line)
    assert '"data":{"id":12345678901234567890,"price":1.10,"name":"\\u00e9\\n\\ud83d\\ude00 \u00fc"}' in line


def test_hostile_ids_of_parents_stay_in_their_place_of_the_path(tmp_path: Path) -> None:
    parents = [{"id": "a/b"}, {"id": "c?d=e#f"}, {"id": "ä %"}]
    kids = child("kids", "parents", "/parents/{p}/kids", "p", pagination=PageNumberPagination(param="page"))
    known = blueprint(
        stream("parents", pagination=LastRecordPagination(param="after", field=("id",))), kids, schemes=()
    )
    with serving(Api()) as api:
        api.routes["/parents"] = lambda asked: Answer(body={"data": [] if "after" in asked.query else parents})
        paths = ["/parents/a%2Fb/kids", "/parents/c%3Fd%3De%23f/kids", "/parents/%C3%A4%20%25/kids"]
        for number, path in enumerate(paths):
            api.routes[path] = lambda asked, number=number: Answer(
                body={"data": records(1, start=number) if asked.query["page"] == "1" else []}
            )
        said = connector(known, tmp_path).read({"base_url": api.url}, "kids")
    assert said.code == 0, said.stdout
    assert sorted(ids(said, "kids")) == [0, 1, 2]
