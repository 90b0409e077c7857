"""`Simulator`: serves a `SimulatedApi` over HTTP and counts what it does."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from contracts.simulation import SimulatedApi
from infra.runtime.simulator.plan import Plan

Row = tuple[tuple[str, ...], int]
"""A record's identity inside an endpoint: the values of its path variables, and its index from 0."""


@dataclass(frozen=True)
class Seen:
    """One request as the server saw it; ``n`` counts from 1 over the run.

    ``endpoint`` is ``None`` for an unknown path and ``"token"`` for the OAuth token endpoint. ``page`` counts from 0
    in the order of the endpoint's records; ``size`` is the page size used; ``rows`` the records sent. ``query`` holds
    no credentials. ``fault`` is the kind of the fault that struck. Times are seconds of the monotonic clock.
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
    fault: str | None = None
    at_s: float = 0.0


class Simulator:
    """An async context manager around a running server.

    ::

        async with Simulator(api, Plan(records=Size("page", +1), secrets=frozenset({"s3cret"})), socket=path) as sim:
            ...  # run a connector against sim.base_url, or through the socket
            missing = set(sim.rows("GET /contacts")) - set(sim.delivered("GET /contacts"))

    ``socket``: the path of a unix socket to serve on; ``port``: a loopback TCP port (0 picks a free one). At least
    one is needed. One server serves many runs: `reset` starts the next with fresh counters and a new plan.
    """

    def __init__(
        self, api: SimulatedApi, plan: Plan | None = None, *, socket: Path | None = None, port: int | None = None
    ) -> None:
        raise NotImplementedError

    async def __aenter__(self) -> Self:
        raise NotImplementedError

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        raise NotImplementedError

    @property
    def port(self) -> int:
        """The loopback port served on. Raises `RuntimeError` if there is none."""
        raise NotImplementedError

    @property
    def base_url(self) -> str:
        """``http://127.0.0.1:<port><base path>``: what a connector's ``base_url`` must be."""
        raise NotImplementedError

    def base_url_at(self, port: int) -> str:
        """The same, as seen by someone who reaches the socket through a relay on ``port``."""
        raise NotImplementedError

    def token_url_at(self, port: int) -> str | None:
        """The OAuth token endpoint's URL behind ``port``; ``None`` if the API has none."""
        raise NotImplementedError

    def reset(self, plan: Plan | None = None) -> None:
        """Start a new run: counters, faults and tokens anew; connections that hang in a timeout are closed."""
        raise NotImplementedError

    @property
    def requests(self) -> list[Seen]:
        """Every request of this run, in the order of their arrival."""
        raise NotImplementedError

    def delivered(self, endpoint: str) -> list[Row]:
        """Every record sent in full with status 200, repetitions included, in the order sent."""
        raise NotImplementedError

    def rows(self, endpoint: str, *, via: Mapping[str, str] | None = None) -> Iterator[Row]:
        """The records that a complete read must yield, each once.

        For a child: those of all records of its parents. ``via`` says which source (endpoint key) a path variable
        was read from, where a binding has several; default the first. A free variable takes its value from
        ``Plan.variables``, else the values that were asked for in this run.

        Raises:
            KeyError: no such endpoint.
        """
        raise NotImplementedError

    def expected_count(self, endpoint: str, *, via: Mapping[str, str] | None = None) -> int:
        """How many `rows` there are."""
        raise NotImplementedError

    def expected(self, endpoint: str, *, via: Mapping[str, str] | None = None) -> Iterator[dict[str, Any]]:
        """The records that a complete read must yield, as the server sends them, made one at a time."""
        raise NotImplementedError

    def record(self, endpoint: str, row: Row) -> dict[str, Any]:
        """One record, as the server sends it."""
        raise NotImplementedError

    def page_size(self, endpoint: str) -> int:
        """The effective page size: of the first request in this run, or the default before it."""
        raise NotImplementedError
