"""Request in, reply out: the simulated server without its sockets."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from urllib.parse import unquote

from contracts.simulation import Endpoint, SimulatedApi
from infra.runtime.simulator import pages, params
from infra.runtime.simulator.doors import Doors
from infra.runtime.simulator.messages import Refused, Reply, Request, problem, refuse
from infra.runtime.simulator.plan import Fault, Plan
from infra.runtime.simulator.population import Partition, Population, variables_of

TOKEN = "token"  # noqa: S105 - the name under which requests for tokens are counted


@dataclass(frozen=True)
class Answer:
    """``endpoint`` is a key, `TOKEN`, or ``None`` for a path that leads nowhere. ``reply`` is ``None`` where a
    fault takes its place."""

    endpoint: str | None
    reply: Reply | None
    fault: Fault | None = None


class Routes:
    """Which endpoint a path means: the most literal template wins, as OpenAPI 3.1 (section 4.8.8) has it."""

    def __init__(self, api: SimulatedApi) -> None:
        self._by_shape: dict[tuple[str, int], list[tuple[re.Pattern[str], Endpoint]]] = {}
        for endpoint in sorted(api.endpoints.values(), key=lambda e: (len(variables_of(e.path)), -len(e.path))):
            shape = (endpoint.method, endpoint.path.count("/"))
            self._by_shape.setdefault(shape, []).append((_pattern(api.base_path + endpoint.path), endpoint))
        self._base_depth = api.base_path.count("/")

    def find(self, method: str, path: str) -> tuple[Endpoint, dict[str, str]] | None:
        """The endpoint and the decoded values of its path variables."""
        for pattern, endpoint in self._by_shape.get((method, path.count("/") - self._base_depth), ()):
            match = pattern.fullmatch(path)
            if match:
                values = (unquote(value) for value in match.groups())
                return endpoint, dict(zip(variables_of(endpoint.path), values, strict=True))
        return None


def _pattern(template: str) -> re.Pattern[str]:
    parts = re.split(r"\{[^{}]+\}", template)
    return re.compile("([^/]+)".join(re.escape(part) for part in parts))


class Site:
    """One run of the server: its population, its doors, and how often each fault has had its chance."""

    def __init__(self, api: SimulatedApi, routes: Routes, plan: Plan, now_s: Callable[[], float]) -> None:
        self.population = Population(api, plan)
        self.doors = Doors(api, plan, now_s)
        self._api = api
        self._routes = routes
        self._plan = plan
        self._now_s = now_s
        self._chances = [0] * len(plan.faults)
        self._struck_s: dict[int, float] = {}
        self._recent: list[float] = []

    def answer(self, request: Request) -> Answer:
        if request.method == "POST" and request.path in self.doors.issuing_paths:
            return Answer(TOKEN, self.doors.token(request))
        found = self._routes.find(request.method, request.path)
        if found is None:
            return Answer(None, problem(404, f"no endpoint {request.method} {request.path[:200]}"))
        endpoint, variables = found
        ways = self._api.auth if endpoint.auth is None else endpoint.auth
        if not self.doors.admits(ways, request):
            return Answer(endpoint.key, problem(401, "no valid credentials", ("WWW-Authenticate", "Bearer")))
        if retry_after := self._throttled():
            return Answer(endpoint.key, problem(429, "too many requests", ("Retry-After", str(retry_after))))
        fault = self._strike(endpoint.key)
        if fault is not None and fault.kind in ("status", "timeout", "reset"):
            return Answer(endpoint.key, None, fault)
        try:
            reply = self._records(endpoint, variables, request, fault)
        except Refused as refused:
            reply = refused.reply
        return Answer(endpoint.key, reply, fault)

    def _throttled(self) -> int | None:
        """Whole seconds to wait, at least 1; ``None`` while the rate is kept."""
        throttle = self._plan.throttle
        if throttle is None:
            return None
        now = self._now_s()
        self._recent = [at for at in self._recent if at > now - throttle.per_s]
        if len(self._recent) < throttle.requests:
            self._recent.append(now)
            return None
        return max(1, -int(-(self._recent[0] + throttle.per_s - now) // 1))

    def _strike(self, endpoint: str) -> Fault | None:
        """The first fault that is due for this request; every fault counts the requests that it matches."""
        due = None
        for n, fault in enumerate(self._plan.faults):
            if fault.endpoint in (None, endpoint):
                self._chances[n] += 1
                if due is None and self._is_due(n, fault, endpoint):
                    due = fault
        return due

    def _is_due(self, n: int, fault: Fault, endpoint: str) -> bool:
        now = self._now_s()
        if fault.lasts_s is not None and n in self._struck_s:
            return now < self._struck_s[n] + fault.lasts_s
        if not fault.hits(endpoint, self._chances[n]):
            return False
        self._struck_s[n] = now
        return True

    def _records(
        self, endpoint: Endpoint, variables: Mapping[str, str], request: Request, fault: Fault | None
    ) -> Reply:
        params.check(endpoint, request)
        population, key = self.population, endpoint.key
        partition = population.locate(key, variables)
        if partition is None:
            raise refuse(404, f"{request.path[:200]} does not exist")
        default, largest = population.default_size(key), population.largest_size(key)
        size = params.page_size(endpoint, request, default, largest)
        population.settle(key, size)
        if endpoint.records.shape == "single":
            return self._single(endpoint, partition, variables, request)
        return self._page(endpoint, partition, variables, request, size, fault)

    def _single(
        self, endpoint: Endpoint, partition: Partition, variables: Mapping[str, str], request: Request
    ) -> Reply:
        text = self.population.mould(endpoint.key).render((0,), partition.number, variables)[0]
        whole = pages.Page(0, 1, 1, 1, endpoint.position, None)
        body = pages.body(endpoint, request, whole, text, {})
        return Reply(200, body, (), endpoint.media_type, range(1), 0, 1, partition.values)

    def _page(
        self,
        endpoint: Endpoint,
        partition: Partition,
        variables: Mapping[str, str],
        request: Request,
        size: int,
        fault: Fault | None,
    ) -> Reply:
        mould = self.population.mould(endpoint.key)
        passing = pages.span(endpoint, request, self.population.count(endpoint.key, partition.number))
        if self._descends(endpoint, request):
            passing = passing[::-1]

        def place(value: str) -> int | None:
            field = params.asked_position(endpoint, request)[0].field
            index = self.population.place_of(endpoint.key, field, partition, value)
            return passing.index(index) if index is not None and index in passing else None

        page = _bent(endpoint, pages.page(endpoint, request, len(passing), size, place), fault)
        rows = passing[page.start : page.start + page.length]
        texts = mould.render(rows, partition.number, variables)
        body = pages.body(endpoint, request, page, _joined(endpoint, rows, texts), last := _last(texts))
        headers = pages.headers(endpoint, request, page, last)
        number = page.start // page.size
        return Reply(200, body, headers, endpoint.media_type, rows, number, page.size, partition.values)

    def _descends(self, endpoint: Endpoint, request: Request) -> bool:
        sorting = endpoint.sorting
        sent = params.body_safe(request, sorting.location, sorting.param) if sorting else None
        if sorting and sent is not None:
            return str(sent) in sorting.descending
        return self._plan.order == "descending"


def _bent(endpoint: Endpoint, page: pages.Page, fault: Fault | None) -> pages.Page:
    """The page as a fault distorts it."""
    if fault is None:
        return page
    if fault.kind == "repeat_cursor" and pages.announces(endpoint):
        return pages.repeated(page)
    if fault.kind == "endless" and page.position.kind != "none":
        return pages.endless(page)
    if fault.kind == "empty_page" and page.position.kind == "cursor" and pages.announces(endpoint):
        return pages.emptied(page)
    return page


def _joined(endpoint: Endpoint, rows: range, texts: list[bytes]) -> bytes:
    if field := endpoint.records.field:
        texts = [json.dumps(json.loads(text)[field], ensure_ascii=False).encode() for text in texts]
    if endpoint.records.shape == "map":
        return b"{" + b",".join(b'"k%d":%s' % pair for pair in zip(rows, texts, strict=True)) + b"}"
    if endpoint.records.lone and len(texts) == 1:
        return texts[0]
    return b"[" + b",".join(texts) + b"]"


def _last(texts: list[bytes]) -> dict[str, object]:
    return json.loads(texts[-1]) if texts else {}
