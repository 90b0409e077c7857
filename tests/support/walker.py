"""A tiny client that reads a simulated endpoint to its end, going by the endpoint's own description."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote, urljoin

import httpx2 as httpx

from contracts.simulation import Endpoint, TimeFilter
from infra.runtime.simulator.mould import time_text
from infra.runtime.simulator.values import at_path

MOST_PAGES = 200
_NEXT = ("next_cursor", "next_url", "link", "links", "next_page", "next_offset")


class Endless(AssertionError):
    """The walk did not come to an end."""


async def walk(
    client: httpx.AsyncClient,
    base_url: str,
    endpoint: Endpoint,
    variables: Mapping[str, str],
    params: Mapping[str, Any] | None = None,
) -> list[dict[str, Any]]:
    """All records of one partition: follows what responses announce, else counts pages until one is empty."""
    path = re.sub(r"\{([^{}]+)\}", lambda m: quote(variables[m.group(1)], safe=""), endpoint.path)
    url, query = base_url + path, {**_required(endpoint), **(params or {})}
    records: list[dict[str, Any]] = []
    for number in range(MOST_PAGES):
        response = await _send(client, endpoint, url, query)
        assert response.status_code == 200, (endpoint.key, response.status_code, response.text[:200])
        found = _records(endpoint, response.json())
        records += found
        step = _next(endpoint, response, found, number, len(records))
        if step is None:
            return records
        if isinstance(step, str):
            url, query = urljoin(url, step), {}
        else:
            query = {**query, **step}
    raise Endless(endpoint.key)


def _required(endpoint: Endpoint) -> dict[str, Any]:
    """Values for what must be sent: the first page, and a span of time that holds everything."""
    first: dict[str, Any] = {
        p.param: p.first for p in (endpoint.position, *endpoint.also) if p.kind in ("page", "offset")
    }
    sizes = {endpoint.size.param: endpoint.size.default}
    spans = {f.param: _edge(f) for f in endpoint.filters}
    needed = (a for a in endpoint.accepts if a.required and a.location in ("query", "body"))
    return {a.name: {**sizes, **spans, **first}.get(a.name, _value(a.json_schema)) for a in needed}


def _edge(time_filter: TimeFilter) -> str:
    year = 2000 if time_filter.op in ("gte", "gt") else 2060
    moment = datetime(year, 1, 1, tzinfo=UTC)
    return time_filter.template.replace("{value}", time_text(moment, time_filter.format))


def _value(schema: Mapping[str, Any]) -> Any:
    if schema.get("enum"):
        return schema["enum"][0]
    declared = schema.get("type", "string")
    kind = declared if isinstance(declared, str) else declared[0]
    if kind == "array":
        return [_value(schema.get("items", {}))]
    known = {"integer": schema.get("minimum", 1), "number": schema.get("minimum", 1), "boolean": True, "object": {}}
    return known.get(kind, "x")


async def _send(client: httpx.AsyncClient, endpoint: Endpoint, url: str, query: dict[str, Any]) -> httpx.Response:
    headers = {
        a.name: str(_value(a.json_schema)) for a in endpoint.accepts if a.required and a.location == "header"
    }
    if endpoint.method == "POST":
        in_query = {a.name for a in endpoint.accepts if a.location == "query"}
        body = _nested({k: v for k, v in query.items() if k not in in_query})
        params = {k: _text(v) for k, v in query.items() if k in in_query}
        return await client.post(url, json=body, params=params or None, headers=headers)
    return await client.get(url, params={k: _text(v) for k, v in query.items()} or None, headers=headers)


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return ",".join(str(v) for v in value) if isinstance(value, list) else str(value)


def _nested(flat: Mapping[str, Any]) -> dict[str, Any]:
    body: dict[str, Any] = {}
    for name, value in flat.items():
        outer, _, inner = name.partition(".")
        if inner:
            held = body.get(outer)
            body[outer] = {**(held if isinstance(held, dict) else {}), inner: value}
        elif not isinstance(body.get(outer), dict):
            body[outer] = value
    return body


def _records(endpoint: Endpoint, body: Any) -> list[dict[str, Any]]:
    found = at_path(body, endpoint.records.path)
    if endpoint.records.shape == "single":
        return [found]
    return list(found.values()) if endpoint.records.shape == "map" else found


def _next(
    endpoint: Endpoint, response: httpx.Response, found: list[dict[str, Any]], number: int, so_far: int
) -> str | dict[str, Any] | None:
    """A URL, the parameters that change, or ``None`` at the end."""
    position = endpoint.position
    for signal in endpoint.signals:
        if signal.kind in _NEXT:
            return _announced(endpoint, response, signal)
    if position.kind == "none" or not found:
        return None
    if position.kind == "page":
        return {position.param: position.first + number + 1}
    if position.kind == "offset":
        return {position.param: position.first + so_far}
    return {position.param: at_path(found[-1], position.field)}


def _announced(endpoint: Endpoint, response: httpx.Response, signal: Any) -> str | dict[str, Any] | None:
    if signal.kind == "link":
        link = re.search(r'<([^>]+)>; rel="next"', response.headers.get(signal.header, ""))
        return link.group(1) if link else None
    value = response.headers.get(signal.header) if signal.header else at_path(response.json(), signal.path)
    if not value:
        return None
    if signal.kind == "links":
        return str(next(link["href"] for link in value if link["rel"] == "next"))
    if signal.kind == "next_url":
        return str(value)
    kinds = {"next_cursor": "cursor", "next_page": "page", "next_offset": "offset"}
    position = next(p for p in (endpoint.position, *endpoint.also) if p.kind == kinds[signal.kind])
    return {position.param: value}
