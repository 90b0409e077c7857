"""Doubts must not cry wolf: what real APIs do while all is well is read completely, and each record once."""

from __future__ import annotations

from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from contracts.blueprint import CursorPagination, OffsetPagination, PageNumberPagination, Pagination
from tests.support.blueprints import PAGINATIONS, blueprint, stream
from tests.support.generated import config, connector
from tests.support.paged_api import Answer, Api, Asked, Route, records, serving

PAGE = PageNumberPagination(param="page")
SIZE = 5
_serial = count()


def _page(asked: Asked) -> int:
    return int(asked.query["page"])


def _added_while_read(asked: Asked) -> Answer:
    """A record is put before all others after the first page was read: the fifth comes again."""
    held = records(12) if _page(asked) <= 1 else [{"id": 99}, *records(12)]
    begin = max(0, (_page(asked) - 1) * SIZE)
    return Answer(body={"data": held[begin : begin + SIZE], "total": len(held)})


def _refuses(status: int) -> Route:
    def route(asked: Asked) -> Answer:
        number = _page(asked)
        if number < 1 or (number - 1) * SIZE >= 12:
            return Answer(status, {"error": "no such page"}) if number < 1 else Answer(body={"data": []})
        return Answer(body={"data": records(12)[(number - 1) * SIZE : number * SIZE]})

    return route


def _clamped(asked: Asked) -> Answer:
    number = max(1, _page(asked))
    return Answer(body={"data": records(12)[(number - 1) * SIZE : number * SIZE], "next_page": number + 1})


def _refused_behind_the_last(asked: Asked) -> Answer:
    number = _page(asked)
    if not 1 <= number <= 2:
        return Answer(404, {"error": "out of range"})
    return Answer(body={"data": records(10)[(number - 1) * SIZE : number * SIZE], "meta": {"pages": 2}})


def _cursor_to_poll_from(asked: Asked) -> Answer:
    begin = int(asked.query.get("cursor", "0"))
    body = {"data": records(12)[begin : begin + SIZE], "next_cursor": str(min(12, begin + SIZE))}
    return Answer(body={**body, "has_more": begin + SIZE < 12})


def _signed_links(asked: Asked) -> Answer:
    """Everything at once, whatever is asked; something in each record is new each time."""
    return Answer(body={"data": [{**row, "file": f"/f?sig={next(_serial)}"} for row in records(12)]})


def _by_offset(asked: Asked) -> Answer:
    begin = int(asked.query["offset"])
    return Answer(body={"data": records(10)[begin : begin + SIZE], "meta": {"total": 10}})


def _inclusive_from_one(asked: Asked) -> Answer:
    """Offset 0 and 1 are the same place: the first record of the second page ended the first."""
    begin = max(0, int(asked.query["offset"]) - 1)
    return Answer(body={"data": records(12)[begin : begin + SIZE]})


def _nothing(**beside: Any) -> Route:
    return lambda asked: Answer(body={"data": [], **beside})


def _kinds(asked: Asked) -> Answer:
    """What was taken for the key is no key: on each page it goes through the same values."""
    number = _page(asked)
    rows = [{"id": row["id"], "kind": f"kind {row['id'] % 2}"} for row in records(12)]
    return Answer(body={"data": rows[(number - 1) * 4 : number * 4] if number > 0 else []})


WELL: dict[str, tuple[Pagination, Route, int]] = {
    "added_while_read": (PAGE, _added_while_read, 12),
    "page_0_refused": (PAGE, _refuses(400), 12),
    "page_0_unknown": (PAGE, _refuses(404), 12),
    "page_0_clamped": (PAGE, _clamped, 12),
    "behind_the_last": (
        PageNumberPagination(param="page", total_pages_path=("meta", "pages")),
        _refused_behind_the_last,
        10,
    ),
    "cursor_to_poll_from": (
        CursorPagination(param="cursor", path=("next_cursor",), has_more_path=("has_more",)),
        _cursor_to_poll_from,
        12,
    ),
    "signed_links": (PAGINATIONS["none"], _signed_links, 12),
    "full_last_page": (OffsetPagination(param="offset", total_path=("meta", "total")), _by_offset, 10),
    "inclusive_from_one": (OffsetPagination(param="offset"), _inclusive_from_one, 12),
    "no_key": (PAGE, _kinds, 12),
    "no_errors": (PAGE, _nothing(errors=[], error=None, success=True, code=0), 0),
    "nothing_found": (PAGE, _nothing(message="nothing found", status="ok", total=0), 0),
}


def test_what_real_apis_do_is_read_completely(tmp_path: Path) -> None:
    streams = [
        stream(name, pagination=rule, primary_key=((("kind",),) if name == "no_key" else (("id",),)))
        for name, (rule, _, _) in WELL.items()
    ]
    made = connector(blueprint(*streams), tmp_path)
    with serving(Api(routes={f"/{name}": route for name, (_, route, _) in WELL.items()})) as api:
        said = made.read(config(api.url), *WELL)
    assert said.code == 0, said.errors()
    for name, (_, _, held) in WELL.items():
        assert [record["id"] for record in said.records(name)] == list(range(1, held + 1)), name


def test_totals_that_hold_are_believed_without_a_request_more(tmp_path: Path) -> None:
    made = connector(blueprint(stream("by_offset", pagination=PAGINATIONS["offset"])), tmp_path)
    with serving(Api()) as api:
        held = records(12)
        api.routes["/by_offset"] = lambda asked: Answer(
            body={
                "data": held[int(asked.query["offset"]) : int(asked.query["offset"]) + SIZE],
                "meta": {"total": 12},
            }
        )
        said = made.read(config(api.url), "by_offset")
        asked = sorted(int(request.query["offset"]) for request in api.asked)
    assert said.code == 0, said.errors()
    assert asked == [0, 1, 5, 10], "three pages, and a look at whether the offset counts records"


ERRORS: dict[str, Any] = {
    "errors_beside_nothing": {"data": [], "errors": [{"detail": "the index is being rebuilt"}]},
    "no_success": {"data": None, "success": False},
    "status_in_words": {"status": "FAILED"},
    "code_of_http": {"code": 403, "data": None},
    "only_a_message": {"message": "Quota exceeded"},
}


def _answers(body: Any, asked: Asked) -> Answer:
    return Answer(body=body)


def test_errors_that_come_with_status_200_are_errors(tmp_path: Path) -> None:
    made = connector(blueprint(*(stream(name, pagination=PAGE) for name in ERRORS)), tmp_path)
    routes: dict[str, Route] = {f"/{name}": partial(_answers, body) for name, body in ERRORS.items()}
    with serving(Api(routes=routes)) as api:
        said = made.read(config(api.url), *ERRORS)
    assert said.code == 1
    assert {error["stream_descriptor"]["name"] for error in said.errors()} == set(ERRORS)
    assert all("answers with an error" in error["message"] for error in said.errors())


NAMED: dict[str, tuple[Any, str]] = {
    "slack": ({"ok": False, "error": "invalid_auth"}, "config_error"),
    "grpc": ({"error": {"code": 16, "status": "UNAUTHENTICATED"}}, "config_error"),
    "as_http": ({"data": [], "errors": [{"status": "403", "detail": "no right to read this"}]}, "config_error"),
    "expired": ({"success": False, "errorCode": "ACCESS_TOKEN_EXPIRED"}, "config_error"),
    "refused": (
        {"data": [], "error": {"code": "too_deep", "message": "unauthorized words are no code"}},
        "system_error",
    ),
}
"""Body with status 200 -> Airbyte's type of the failure."""


def test_errors_that_come_with_status_200_are_classified_by_their_codes(tmp_path: Path) -> None:
    made = connector(blueprint(*(stream(name, pagination=PAGE) for name in NAMED)), tmp_path)
    routes: dict[str, Route] = {f"/{name}": partial(_answers, body) for name, (body, _) in NAMED.items()}
    with serving(Api(routes=routes)) as api:
        said = made.read(config(api.url), *NAMED)
    types = {error["stream_descriptor"]["name"]: error["failure_type"] for error in said.errors()}
    assert types == {name: kind for name, (_, kind) in NAMED.items()}


@pytest.mark.parametrize(
    "busy",
    [
        {"ok": False, "error": "ratelimited"},
        {"data": [], "error": {"code": 503}},
        {"errors": [{"code": "THROTTLED"}]},
    ],
)
def test_error_that_may_pass_is_tried_again_though_its_status_is_200(busy: dict[str, Any], tmp_path: Path) -> None:
    made = connector(blueprint(stream("a", pagination=PAGE)), tmp_path)
    with serving(Api(routes={"/a": _refuses(200)}, first={"/a": [Answer(body=busy)]})) as api:
        said = made.read(config(api.url), "a")
    assert said.code == 0, said.stdout
    assert said.records("a") == records(12)
