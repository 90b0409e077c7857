"""`Simulator`: serves a `SimulatedApi` over HTTP and counts what it does."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from contracts.simulation import SimulatedApi
from infra.runtime.simulator.messages import Request
from infra.runtime.simulator.plan import Plan
from infra.runtime.simulator.population import Partition, variables_of
from infra.runtime.simulator.server import Connection, Exchange
from infra.runtime.simulator.site import Answer, Routes, Site

Row = tuple[tuple[str, ...], int]
"""A record's identity inside an endpoint: the values of its path variables, and its index from 0."""


@dataclass(frozen=True)
class Seen:
    """One request as the server saw it; ``n`` counts from 1 over the run.

    ``endpoint`` is ``None`` for an unknown path and ``"token"`` for the OAuth token endpoint. ``status`` is
    ``None`` where no whole answer was sent. ``page`` counts from 0 in the order of the endpoint's records;
    ``size`` is the page size used; ``rows`` the indexes of the records sent. ``query`` holds no credentials;
    ``body`` is a digest of what was sent, empty where nothing was. ``fault`` is the kind of the fault that struck.
    Times are seconds of the monotonic clock.
    """

    n: int
    method: str
    path: str
    endpoint: str | None
    status: int | None
    page: int | None = None
    size: int | None = None
    partition: tuple[str, ...] = ()
    rows: range = range(0)
    query: Mapping[str, str] = field(default_factory=dict)
    body: str = ""
    fault: str | None = None
    at_s: float = 0.0


class Simulator:
    """An async context manager around a running server.

    ::

        plan = Plan(records=Size("page", +1), secrets=frozenset({"s3cret"}))
        async with Simulator(api, plan, socket=path) as sim:
            ...  # run a connector against it
            missing = set(sim.rows("GET /contacts")) - set(sim.delivered("GET /contacts"))

    ``socket``: the path of a unix socket to serve on; ``port``: a loopback TCP port (0 picks a free one). At least
    one is needed. One server serves many runs: `reset` starts the next with fresh counters and a new plan.
    """

    def __init__(
        self, api: SimulatedApi, plan: Plan | None = None, *, socket: Path | None = None, port: int | None = None
    ) -> None:
        if socket is None and port is None:
            raise ValueError("a simulator needs a socket or a port to serve on")
        self._api = api
        self._socket = socket
        self._wanted_port = port
        self._routes = Routes(api)
        self._servers: list[asyncio.Server] = []
        self._clients: dict[Connection, asyncio.Task[None]] = {}
        self._port: int | None = None
        self._new_run(plan or Plan())

    def _new_run(self, plan: Plan) -> None:
        self._plan = plan
        self._site = Site(self._api, self._routes, plan, time.monotonic)
        self._seen: list[Seen] = []

    async def __aenter__(self) -> Self:
        if self._socket is not None:
            self._servers.append(await asyncio.start_unix_server(self._client, self._socket))
        if self._wanted_port is not None:
            server = await asyncio.start_server(self._client, "127.0.0.1", self._wanted_port)
            self._servers.append(server)
            self._port = server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for server in self._servers:
            server.close()
        await self._hang_up()
        if self._socket is not None:
            self._socket.unlink(missing_ok=True)

    async def _hang_up(self) -> None:
        clients = list(self._clients.values())
        for client in clients:
            client.cancel()
        await asyncio.gather(*clients, return_exceptions=True)

    async def _client(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = Connection(reader, writer, self._handle)
        self._clients[connection] = asyncio.ensure_future(connection.serve())
        try:
            await self._clients[connection]
        except asyncio.CancelledError:
            writer.transport.abort()
        finally:
            del self._clients[connection]

    def _handle(self, request: Request) -> Exchange:
        answer = self._site.answer(request)
        seen, position = self._seen, len(self._seen)
        seen.append(self._noted(position + 1, request, answer))

        def delivered() -> None:
            """Only now has the client been sent these records."""
            seen[position] = _finished(seen[position], answer)

        return Exchange(answer, delivered)

    def _noted(self, n: int, request: Request, answer: Answer) -> Seen:
        reply = answer.reply
        return Seen(
            n=n,
            method=request.method,
            path=request.path,
            endpoint=answer.endpoint,
            status=None,
            page=reply.page if reply else None,
            size=reply.size if reply else None,
            partition=reply.partition if reply else (),
            query=self._harmless(request),
            body=hashlib.sha256(request.body).hexdigest() if request.body else "",
            fault=answer.fault.kind if answer.fault else None,
            at_s=time.monotonic(),
        )

    def _harmless(self, request: Request) -> dict[str, str]:
        secrets = self._plan.secrets or frozenset()
        names = self._site.doors.query_names
        return {k: v for k, v in request.query.items() if k not in names and v not in secrets}

    # --- where it is ------------------------------------------------------------------------------

    @property
    def port(self) -> int:
        """The loopback port served on.

        Raises:
            RuntimeError: it serves on no port, or not yet.
        """
        if self._port is None:
            raise RuntimeError("the simulator serves on no port")
        return self._port

    @property
    def base_url(self) -> str:
        """``http://127.0.0.1:<port><base path>``: what a connector's ``base_url`` must be."""
        return self.base_url_at(self.port)

    def base_url_at(self, port: int) -> str:
        """The same, as seen by someone who reaches the socket through a relay on ``port``."""
        return f"http://127.0.0.1:{port}{self._api.base_path}"

    def token_url_at(self, port: int) -> str | None:
        """The OAuth token endpoint's URL behind ``port``; ``None`` if the API has none."""
        paths = sorted(self._site.doors.token_paths)
        return f"http://127.0.0.1:{port}{paths[0]}" if paths else None

    # --- runs -------------------------------------------------------------------------------------

    def reset(self, plan: Plan | None = None) -> None:
        """Start a new run: a new plan, counters, faults and tokens anew. Connections that still wait for an answer
        (a fault holds them) are closed; idle ones live on."""
        for connection, client in self._clients.items():
            if connection.busy:
                client.cancel()
        self._new_run(plan or Plan())

    @property
    def requests(self) -> list[Seen]:
        """Every request of this run, in the order of their arrival."""
        return list(self._seen)

    def delivered(self, endpoint: str) -> list[Row]:
        """Every record sent in full with status 200, repetitions included, in the order sent."""
        answers = (seen for seen in self._seen if seen.endpoint == endpoint)
        return [(seen.partition, index) for seen in answers for index in seen.rows]

    def rows(self, endpoint: str, *, via: Mapping[str, str] | None = None) -> Iterator[Row]:
        """The records that a complete read must yield, each once.

        For a child: those of all records of its parents. ``via`` says which source (endpoint key) a path variable
        was read from, where a binding has several; default the first. A free variable takes its value from
        ``Plan.variables``, else the values that were asked for in this run.

        Raises:
            KeyError: no such endpoint.
        """
        for partition, count in self._holdings(endpoint, via):
            yield from ((partition.values, index) for index in range(count))

    def expected_count(self, endpoint: str, *, via: Mapping[str, str] | None = None) -> int:
        """How many `rows` there are."""
        return sum(count for _, count in self._holdings(endpoint, via))

    def expected(self, endpoint: str, *, via: Mapping[str, str] | None = None) -> Iterator[dict[str, Any]]:
        """The records that a complete read must yield, as the server sends them, made one at a time."""
        mould = self._site.population.mould(endpoint)
        for partition, count in self._holdings(endpoint, via):
            variables = self._variables(endpoint, partition.values)
            for index in range(count):
                yield mould.record(index, partition.number, variables)

    def record(self, endpoint: str, row: Row) -> dict[str, Any]:
        """One record, as the server sends it.

        Raises:
            KeyError: no such endpoint, or no such partition.
        """
        values, index = row
        variables = self._variables(endpoint, values)
        partition = self._site.population.locate(endpoint, variables)
        if partition is None:
            raise KeyError(f"{endpoint} has nothing at {values}")
        return self._site.population.mould(endpoint).record(index, partition.number, variables)

    def page_size(self, endpoint: str) -> int:
        """The effective page size: of the first request in this run, or the default before it."""
        return self._site.population.page_size(endpoint)

    def _holdings(self, endpoint: str, via: Mapping[str, str] | None) -> Iterator[tuple[Partition, int]]:
        population = self._site.population
        for partition in population.partitions(endpoint, via or {}):
            yield partition, population.count(endpoint, partition.number)

    def _variables(self, endpoint: str, values: tuple[str, ...]) -> dict[str, str]:
        return dict(zip(variables_of(self._api.endpoints[endpoint].path), values, strict=True))


def _finished(seen: Seen, answer: Answer) -> Seen:
    """What is known once the answer is out."""
    fault, reply = answer.fault, answer.reply
    if fault is not None and fault.kind == "status":
        return replace(seen, status=fault.status)
    if reply is None:
        return seen
    spoilt = fault is not None and fault.kind == "bad_json"
    return replace(seen, status=reply.status, rows=range(0) if spoilt else reply.rows)
