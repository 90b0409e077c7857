"""A few pages of every stream, as the simulated API answers them: asked once, kept as JSON, replayed for ever."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlencode

from contracts.simulation import AuthWay, Endpoint, OAuth2Check, Position, SessionCheck, SimulatedApi
from infra.runtime.simulator import Plan, cursors
from infra.runtime.simulator.messages import Reply, Request
from infra.runtime.simulator.plan import Count
from infra.runtime.simulator.population import Partition, variables_of
from infra.runtime.simulator.site import Routes, Site
from infra.runtime.simulator.values import at_path
from services.tester.conformance.binding import Bound, ancestors

ORIGIN = "http://canned.invalid"
"""Stands for the address of the server (RFC 6761: no real name), in what it answers and in the configs."""

ACCESS_TOKEN = "issued-test-token"  # noqa: S105 - what the canned OAuth server issues
MAX_BYTES = 1_000_000
_ONE_PAGE = 1_000
_SURE = 0.9
"""Confidence from which a field is the records' key, and not just something that differs."""


@dataclass(frozen=True)
class Scale:
    """``page`` records fit a page. A list holds ``flat`` records, one that others hang on ``parents``, and a nested
    one ``nested``, dealt to its parents in turn."""

    page: int
    flat: int
    parents: int
    nested: tuple[int, ...]


SCALES = (Scale(3, 5, 4, (4, 0, 1, 0)), Scale(1, 2, 2, (2, 0)), Scale(1, 2, 1, (2,)))
"""The largest first; where it makes more than `MAX_BYTES`, the next."""


@dataclass
class Canned:
    """``routes``: method and path -> positions and pages. ``streams``: what there is to read. ``left_out``: stream
    -> why there are no answers for it."""

    routes: dict[str, Any] = field(default_factory=dict)
    streams: dict[str, Any] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)


def canned(
    api: SimulatedApi,
    streams: Iterable[Bound],
    variables: Mapping[str, str],
    one_page: frozenset[str] = frozenset(),
) -> Canned:
    """Answers for ``streams``, at most about `MAX_BYTES` of JSON.

    Args:
        variables: values of the path variables that the config fills.
        one_page: streams whose answers come at once.
    """
    bound = list(streams)
    for scale in SCALES:
        made = _Recorder(api, bound, variables, one_page, scale).record()
        if len(json.dumps(made.routes)) <= MAX_BYTES:
            break
    above = {key for one in bound for key in ancestors(one.endpoint, api)}
    return _lightened(made, frozenset(one.name for one in bound if one.endpoint.key in above))


def ways_of(ways: Iterable[AuthWay]) -> list[list[dict[str, Any]]]:
    """What the canned server lets in."""
    return [[_check(check) for check in way] for way in ways]


def _check(check: Any) -> dict[str, Any]:
    if isinstance(check, OAuth2Check):
        return {"kind": "oauth2", "direct": check.direct}
    told: dict[str, Any] = check.model_dump(mode="json")
    return {**told, "direct": False} if isinstance(check, SessionCheck) else told


class _Recorder:
    """Asks a simulated API whose pages are small, in this process."""

    def __init__(
        self,
        api: SimulatedApi,
        streams: list[Bound],
        variables: Mapping[str, str],
        one_page: frozenset[str],
        scale: Scale,
    ) -> None:
        whole = {one.endpoint.key for one in streams if one.name in one_page}
        self.streams = streams
        self.api = api.model_copy(
            update={
                "endpoints": {
                    key: _sized(endpoint, _ONE_PAGE if key in whole else scale.page)
                    for key, endpoint in api.endpoints.items()
                }
            }
        )
        plan = Plan(counts=self._counts(scale), variables=variables)
        self.site = Site(self.api, Routes(self.api), plan, lambda: 0.0)

    def _counts(self, scale: Scale) -> dict[str, Count]:
        above = {key for one in self.streams for key in ancestors(one.endpoint, self.api)}
        counts: dict[str, Count] = {}
        for key, endpoint in self.api.endpoints.items():
            counts[key] = scale.nested if endpoint.bindings else scale.parents if key in above else scale.flat
        return counts

    def record(self) -> Canned:
        made = Canned()
        for one in self.streams:
            endpoint = self.api.endpoints[one.endpoint.key]
            routes, problem = self._routes(endpoint, one.via)
            if problem:
                made.left_out[one.name] = problem
                continue
            made.routes |= routes
            ground = endpoint.ground("identity")
            made.streams[one.name] = {
                "routes": list(routes),
                "path": list(endpoint.records.path),
                "shape": endpoint.records.shape,
                "field": endpoint.records.field,
                "identity": [list(path) for path in endpoint.records.identity],
                "has_key": ground.stated and ground.confidence >= _SURE,
            }
        return made

    def _routes(self, endpoint: Endpoint, via: Mapping[str, str]) -> tuple[dict[str, Any], str]:
        """Path -> its answers, for every record of the parents; or the reason why there are none."""
        routes = {}
        for partition in self.site.population.partitions(endpoint.key, via):
            pages = list(self._pages(endpoint, partition))
            refused = next((reply for reply in pages if reply.status != 200), None)
            if refused is not None:
                return {}, f"the simulated API refuses it: {refused.body.decode(errors='replace')[:200]}"
            ways = {} if endpoint.auth is None else {"ways": ways_of(endpoint.auth)}
            positions = [_told(endpoint, position, pages) for position in _positions(endpoint)]
            answers = {**ways, "positions": positions, "pages": [_answer(reply) for reply in pages]}
            routes[f"{endpoint.method} {self._path(endpoint, partition, quoted=False)}"] = _legible(
                answers, endpoint, pages
            )
        return routes, "" if routes else "nothing says what to put for a variable of its path"

    def _pages(self, endpoint: Endpoint, partition: Partition) -> Iterator[Reply]:
        """Every page, and the one behind the last."""
        positions = _positions(endpoint)
        last: list[Reply] = [self._ask(endpoint, partition, None, "")]
        yield last[0]
        while positions and last[-1].status == 200 and last[-1].rows:
            last.append(self._ask(endpoint, partition, positions[0], _value(endpoint, positions[0], last)))
            yield last[-1]

    def _ask(self, endpoint: Endpoint, partition: Partition, position: Position | None, value: str) -> Reply:
        target, body = self._path(endpoint, partition, quoted=True), b""
        if position is not None and position.location == "query":
            target = f"{target}?{urlencode({position.param: value})}"
        elif position is not None:
            nested: Any = value
            for key in reversed(position.param.split(".")):
                nested = {key: nested}
            body = json.dumps(nested).encode()
        host = {"host": ORIGIN.removeprefix("http://")}
        reply = self.site.answer(Request.of(endpoint.method, target, host, body)).reply
        assert reply is not None, "only a fault leaves a request unanswered, and this plan has none"
        return reply

    def _path(self, endpoint: Endpoint, partition: Partition, *, quoted: bool) -> str:
        path = endpoint.path
        for variable, value in zip(variables_of(path), partition.values, strict=True):
            path = path.replace("{" + variable + "}", quote(value, safe="") if quoted else value)
        return f"{self.api.base_path}{path}"


def _sized(endpoint: Endpoint, page: int) -> Endpoint:
    """The endpoint with pages of this size, whatever else a request says: only the paging is told apart here."""
    size = endpoint.size.model_copy(update={"default": page, "maximum": None})
    return endpoint.model_copy(update={"accepts": (), "size": size})


def _positions(endpoint: Endpoint) -> list[Position]:
    if endpoint.records.shape == "single" or endpoint.position.kind == "none":
        return []
    return [position for position in (endpoint.position, *endpoint.also) if position.kind != "none"]


def _told(endpoint: Endpoint, position: Position, pages: list[Reply]) -> dict[str, Any]:
    """How a request names each of ``pages`` by ``position``: value -> index."""
    values = {_value(endpoint, position, pages[:number]): number for number in range(len(pages))}
    return {"param": position.param, "location": position.location, "pages": values}


def _value(endpoint: Endpoint, position: Position, before: list[Reply]) -> str:
    """What a request for the page after ``before`` carries."""
    start = sum(len(reply.rows) for reply in before)
    if position.kind == "page":
        return str(len(before) + position.first)
    if position.kind == "offset":
        return str(start + position.first)
    if position.kind == "cursor":
        return cursors.token(endpoint.key, start, numeric=position.numeric)
    if not before:
        return ""
    found = json.loads(before[-1].body)
    for key in endpoint.records.path:
        found = found[key]
    records = list(found.values()) if isinstance(found, dict) else found
    if endpoint.records.field:
        return str(records[-1]) if records else ""
    return str(at_path(records[-1], position.field)) if records else ""


def _legible(answers: dict[str, Any], endpoint: Endpoint, pages: list[Reply]) -> dict[str, Any]:
    """``answers`` with the page tokens shortened to ``page-2``: nobody, and no scanner, takes these for secrets."""
    text = json.dumps(answers)
    if any(position.kind == "cursor" and not position.numeric for position in _positions(endpoint)):
        for number in range(1, len(pages)):
            start = sum(len(reply.rows) for reply in pages[:number])
            text = text.replace(cursors.token(endpoint.key, start), f"page-{number + 1}")
    made: dict[str, Any] = json.loads(text)
    return made


def _answer(reply: Reply) -> dict[str, Any]:
    return {"headers": {"Content-Type": reply.media_type, **dict(reply.headers)}, "body": json.loads(reply.body)}


def _lightened(made: Canned, kept: frozenset[str]) -> Canned:
    """Without the largest streams, but for those ``kept`` that others hang on, until the rest is small enough."""
    sizes = {route: len(json.dumps(answers)) for route, answers in made.routes.items()}
    users = Counter(route for about in made.streams.values() for route in about["routes"])
    total = sum(sizes.values())
    free = (name for name in made.streams if name not in kept)
    by_size = sorted(free, key=lambda name: sum(sizes[route] for route in made.streams[name]["routes"]))
    while total > MAX_BYTES and by_size:
        name = by_size.pop()
        made.left_out[name] = "its records are too large to keep some here"
        for route in made.streams.pop(name)["routes"]:
            users[route] -= 1
            if not users[route]:
                total -= sizes[route]
                del made.routes[route]
    return made
