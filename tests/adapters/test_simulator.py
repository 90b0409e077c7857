"""The simulator over real HTTP: every paging kind, doors, filters, faults, counts."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest

from contracts.simulation import (
    Accepted,
    ApiKeyCheck,
    BasicCheck,
    BearerCheck,
    Endpoint,
    Ground,
    OAuth2Check,
    PageSize,
    PathBinding,
    Position,
    Records,
    Signal,
    SimulatedApi,
    Sorting,
    Source,
    TimeField,
    TimeFilter,
)
from infra.runtime import clock
from infra.runtime.simulator import Fault, Plan, Simulator, Size, Throttle
from tests.support.walker import Endless, walk

SCHEMA = {
    "type": "object",
    "properties": {
        "id": {"type": "integer"},
        "slug": {"type": "string"},
        "updated_at": {"type": "string", "format": "date-time"},
        "note": {"type": ["string", "null"]},
    },
    "required": ["id", "slug", "updated_at"],
}
CURSOR = Position(kind="cursor", param="cursor")


def endpoint(path: str = "/things", **changes: Any) -> Endpoint:
    records = Records(
        path=("data",), json_schema=SCHEMA, identity=(("id",), ("slug",)), times=(TimeField(path=("updated_at",)),)
    )
    base: dict[str, Any] = {
        "key": f"{changes.get('method', 'GET')} {path}",
        "path": path,
        "records": records,
        "size": PageSize(param="limit", default=4, maximum=6),
        **changes,
    }
    return Endpoint(**base)


def api(*endpoints: Endpoint, **more: Any) -> SimulatedApi:
    return SimulatedApi(title="t", base_path="/v1", endpoints={e.key: e for e in endpoints}, **more)


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(timeout=5) as made:
        yield made


KINDS = {
    "none": endpoint(),
    "page": endpoint(position=Position(kind="page", param="page", first=1)),
    "page from 0 with total_pages": endpoint(
        position=Position(kind="page", param="p"), signals=(Signal(kind="total_pages", path=("meta", "pages")),)
    ),
    "offset with total": endpoint(
        position=Position(kind="offset", param="offset"), signals=(Signal(kind="total", path=("total",)),)
    ),
    "cursor in body": endpoint(
        position=CURSOR, signals=(Signal(kind="next_cursor", path=("m", "next"), at_end="null"),)
    ),
    "numeric cursor": endpoint(
        position=Position(kind="cursor", param="cursor", numeric=True),
        signals=(Signal(kind="next_cursor", path=("next",), at_end="empty"),),
    ),
    "cursor in header": endpoint(position=CURSOR, signals=(Signal(kind="next_cursor", header="X-Next-Cursor"),)),
    "next url": endpoint(position=CURSOR, signals=(Signal(kind="next_url", path=("links", "next")),)),
    "relative next url over pages": endpoint(
        position=Position(kind="page", param="page", first=1),
        signals=(Signal(kind="next_url", path=("next",), absolute=False, at_end="null"),),
    ),
    "link header": endpoint(position=CURSOR, signals=(Signal(kind="link", header="Link"),)),
    "links in body": endpoint(
        position=Position(kind="offset", param="skip"), signals=(Signal(kind="links", path=("links",)),)
    ),
    "next page number": endpoint(
        position=Position(kind="page", param="page", first=1),
        signals=(Signal(kind="next_page", path=("next_page",), at_end="null"),),
    ),
    "last record": endpoint(
        position=Position(kind="last_record", param="after", field=("id",)),
        signals=(Signal(kind="has_more", path=("has_more",)),),
    ),
    "post with the page in the body": endpoint(
        path="/things/search",
        method="POST",
        position=Position(kind="offset", param="options.offset", location="body"),
        size=PageSize(param="options.count", location="body", default=4),
    ),
    "map": endpoint(
        records=Records(path=("data",), shape="map", json_schema=SCHEMA, identity=(("id",),)),
        position=Position(kind="page", param="page", first=1),
    ),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("order", ["ascending", "descending"])
async def test_a_walk_gets_every_record_once(kind: str, order: Any, client: httpx.AsyncClient) -> None:
    served = KINDS[kind]
    async with Simulator(api(served), port=0) as simulator:
        for count in (0, 1, Size("page", -1), Size("page"), Size("page", +1), Size("page", 1, times=3)):
            simulator.reset(Plan(records=count, order=order))
            got = await walk(client, simulator.base_url, served, {})
            expected = list(simulator.expected(served.key))
            assert sorted(r["id"] for r in got) == sorted(r["id"] for r in expected)
            assert len(expected) == (count if isinstance(count, int) else count.of(4))
            assert sorted(simulator.delivered(served.key)) == sorted(simulator.rows(served.key))
            assert {seen.status for seen in simulator.requests} == {200}


async def test_page_size_is_asked_for_capped_or_refused(client: httpx.AsyncClient) -> None:
    strict = endpoint("/strict", size=PageSize(param="limit", default=4, maximum=6, over="reject"))
    capped = endpoint(position=Position(kind="page", param="page", first=1))
    async with Simulator(api(capped, strict), Plan(records=20), port=0) as simulator:
        sizes = []
        for asked in ("5", "100"):
            response = await client.get(f"{simulator.base_url}/things", params={"limit": asked})
            sizes.append(len(response.json()["data"]))
        assert sizes == [5, 6]
        assert simulator.page_size("GET /things") == 5
        for bad in ("0", "-1", "x"):
            assert (await client.get(f"{simulator.base_url}/things", params={"limit": bad})).status_code == 400
        assert (await client.get(f"{simulator.base_url}/strict", params={"limit": "7"})).status_code == 400
        simulator.reset(Plan(records=20, page_size=2))
        assert len((await client.get(f"{simulator.base_url}/things", params={"limit": "5"})).json()["data"]) == 2


async def test_what_the_server_does_not_know_is_refused(client: httpx.AsyncClient) -> None:
    picky = endpoint(
        position=CURSOR,
        signals=(Signal(kind="next_cursor", path=("next",)),),
        accepts=(
            Accepted(name="active", location="query", json_schema={"type": "boolean"}),
            Accepted(name="kind", location="query", json_schema={"enum": ["a", "b"]}),
            Accepted(name="X-Version", location="header", required=True),
        ),
    )
    async with Simulator(api(picky), port=0) as simulator:
        url, good = f"{simulator.base_url}/things", {"X-Version": "1"}
        for query in ({"cursor": "bm9uZQ"}, {"active": "perhaps"}, {"kind": "c"}):
            assert (await client.get(url, params=query, headers=good)).status_code == 400, query
        assert (await client.get(url)).status_code == 400
        assert (await client.get(url, params={"active": "true", "kind": "b"}, headers=good)).status_code == 200
        assert (await client.get(f"{simulator.base_url}/other")).status_code == 404
        assert (await client.delete(url)).status_code == 404
        assert [seen.endpoint for seen in simulator.requests][-2:] == [None, None]


async def test_time_filters_leave_what_they_say(client: httpx.AsyncClient) -> None:
    made = [
        TimeFilter(param=op, field=("updated_at",), op=op, format="date-time")  # type: ignore[arg-type]
        for op in ("gte", "gt", "lte", "lt")
    ]
    functions = (("greater-than(updated,{value})", "gt"), ("less-than(updated,{value})", "lt"))
    for template, op in functions:
        made.append(TimeFilter(param="filter", field=("updated_at",), op=op, template=template))  # type: ignore[arg-type]
    made.append(TimeFilter(param="day", field=("updated_at",), op="lte", format="date"))
    made.append(TimeFilter(param="epoch", field=("updated_at",), op="gte", format="epoch_s"))
    served = endpoint(filters=tuple(made), sorting=Sorting(param="order", descending=("desc",)))
    async with Simulator(api(served), Plan(records=300), port=0) as simulator:
        url = f"{simulator.base_url}/things"
        records = list(simulator.expected(served.key))
        edge = records[100]["updated_at"]

        async def ids(**query: str) -> list[int]:
            response = await client.get(url, params=query)
            assert response.status_code == 200, response.text
            return [record["id"] for record in response.json()["data"]]

        assert await ids(gte=edge) == [r["id"] for r in records if r["updated_at"] >= edge]
        assert await ids(gt=edge) == [r["id"] for r in records if r["updated_at"] > edge]
        assert await ids(lte=edge) == [r["id"] for r in records if r["updated_at"] <= edge]
        assert await ids(lt=edge) == [r["id"] for r in records if r["updated_at"] < edge]
        assert await ids(filter=f"greater-than(updated,{edge})") == await ids(gt=edge)
        between = f"and(greater-than(updated,{edge}),less-than(updated,{records[110]['updated_at']}))"
        assert await ids(filter=between) == [
            r["id"] for r in records if edge < r["updated_at"] < records[110]["updated_at"]
        ]
        assert await ids(day="2021-01-01") == [r["id"] for r in records if r["updated_at"] < "2021-01-02"]
        assert await ids(epoch="1609459800") == [
            r["id"] for r in records if r["updated_at"] >= "2021-01-01T00:10:00Z"
        ]
        assert await ids(gte="2030-01-01T00:00:00+00:00") == []
        assert await ids(order="desc") == [r["id"] for r in reversed(records)]
        assert (await client.get(url, params={"gte": "yesterday"})).status_code == 400


SECRET = "s3cret-value"


async def _statuses(
    client: httpx.AsyncClient, served: SimulatedApi, plan: Plan, attempts: list[dict[str, Any]]
) -> list[int]:
    async with Simulator(served, plan, port=0) as simulator:
        return [(await client.get(f"{simulator.base_url}/things", **attempt)).status_code for attempt in attempts]


async def test_only_the_right_secret_at_the_right_place_gets_in(client: httpx.AsyncClient) -> None:
    plan = Plan(secrets=frozenset({SECRET, "user"}))

    def header(value: str, name: str = "Authorization") -> dict[str, Any]:
        return {"headers": {name: value}}

    def basic(pair: str) -> dict[str, Any]:
        return header("Basic " + base64.b64encode(pair.encode()).decode())

    cases: list[tuple[Any, list[dict[str, Any]], list[dict[str, Any]]]] = [
        (BearerCheck(), [header(f"Bearer {SECRET}")], [header(SECRET), header("Bearer wrong"), {}]),
        (
            BasicCheck(),
            [basic(f"user:{SECRET}"), basic(f"{SECRET}:")],
            [basic("user:no"), basic(":"), header("Basic %")],
        ),
        (
            ApiKeyCheck(location="header", name="X-Key", prefix="Token "),
            [header(f"Token {SECRET}", "X-Key")],
            [header(SECRET, "X-Key"), header(f"Token {SECRET}")],
        ),
        (
            ApiKeyCheck(location="header", name="Authorization"),
            [header(SECRET), header(f"Api-Key {SECRET}")],
            [header("Api-Key wrong")],
        ),
        (
            ApiKeyCheck(location="query", name="key", prefix=""),
            [{"params": {"key": SECRET}}],
            [{"params": {"key": "x"}}],
        ),
        (
            ApiKeyCheck(location="cookie", name="sid", prefix=""),
            [header(f"sid={SECRET}", "Cookie")],
            [header("sid=x", "Cookie")],
        ),
    ]
    for check, right, wrong in cases:
        served = api(endpoint(), auth=((check,),))
        statuses = await _statuses(client, served, plan, [*right, *wrong])
        assert statuses == [200] * len(right) + [401] * len(wrong), check


async def test_two_keys_together_alternatives_and_anonymous_ways(client: httpx.AsyncClient) -> None:
    one = ApiKeyCheck(location="header", name="A", prefix="")
    two = ApiKeyCheck(location="header", name="B", prefix="")
    plan = Plan(secrets=frozenset({SECRET}))
    both: list[dict[str, Any]] = [{"headers": {"A": SECRET, "B": SECRET}}, {"headers": {"A": SECRET}}, {}]
    assert await _statuses(client, api(endpoint(), auth=((one, two),)), plan, both) == [200, 401, 401]
    assert await _statuses(client, api(endpoint(), auth=((one,), (two,))), plan, both) == [200, 200, 401]
    wrong: list[dict[str, Any]] = [{"headers": {"A": "wrong"}}, {}]
    assert await _statuses(client, api(endpoint(), auth=((one,), ())), plan, wrong) == [401, 200]
    assert await _statuses(client, api(endpoint()), plan, [{}]) == [200]


async def test_oauth_issues_expires_and_rotates_tokens(client: httpx.AsyncClient) -> None:
    served = api(endpoint(), auth=((OAuth2Check(token_path="/oauth/token", grants=("refresh_token",)),),))
    plan = Plan(secrets=frozenset({"client", SECRET, "first"}), token_uses=2, rotate=True)
    async with Simulator(served, plan, port=0) as simulator:
        token_url = simulator.token_url_at(simulator.port)
        assert token_url is not None
        form = {
            "grant_type": "refresh_token",
            "client_id": "client",
            "client_secret": SECRET,
            "refresh_token": "first",
        }
        issued = (await client.post(token_url, data=form)).json()
        bearer = {"Authorization": f"Bearer {issued['access_token']}"}
        url = f"{simulator.base_url}/things"
        assert [(await client.get(url, headers=bearer)).status_code for _ in range(3)] == [200, 200, 401]
        assert (await client.get(url, headers={"Authorization": f"Bearer {SECRET}"})).status_code == 401
        assert (await client.post(token_url, data=form)).status_code == 400, "a rotated token works once"
        again = await client.post(token_url, data={**form, "refresh_token": issued["refresh_token"]})
        assert again.status_code == 200
        assert (await client.post(token_url, data={**form, "client_secret": "wrong"})).status_code == 401
        granted = await client.post(token_url, data={"grant_type": "client_credentials"}, auth=("client", SECRET))
        assert granted.status_code == 200
        assert [seen.endpoint for seen in simulator.requests].count("token") == 5


async def test_no_secret_is_kept(client: httpx.AsyncClient) -> None:
    served = api(endpoint(), auth=((ApiKeyCheck(location="query", name="key", prefix=""),),))
    async with Simulator(served, Plan(secrets=frozenset({SECRET})), port=0) as simulator:
        await client.get(f"{simulator.base_url}/things", params={"key": SECRET, "also": SECRET, "limit": "2"})
        assert simulator.requests[0].query == {"limit": "2"}
        assert SECRET not in repr(simulator.requests)


def _family() -> SimulatedApi:
    """Organisations, their projects (by slug), the projects' tasks; members of any team."""
    orgs = endpoint("/orgs")
    by_id = PathBinding(
        variable="org", sources=(Source(endpoint=orgs.key, field=("id",)),), record_field=("org_id",)
    )
    projects = endpoint("/orgs/{org}/projects", bindings=(by_id,))
    sources = (Source(endpoint=projects.key, field=("slug",), shared={"org": "org"}),)
    tasks = endpoint(
        "/orgs/{org}/projects/{project}/tasks",
        bindings=(by_id, PathBinding(variable="project", sources=sources)),
        position=Position(kind="page", param="page", first=1),
    )
    one = endpoint(
        "/orgs/{org}",
        records=Records(shape="single", json_schema=SCHEMA),
        bindings=(by_id.model_copy(update={"record_field": ("id",)}),),
    )
    members = endpoint("/teams/{team}/members")
    return api(orgs, projects, tasks, one, members)


async def test_children_belong_to_their_parents(client: httpx.AsyncClient) -> None:
    served = _family()
    tasks = "GET /orgs/{org}/projects/{project}/tasks"
    plan = Plan(records=2, counts={"GET /orgs/{org}/projects": (3, 0), tasks: (5, 0, 1)})
    async with Simulator(served, plan, port=0) as simulator:
        got: list[dict[str, Any]] = []
        for org in await walk(client, simulator.base_url, served.endpoints["GET /orgs"], {}):
            variables = {"org": str(org["id"])}
            single = await walk(client, simulator.base_url, served.endpoints["GET /orgs/{org}"], variables)
            assert single[0]["id"] == org["id"]
            found = await walk(client, simulator.base_url, served.endpoints["GET /orgs/{org}/projects"], variables)
            assert all(project["org_id"] == variables["org"] for project in found)
            for project in found:
                deeper = {**variables, "project": project["slug"]}
                got += await walk(client, simulator.base_url, served.endpoints[tasks], deeper)
        assert simulator.expected_count(tasks) == len(got) == 6
        assert len({record["id"] for record in got}) == 6
        assert sorted(simulator.delivered(tasks)) == sorted(simulator.rows(tasks))
        row = next(iter(simulator.rows(tasks)))
        assert simulator.record(tasks, row) == next(iter(simulator.expected(tasks)))
        for path in ("/orgs/5/projects", f"/orgs/{got[0]['org_id']}/projects/none/tasks"):
            assert (await client.get(simulator.base_url + path)).status_code == 404


async def test_free_variables_take_what_the_caller_chose(client: httpx.AsyncClient) -> None:
    key = "GET /teams/{team}/members"
    async with Simulator(_family(), Plan(records=2), port=0) as simulator:
        assert simulator.expected_count(key) == 0, "nothing was asked for yet"
        for team in ("red", "blue"):
            assert (await client.get(f"{simulator.base_url}/teams/{team}/members")).status_code == 200
        assert simulator.expected_count(key) == 4
        simulator.reset(Plan(records=2, variables={"team": "red", "org": "mine"}))
        assert simulator.expected_count(key) == 2
        assert (await client.get(f"{simulator.base_url}/teams/blue/members")).status_code == 404
        chosen = await client.get(f"{simulator.base_url}/orgs/mine/projects")
        assert [record["org_id"] for record in chosen.json()["data"]] == ["mine", "mine"]


CURSORED = KINDS["cursor in body"]


async def test_a_failure_that_lasts_strikes_whoever_does_not_wait(client: httpx.AsyncClient) -> None:
    fault = Fault("status", first=2, status=429, retry_after="reset", lasts_s=0.3)
    async with Simulator(api(endpoint()), Plan(faults=(fault,)), port=0) as simulator:
        url = f"{simulator.base_url}/things"
        answers = [await client.get(url) for _ in range(3)]
        assert [answer.status_code for answer in answers] == [200, 429, 429]
        headers = answers[1].headers
        assert (headers["X-RateLimit-Remaining"], "Retry-After" in headers) == ("0", False)
        ahead_s = int(headers["X-RateLimit-Reset"]) - clock.now().timestamp()
        assert 0.5 < ahead_s < 2.1
        await asyncio.sleep(0.3)
        assert (await client.get(url)).status_code == 200


async def test_a_page_size_that_nobody_states_can_be_larger(client: httpx.AsyncClient) -> None:
    left_open = endpoint(size=PageSize(param="limit", default=4), position=CURSOR)
    stated = left_open.model_copy(update={"grounds": (Ground(subject="size", stated=True, confidence=1),)})
    for served, size in ((left_open, 50), (stated, left_open.size.default)):
        async with Simulator(api(served), Plan(records=90, usual_page_size=50), port=0) as simulator:
            await client.get(f"{simulator.base_url}/things")
            assert len(simulator.delivered(served.key)) == simulator.page_size(served.key) == size


async def test_faults_strike_when_they_are_due(client: httpx.AsyncClient) -> None:
    faults = (
        Fault("status", status=429, retry_after=7),
        Fault("status", first=2, status=503, retry_after="date"),
        Fault("bad_json", first=3),
        Fault("cut", first=4),
        Fault("reset", first=5),
        Fault("delay", first=6, delay_s=0.05),
    )
    async with Simulator(api(CURSORED), Plan(records=9, faults=faults), port=0) as simulator:
        url = f"{simulator.base_url}/things"
        first = await client.get(url)
        assert (first.status_code, first.headers["Retry-After"]) == (429, "7")
        second = await client.get(url)
        assert second.status_code == 503
        assert second.headers["Retry-After"].endswith("GMT")
        with pytest.raises(json.JSONDecodeError):
            (await client.get(url)).json()
        for _ in ("cut", "reset"):
            with pytest.raises((httpx.RemoteProtocolError, httpx.ReadError)):
                await client.get(url)
        assert (await client.get(url)).status_code == 200
        assert [seen.status for seen in simulator.requests] == [429, 503, 200, None, None, 200]
        assert [seen.fault for seen in simulator.requests][2:] == ["bad_json", "cut", "reset", "delay"]
        assert len(simulator.delivered(CURSORED.key)) == 4, "only what was sent in full counts"


async def test_a_timeout_is_silence_until_the_next_run(client: httpx.AsyncClient) -> None:
    async with Simulator(api(CURSORED), Plan(faults=(Fault("timeout"),)), port=0) as simulator:
        with pytest.raises(httpx.ReadTimeout):
            await client.get(f"{simulator.base_url}/things", timeout=0.2)
        waiting = asyncio.create_task(client.get(f"{simulator.base_url}/things", timeout=5))
        assert (await waiting).status_code == 200
        simulator.reset(Plan(faults=(Fault("timeout"),)))
        waiting = asyncio.create_task(client.get(f"{simulator.base_url}/things", timeout=5))
        while not simulator.requests:
            await asyncio.sleep(0.01)
        simulator.reset()
        with pytest.raises((httpx.RemoteProtocolError, httpx.ReadError)):
            await waiting


@pytest.mark.parametrize("kind", ["cursor in body", "next url", "link header", "next page number"])
async def test_a_repeated_cursor_never_ends(kind: str, client: httpx.AsyncClient) -> None:
    plan = Plan(records=20, page_size=2, faults=(Fault("repeat_cursor", times=None),))
    async with Simulator(api(KINDS[kind]), plan, port=0) as simulator:
        with pytest.raises(Endless):
            await walk(client, simulator.base_url, KINDS[kind], {})


async def test_endless_pages_repeat_the_last_one(client: httpx.AsyncClient) -> None:
    served = KINDS["page"]
    plan = Plan(records=5, faults=(Fault("endless", times=None),))
    async with Simulator(api(served), plan, port=0) as simulator:
        pages = []
        for number in (1, 2, 3, 9):
            response = await client.get(f"{simulator.base_url}/things", params={"page": number})
            pages.append(len(response.json()["data"]))
        assert pages == [4, 1, 1, 1]


async def test_an_empty_page_leads_on(client: httpx.AsyncClient) -> None:
    plan = Plan(records=9, faults=(Fault("empty_page", first=2),))
    async with Simulator(api(CURSORED), plan, port=0) as simulator:
        got = await walk(client, simulator.base_url, CURSORED, {})
        assert len(got) == 9
        assert [len(seen.rows) for seen in simulator.requests] == [4, 0, 4, 1]


async def test_faults_keep_to_their_endpoint_and_a_throttle_says_when(client: httpx.AsyncClient) -> None:
    other = endpoint("/others")
    plan = Plan(faults=(Fault("status", endpoint="GET /others", times=None),))
    async with Simulator(api(endpoint(), other), plan, port=0) as simulator:
        assert (await client.get(f"{simulator.base_url}/things")).status_code == 200
        assert [(await client.get(f"{simulator.base_url}/others")).status_code for _ in range(3)] == [500] * 3
        simulator.reset(Plan(throttle=Throttle(requests=2, per_s=60)))
        answers = [await client.get(f"{simulator.base_url}/things") for _ in range(3)]
        assert [answer.status_code for answer in answers] == [200, 200, 429]
        assert 1 <= int(answers[2].headers["Retry-After"]) <= 60


async def test_it_serves_on_a_unix_socket(tmp_path: Path) -> None:
    socket = tmp_path / "api.sock"
    async with Simulator(api(CURSORED), Plan(records=3), socket=socket) as simulator:
        transport = httpx.AsyncHTTPTransport(uds=str(socket))
        async with httpx.AsyncClient(transport=transport) as client:
            got = await walk(client, simulator.base_url_at(8080), CURSORED, {})
        assert len(got) == 3
        with pytest.raises(RuntimeError):
            _ = simulator.port
    assert not socket.exists()


async def test_requests_that_differ_in_their_body_are_noted_as_different(client: httpx.AsyncClient) -> None:
    async with Simulator(api(KINDS["post with the page in the body"]), Plan(records=9), port=0) as simulator:
        for offset in (0, 4, 4):
            await client.post(f"{simulator.base_url}/things/search", json={"options": {"offset": offset}})
    first, second, again = (seen.body for seen in simulator.requests)
    assert first != second == again


async def test_a_body_that_is_no_json_is_refused(client: httpx.AsyncClient) -> None:
    served = KINDS["post with the page in the body"]
    async with Simulator(api(served), port=0) as simulator:
        for body in (b"{", b"[" * 100_000, b'{"options": {"offset": "x"}}'):
            answer = await client.post(f"{simulator.base_url}/things/search", content=body)
            assert answer.status_code == 400, body[:20]


async def test_hostile_requests_get_an_error_and_the_server_lives(client: httpx.AsyncClient) -> None:
    async with Simulator(api(CURSORED), port=0) as simulator:
        for raw in (b"\x00\x01\r\n\r\n", b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"y" * 100_000 + b"\r\n\r\n"):
            reader, writer = await asyncio.open_connection("127.0.0.1", simulator.port)
            writer.write(raw)
            answer = await reader.read(12)
            assert answer.startswith(b"HTTP/1.1 4"), answer
            writer.close()
        for cursor in ("9" * 5000, "AAAA" * 50, "%ff"):
            assert (await client.get(f"{simulator.base_url}/things", params={"cursor": cursor})).status_code == 400
        body = b"x" * (2 * 1024 * 1024)
        refused = await client.post(f"{simulator.base_url}/things", content=body)
        assert refused.status_code == 413
        assert (await client.get(f"{simulator.base_url}/things")).status_code == 200
