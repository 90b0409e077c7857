"""The sample CRM's API, written by hand and without a look at the connectors: the demo's independent truth.

``python -m infra.cli.sample_crm.server`` serves it on a free loopback port and prints the URL.
"""

from __future__ import annotations

import argparse
import base64
import binascii
import socket
from collections import deque
from collections.abc import Awaitable, Callable
from time import monotonic

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from infra.cli.sample_crm.data import TOKEN, Record, collections

REQUESTS_PER_S = 60
ACTIVITIES_PER_PAGE = 10


class BadRequest(Exception):
    """A parameter that the API does not take."""


def _number(request: Request, name: str, default: int, low: int, high: int) -> int:
    raw = request.query_params.get(name, str(default))
    if not raw.isdecimal() or not low <= int(raw) <= high:
        raise BadRequest(f"{name} must be a whole number from {low} to {high}")
    return int(raw)


def _since(request: Request, name: str, records: list[Record]) -> list[Record]:
    since = request.query_params.get(name, "")
    return [record for record in records if record["updated_at"] >= since]


def contacts(request: Request) -> Response:
    page = _number(request, "page", 1, 1, 10**6)
    size = _number(request, "per_page", 20, 1, 50)
    found = _since(request, "updated_since", collections()["contacts"])
    data = found[(page - 1) * size : page * size]
    pages = -(-len(found) // size)
    return JSONResponse({"data": data, "page": page, "per_page": size, "total_pages": pages})


def contact(request: Request) -> Response:
    wanted = request.path_params["contact_id"]
    found = [record for record in collections()["contacts"] if record["id"] == wanted]
    return JSONResponse(found[0]) if found else JSONResponse({"error": "no such contact"}, 404)


def companies(request: Request) -> Response:
    offset = _number(request, "offset", 0, 0, 10**6)
    limit = _number(request, "limit", 10, 1, 25)
    found = collections()["companies"]
    return JSONResponse({"items": found[offset : offset + limit], "total": len(found)})


def notes(request: Request) -> Response:
    limit = _number(request, "limit", 5, 1, 20)
    found = [note for note in collections()["notes"] if note["company_id"] == request.path_params["company_id"]]
    start = 0
    if cursor := request.query_params.get("cursor"):
        ids = [note["id"] for note in found]
        try:
            last = base64.urlsafe_b64decode(cursor).decode(errors="replace")
        except binascii.Error:
            last = ""
        if last not in ids:
            raise BadRequest("this cursor was not made here")
        start = ids.index(last) + 1
    page = found[start : start + limit]
    body: Record = {"notes": page}
    if start + limit < len(found):
        body["next_cursor"] = base64.urlsafe_b64encode(page[-1]["id"].encode()).decode()
    return JSONResponse(body)


def deals(request: Request) -> Response:
    limit = _number(request, "limit", 10, 1, 30)
    found = _since(request, "updated_after", collections()["deals"])
    after = request.query_params.get("starting_after", "")
    found = [deal for deal in found if deal["id"] > after]
    return JSONResponse({"deals": found[:limit], "has_more": len(found) > limit})


def activities(request: Request) -> Response:
    deal = request.path_params["deal_id"]
    page = _number(request, "page", 1, 1, 10**6)
    found = [activity for activity in collections()["activities"] if activity["deal_id"] == deal]
    end = page * ACTIVITIES_PER_PAGE
    headers = {}
    if end < len(found):
        headers["Link"] = f'<{request.url.include_query_params(page=page + 1)}>; rel="next"'
    return JSONResponse(found[end - ACTIVITIES_PER_PAGE : end], headers=headers)


def tasks(request: Request) -> Response:
    size = _number(request, "page_size", 15, 1, 40)
    start = _number(request, "from", 0, 0, 10**6)
    found = collections()["tasks"]
    more = start + size < len(found)
    following = str(request.url.include_query_params(**{"from": start + size})) if more else None
    return JSONResponse({"results": found[start : start + size], "next": following})


def users(_: Request) -> Response:
    return JSONResponse(collections()["users"])


def guarded(
    handler: Callable[[Request], Response], recent: deque[float]
) -> Callable[[Request], Awaitable[Response]]:
    """Ask for the token, limit the rate (a sliding second), and answer bad parameters with 400."""

    async def handle(request: Request) -> Response:
        if request.headers.get("authorization") != f"Bearer {TOKEN}":
            return JSONResponse({"error": "the token is missing or wrong"}, 401)
        now = monotonic()
        while recent and recent[0] <= now - 1:
            recent.popleft()
        if len(recent) >= REQUESTS_PER_S:
            return JSONResponse({"error": "slow down"}, 429, headers={"Retry-After": "1"})
        recent.append(now)
        try:
            return handler(request)
        except BadRequest as error:
            return JSONResponse({"error": str(error)}, 400)

    return handle


def app() -> Starlette:
    """The API below ``/v1``."""
    recent: deque[float] = deque()
    routes = {
        "/contacts": contacts,
        "/contacts/{contact_id:int}": contact,
        "/companies": companies,
        "/companies/{company_id}/notes": notes,
        "/deals": deals,
        "/deals/{deal_id}/activities": activities,
        "/tasks": tasks,
        "/users": users,
    }
    return Starlette(routes=[Route(f"/v1{path}", guarded(handler, recent)) for path, handler in routes.items()])


def main() -> None:
    """Serve on a loopback port (``--port``, default a free one) and print the base URL when listening."""
    parser = argparse.ArgumentParser(description=f"The sample CRM; its token is {TOKEN!r}.")
    parser.add_argument("--port", type=int, default=0)
    with socket.create_server(("127.0.0.1", parser.parse_args().port)) as listener:
        print(f"http://127.0.0.1:{listener.getsockname()[1]}/v1", flush=True)
        uvicorn.Server(uvicorn.Config(app(), log_level="warning")).run(sockets=[listener])


if __name__ == "__main__":
    main()
